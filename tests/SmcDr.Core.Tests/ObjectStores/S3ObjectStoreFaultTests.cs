using System.Text;
using Amazon.S3.Model;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Tests.Fixtures;
using static SmcDr.Core.Tests.ObjectStores.ObjectStoreTestExtensions;

namespace SmcDr.Core.Tests.ObjectStores;

/// <summary>A real server behind a proxy that breaks what networks and servers break.</summary>
[Collection(MotoTests.Name)]
public sealed class S3ObjectStoreFaultTests(MotoServer moto)
{
    private const int Mebibyte = 1024 * 1024;

    [MotoFact]
    public async Task OpenRead_ConnectionCutMidBody_ResumesTheSameObject()
    {
        string bucket = await BucketWithAsync("key", Bytes(Mebibyte));
        await using FaultProxy proxy = new(moto.Port, Nth(IsGet, 1, new Fault { CutAfter = 300_000 }));
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);

        Assert.Equal(Bytes(Mebibyte), await store.ReadAsync("key"));
        ProxiedRequest[] gets = [.. proxy.Requests.Where(IsGet)];
        Assert.Equal(2, gets.Length);
        Assert.NotNull(gets[1].Header("If-Match"));
        Assert.Matches("^bytes=[1-9][0-9]*-1048575$", gets[1].Header("Range"));
    }

    [MotoFact]
    public async Task OpenRead_RangeCutAgainAndAgain_IsExact()
    {
        byte[] content = Bytes(3 * Mebibyte);
        string bucket = await BucketWithAsync("key", content);
        int gets = 0;
        await using FaultProxy proxy = new(moto.Port, request => IsGet(request) && gets++ < 4 ? new Fault { CutAfter = 200_001 } : null);
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        Assert.Equal(content[777..2_000_777], await store.ReadAsync("key", 777, 2_000_000));
        Assert.Equal(5, gets);
    }

    [MotoFact]
    public async Task OpenRead_EndsEarlyWithoutError_IsNoticedAndResumed()
    {
        // A proxy in between that lost the rest and shortened the Content-Length to fit: HTTP sees nothing wrong.
        byte[] content = Bytes(100_000);
        string bucket = await BucketWithAsync("key", content);
        await using FaultProxy proxy = new(moto.Port, Nth(IsGet, 1, new Fault
        {
            Change = static response => new ProxiedResponse(
                response.Head.Replace("Content-Length: 50000", "Content-Length: 40000", StringComparison.OrdinalIgnoreCase),
                response.Body[..40_000]),
        }));
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        Assert.Equal(content[..50_000], await store.ReadAsync("key", 0, 50_000));
        Assert.Equal(2, proxy.Requests.Count(IsGet));
    }

    [MotoFact]
    public async Task OpenRead_EveryTransferCut_GivesUpWithStorageUnavailable()
    {
        string bucket = await BucketWithAsync("key", Bytes(100_000));
        await using FaultProxy proxy = new(moto.Port, static request => IsGet(request) ? new Fault { CutAfter = 10 } : null);
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", static options => options with { Retries = 3 }, proxy.Port);
        await SmcErrorCode.StorageUnavailable.ThrowsAsync(() => store.ReadAsync("key"));
        Assert.Equal(4, proxy.Requests.Count(IsGet));
    }

    [MotoFact]
    public async Task OpenRead_ObjectReplacedWhileCut_IsNotMixed()
    {
        string bucket = await BucketWithAsync("key", Bytes(100_000, 1));
        await using FaultProxy proxy = new(moto.Port, Nth(IsGet, 1, new Fault { CutAfter = 10_000 }));
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        await using Stream stream = await store.OpenReadAsync("key", 0, null, default);
        await moto.PutAsync(bucket, "key", Bytes(100_000, 2));
        await SmcErrorCode.ChecksumMismatch.ThrowsAsync(() => stream.CopyToAsync(Stream.Null));
    }

    [MotoFact]
    public async Task OpenRead_ServerFallsSilentMidBody_IsResumed()
    {
        byte[] content = Bytes(100_000);
        string bucket = await BucketWithAsync("key", content);
        await using FaultProxy proxy = new(moto.Port, Nth(IsGet, 1, new Fault { SilentAfter = 10_000 }));
        await using S3ObjectStore store = moto.Open(
            $"s3://{bucket}", static options => options with { Silence = TimeSpan.FromSeconds(2) }, proxy.Port);
        Assert.Equal(content, await store.ReadAsync("key"));
        Assert.Equal(2, proxy.Requests.Count(IsGet));
    }

    [MotoFact]
    public async Task Lock_NeitherItNorTheQuestionWhetherItCanBeIsAllowed_SaysSo()
    {
        string bucket = await BucketWithAsync("key", Bytes(10));
        await using FaultProxy proxy = new(moto.Port, static request =>
            request.Target.Contains("retention", StringComparison.Ordinal) || request.Target.Contains("object-lock", StringComparison.Ordinal)
                ? Fault.AnswerError(403, "AccessDenied")
                : null);
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);

        await SmcErrorCode.StorageAccessDenied.ThrowsAsync(
            () => store.LockAsync("key", DateTimeOffset.UtcNow.AddDays(1), ObjectLockMode.Governance, default));
        Assert.False((await store.ProbeAsync(default)).ObjectLock);
    }

    [MotoFact]
    public async Task GetInfo_ServerNeverAnswers_TriesAgain()
    {
        string bucket = await BucketWithAsync("key", Bytes(10));
        await using FaultProxy proxy = new(moto.Port, Nth(static request => request.Method == "HEAD", 1, new Fault { SilentAfter = -1 }));
        await using S3ObjectStore store = moto.Open(
            $"s3://{bucket}", static options => options with { Silence = TimeSpan.FromSeconds(2) }, proxy.Port);
        Assert.Equal(10, (await store.GetInfoAsync("key", default))!.Length);
        Assert.Equal(2, proxy.Requests.Count);
    }

    [MotoFact]
    public async Task Put_SlowDownThenOk_IsStored()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, Nth(IsPut, 1, Fault.AnswerError(503, "SlowDown")));
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        await store.PutAsync("key", Bytes(1000), default);
        Assert.Equal(Bytes(1000), await store.ReadAsync("key"));
        Assert.Equal(2, proxy.Requests.Count(IsPut));
    }

    [MotoFact]
    public async Task Put_InternalErrorThenOk_IsStored()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, Nth(IsPut, 1, Fault.AnswerError(500, "InternalError")));
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        await store.PutAsync("key", Bytes(1000), default);
        Assert.Equal(Bytes(1000), await store.ReadAsync("key"));
    }

    [MotoFact]
    public async Task Put_ConditionalConflictThenOk_IsStored()
    {
        // Two conditional writes at the same time: S3 answers 409 and wants the request again.
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, Nth(IsPut, 1, Fault.AnswerError(409, "ConditionalRequestConflict")));
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        await store.PutAsync("key", Bytes(1000), default);
        Assert.Equal(Bytes(1000), await store.ReadAsync("key"));
        Assert.Equal(2, proxy.Requests.Count(IsPut));
    }

    [MotoFact]
    public async Task Put_ResponseLostAfterSuccess_IsKnownAsOwn()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, Nth(IsPut, 1, new Fault { LoseResponse = true }));
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        await store.PutAsync("key", Bytes(1000), default);
        Assert.Equal(2, proxy.Requests.Count(IsPut));
        Assert.Equal(Bytes(1000), await store.ReadAsync("key"));
    }

    [MotoFact]
    public async Task Put_ResponseLostAndTagDropped_IsKnownByItsContent()
    {
        string bucket = await moto.CreateBucketAsync();
        int puts = 0;
        await using FaultProxy proxy = new(moto.Port, request => !IsPut(request) ? null : new Fault
        {
            WithoutHeaders = ["x-amz-meta-smcdr-write"],
            LoseResponse = puts++ == 0,
        });
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        await store.PutAsync("key", Bytes(1000), default);
        Assert.Equal(2, puts);
    }

    [MotoFact]
    public async Task Put_ResponseLostAndKeyTakenBySomebodyElse_ThrowsObjectExists()
    {
        // What looks like our own lost answer is another writer's object, of the same length.
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, request =>
        {
            if (IsPut(request))
            {
                moto.PutAsync(bucket, "key", Bytes(1000, 2)).GetAwaiter().GetResult();
            }

            return null;
        });
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        await SmcErrorCode.ObjectExists.ThrowsAsync(() => store.PutAsync("key", Bytes(1000, 1), default));
        Assert.Equal(Bytes(1000, 2), await store.ReadAsync("key"));
    }

    [MotoFact]
    public async Task Complete_ResponseLostAfterSuccess_IsKnownAsOwn()
    {
        byte[] content = Bytes(9 * Mebibyte);
        string bucket = await moto.CreateBucketAsync();
        int completions = 0;
        await using FaultProxy proxy = new(moto.Port, request => !IsCompletion(request) ? null : completions++ == 0
            ? new Fault { LoseResponse = true }
            : Fault.AnswerError(404, "NoSuchUpload"));
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        await store.WriteAsync("key", content);
        Assert.Equal(2, completions);
        Assert.Equal(content, await store.ReadAsync("key"));
    }

    [MotoFact]
    public async Task Complete_ResponseLostAndTagDropped_IsKnownByItsParts()
    {
        byte[] content = Bytes(17 * Mebibyte);
        string bucket = await moto.CreateBucketAsync();
        int completions = 0;
        await using FaultProxy proxy = new(moto.Port, request =>
            !IsCompletion(request) ? new Fault { WithoutHeaders = ["x-amz-meta-smcdr-write"] }
            : completions++ == 0 ? new Fault { LoseResponse = true }
            : Fault.AnswerError(412, "PreconditionFailed"));
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        await store.WriteAsync("key", content);
        Assert.Equal(content, await store.ReadAsync("key"));
    }

    [MotoFact]
    public async Task Complete_OkThatHoldsAnError_IsNoSuccess()
    {
        // S3 sends "200 OK" at once and finishes the work, or fails, while it keeps the connection open.
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, Nth(IsCompletion, 1, OkThatHoldsAnError()));
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        byte[] content = Bytes(9 * Mebibyte);
        await store.WriteAsync("key", content);
        Assert.Equal(2, proxy.Requests.Count(IsCompletion));
        Assert.Equal(content, await store.ReadAsync("key"));
    }

    [MotoFact]
    public async Task Complete_AlwaysOkThatHoldsAnError_FailsAndLeavesNothing()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, static request => IsCompletion(request) ? OkThatHoldsAnError() : null);
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", static options => options with { Retries = 2 }, proxy.Port);
        await SmcErrorCode.StorageUnavailable.ThrowsAsync(() => store.WriteAsync("key", Bytes(9 * Mebibyte)));
        await AssertNothingLeftAsync(bucket);
    }

    [MotoFact]
    public async Task Complete_AnswerWithoutObject_IsNoSuccess()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, Nth(IsCompletion, 1, Fault.AnswerXml(200, "OK", "")));
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        byte[] content = Bytes(9 * Mebibyte);
        await store.WriteAsync("key", content);
        Assert.Equal(content, await store.ReadAsync("key"));
    }

    [MotoFact]
    public async Task UploadPart_FailsOnce_IsSentAgainExactly()
    {
        byte[] content = Bytes(25 * Mebibyte);
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, Nth(IsPart, 2, new Fault { LoseResponse = true }));
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        await store.WriteAsync("key", content);
        Assert.Equal(5, proxy.Requests.Count(IsPart));
        Assert.Equal(content, await store.ReadAsync("key"));
    }

    [MotoFact]
    public async Task UploadPart_AlwaysFails_TellsTheCauseAndLeavesNothing()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, static request => IsPart(request) ? Fault.AnswerError(403, "AccessDenied") : null);
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        await SmcErrorCode.StorageAccessDenied.ThrowsAsync(() => store.WriteAsync("key", Bytes(40 * Mebibyte)));
        await AssertNothingLeftAsync(bucket);
    }

    [MotoFact]
    public async Task UploadPart_LastOneFails_CommitTellsTheCause()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, static request =>
            IsPart(request) && request.Target.Contains("partNumber=2", StringComparison.Ordinal) ? Fault.AnswerError(403, "AccessDenied") : null);
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        await using (ObjectWriter writer = await store.CreateAsync("key", default))
        {
            await writer.WriteAsync(Bytes(9 * Mebibyte), default);
            await SmcErrorCode.StorageAccessDenied.ThrowsAsync(() => writer.CommitAsync(default));
        }

        await AssertNothingLeftAsync(bucket);
    }

    [MotoFact]
    public async Task Parts_UnderWay_AreNeverMoreThanAllowed()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, static request => IsPart(request) ? new Fault { SilentAfter = -1 } : null);
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", static options => options with { Parallelism = 2 }, proxy.Port);
        await using ObjectWriter writer = await store.CreateAsync("key", default);
        using CancellationTokenSource stop = new();

        // Two parts are under way and never end, the third fills the buffer; there is no room for another byte.
        await writer.WriteAsync(Bytes(24 * Mebibyte), default);
        Task more = writer.WriteAsync(Bytes(1), stop.Token).AsTask();
        Assert.False(more.IsCompleted);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => more);
        Assert.InRange(proxy.Requests.Count(IsPart), 0, 2);
    }

    [MotoFact]
    public async Task GetInfo_Forbidden_IsNotAbsent()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, static _ => Fault.AnswerError(403, "AccessDenied"));
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        SmcException exception = await SmcErrorCode.StorageAccessDenied.ThrowsAsync(() => store.GetInfoAsync("key", default));
        Assert.Contains("s3:ListBucket", exception.Recommendation, StringComparison.Ordinal);
        await SmcErrorCode.StorageAccessDenied.ThrowsAsync(() => store.OpenReadAsync("key", 0, null, default));
        await SmcErrorCode.StorageAccessDenied.ThrowsAsync(() => store.KeysAsync());
    }

    [MotoFact]
    public async Task GetInfo_ServerKeepsFailing_IsNotAbsent()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, static _ => Fault.AnswerError(503, "SlowDown"));
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", static options => options with { Retries = 1 }, proxy.Port);
        await SmcErrorCode.StorageUnavailable.ThrowsAsync(() => store.GetInfoAsync("key", default));
    }

    [MotoFact]
    public async Task EveryCall_SessionExpired_SaysWhatToDo()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, static _ => Fault.AnswerError(400, "ExpiredToken"));
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        SmcException exception = await SmcErrorCode.StorageAccessDenied.ThrowsAsync(() => store.KeysAsync());
        Assert.Contains("Sign in again", exception.Recommendation, StringComparison.Ordinal);
    }

    [MotoFact]
    public async Task OpenRead_ObjectInArchiveClass_SaysSoAndNotThatAccessIsDenied()
    {
        // S3 answers 403 to that as well.
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, static _ => Fault.AnswerError(403, "InvalidObjectState"));
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        SmcException exception = await SmcErrorCode.StorageUnavailable.ThrowsAsync(() => store.OpenReadAsync("key", 0, null, default));
        Assert.Contains("hours", exception.Recommendation, StringComparison.Ordinal);
    }

    [MotoFact]
    public async Task Probe_MayNotDelete_TellsSo()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(
            moto.Port, static request => request.Method == "DELETE" ? Fault.AnswerError(403, "AccessDenied") : null);
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        await SmcErrorCode.StorageAccessDenied.ThrowsAsync(() => store.ProbeAsync(default));
    }

    [MotoFact]
    public async Task List_PageFailsOnce_LosesNothing()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, Nth(
            static request => request.Target.Contains("continuation-token", StringComparison.Ordinal), 1, new Fault { CutAfter = 100 }));
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", static options => options with { PageSize = 2 }, proxy.Port);
        foreach (string key in new[] { "a", "b", "c", "d", "e" })
        {
            await store.PutAsync(key, Bytes(1), default);
        }

        Assert.Equal(["a", "b", "c", "d", "e"], await store.KeysAsync());
    }

    [MotoFact]
    public async Task List_OutOfOrder_IsRefused()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, static _ => Fault.AnswerXml(
            200,
            "OK",
            "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>b</Key><Size>1</Size></Contents>"
            + "<Contents><Key>a</Key><Size>1</Size></Contents></ListBucketResult>"));
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        await SmcErrorCode.StorageUnavailable.ThrowsAsync(() => store.KeysAsync());
    }

    [MotoFact]
    public async Task List_MorePagesButNoToken_IsRefused()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, static _ => Fault.AnswerXml(
            200, "OK", "<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>a</Key><Size>1</Size></Contents></ListBucketResult>"));
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        await SmcErrorCode.StorageUnavailable.ThrowsAsync(() => store.KeysAsync());
    }

    [MotoFact]
    public async Task Put_ServerIgnoresConditionSilently_ProbeTellsAndNothingIsOverwritten()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(moto.Port, static _ => new Fault { WithoutHeaders = ["If-None-Match"] });
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        await store.PutAsync("key", Bytes(10, 1), default);
        await SmcErrorCode.ObjectExists.ThrowsAsync(() => store.PutAsync("key", Bytes(10, 2), default));
        Assert.False((await store.ProbeAsync(default)).ConditionalWrites);
        await SmcErrorCode.ObjectExists.ThrowsAsync(() => store.PutAsync("key", Bytes(10, 2), default));
        await SmcErrorCode.ObjectExists.ThrowsAsync(() => store.WriteAsync("key", Bytes(9 * Mebibyte)));
        Assert.Equal(Bytes(10, 1), await store.ReadAsync("key"));
    }

    [MotoFact]
    public async Task Put_ServerIgnoresConditionOfCompletionOnly_ProbeTells()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(
            moto.Port, static request => request.Method == "POST" ? new Fault { WithoutHeaders = ["If-None-Match"] } : null);
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        Assert.False((await store.ProbeAsync(default)).ConditionalWrites);
        await AssertNothingLeftAsync(bucket);
    }

    [MotoFact]
    public async Task Put_ServerRejectsCondition_IsStoredAfterALook()
    {
        string bucket = await moto.CreateBucketAsync();
        await using FaultProxy proxy = new(
            moto.Port, static request => request.Header("If-None-Match") is null ? null : Fault.AnswerError(501, "NotImplemented"));
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", static options => options with { Retries = 1 }, proxy.Port);
        await store.PutAsync("key", Bytes(10), default);
        await store.WriteAsync("large", Bytes(9 * Mebibyte));
        await SmcErrorCode.ObjectExists.ThrowsAsync(() => store.PutAsync("key", Bytes(10), default));
        Assert.False((await store.ProbeAsync(default)).ConditionalWrites);
    }

    [MotoFact]
    public async Task OpenRead_ServerIgnoresRange_IsRefusedNotMisread()
    {
        string bucket = await BucketWithAsync("key", Bytes(1000));
        await using FaultProxy proxy = new(moto.Port, static request => IsGet(request) ? new Fault { WithoutHeaders = ["Range"] } : null);
        await using S3ObjectStore store = moto.Open($"s3://{bucket}", port: proxy.Port);
        await SmcErrorCode.StorageUnavailable.ThrowsAsync(() => store.ReadAsync("key", 10, 20));
    }

    [MotoFact]
    public async Task Probe_UploadsOfLongKilledWriters_AreGivenUpAndYoungOnesKept()
    {
        string bucket = await moto.CreateBucketAsync();
        InitiateMultipartUploadResponse old = await moto.Client.InitiateMultipartUploadAsync(bucket, "p/old");
        InitiateMultipartUploadResponse young = await moto.Client.InitiateMultipartUploadAsync(bucket, "p/young");
        await using FaultProxy proxy = new(moto.Port, static request => request.Target.Contains("uploads", StringComparison.Ordinal) && request.Method == "GET"
            ? new Fault { Change = AgeOldUpload }
            : null);
        await using S3ObjectStore store = moto.Open($"s3://{bucket}/p", port: proxy.Port);
        await store.ProbeAsync(default);
        ListMultipartUploadsResponse left = await moto.Client.ListMultipartUploadsAsync(new ListMultipartUploadsRequest { BucketName = bucket });
        Assert.Equal([young.UploadId], left.MultipartUploads.Select(static upload => upload.UploadId));
        Assert.NotEqual(old.UploadId, young.UploadId);
    }

    private static ProxiedResponse AgeOldUpload(ProxiedResponse response)
    {
        // moto gives every upload the same long past time; the young one gets a young time here.
        string body = Encoding.UTF8.GetString(response.Body);
        int young = body.IndexOf("p/young", StringComparison.Ordinal);
        int begun = body.IndexOf("<Initiated>", young, StringComparison.Ordinal) + "<Initiated>".Length;
        int end = body.IndexOf("</Initiated>", begun, StringComparison.Ordinal);
        body = body[..begun] + DateTimeOffset.UtcNow.AddDays(-1).ToString("yyyy-MM-dd'T'HH:mm:ss'.000Z'", System.Globalization.CultureInfo.InvariantCulture) + body[end..];
        string head = string.Join("\r\n", response.Head.Split("\r\n").Where(
            static line => !line.StartsWith("Content-Length", StringComparison.OrdinalIgnoreCase)));
        return new ProxiedResponse(head, Encoding.UTF8.GetBytes(body));
    }

    private static Fault OkThatHoldsAnError() => Fault.AnswerXml(
        200, "OK", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>");

    private static bool IsGet(ProxiedRequest request) =>
        request.Method == "GET" && !request.Target.Contains("list-type", StringComparison.Ordinal);

    private static bool IsPut(ProxiedRequest request) => request.Method == "PUT" && !IsPart(request);

    private static bool IsPart(ProxiedRequest request) => request.Target.Contains("partNumber=", StringComparison.Ordinal);

    private static bool IsCompletion(ProxiedRequest request) =>
        request.Method == "POST" && request.Target.Contains("uploadId=", StringComparison.Ordinal);

    /// <summary>A fault of the nth request of a kind, and of no other.</summary>
    private static Func<ProxiedRequest, Fault?> Nth(Func<ProxiedRequest, bool> kind, int n, Fault fault)
    {
        int seen = 0;
        return request => kind(request) && ++seen == n ? fault : null;
    }

    private async Task<string> BucketWithAsync(string key, byte[] content)
    {
        string bucket = await moto.CreateBucketAsync();
        await moto.PutAsync(bucket, key, content);
        return bucket;
    }

    private async Task AssertNothingLeftAsync(string bucket)
    {
        Assert.Empty((await moto.Client.ListObjectsV2Async(new ListObjectsV2Request { BucketName = bucket })).S3Objects ?? []);
        Assert.Empty((await moto.Client.ListMultipartUploadsAsync(
            new ListMultipartUploadsRequest { BucketName = bucket })).MultipartUploads ?? []);
    }
}
