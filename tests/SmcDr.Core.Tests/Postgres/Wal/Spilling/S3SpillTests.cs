using SmcDr.Core.ObjectStores;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;

namespace SmcDr.Core.Tests.Postgres.Wal.Spilling;

/// <summary>Streams of a real server to S3, behind a proxy that makes it go away as S3 does.</summary>
[Collection(MotoTests.Name)]
public sealed class S3SpillTests(MotoServer moto) : SpillLab
{
    private FaultProxy _proxy = null!;
    private Func<ProxiedRequest, Fault?>? _decide;

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [MotoFact]
    public Task RunAsync_ServerAsksToSlowDown_SpillsAndBringsAll() => RunAsync(static _ => Fault.AnswerError(503, "SlowDown"));

    [MotoFact]
    public Task RunAsync_SessionOfTheCredentialsHasEnded_SpillsAndBringsAll() =>
        RunAsync(static _ => Fault.AnswerError(400, "ExpiredToken"), "session of the credentials");

    [MotoFact]
    public Task RunAsync_AccessIsDenied_SpillsAndBringsAll() => RunAsync(static _ => Fault.AnswerError(403, "AccessDenied"), "Check which credentials");

    [MotoFact]
    public Task RunAsync_ConnectionsBreakBeforeTheAnswer_SpillsWhatIsStoredAllTheSameAndBringsAll() =>
        RunAsync(static request => request.Method == "PUT" ? new Fault { LoseResponse = true } : Fault.AnswerError(503, "ServiceUnavailable"));

    [MotoFact]
    public Task RunAsync_ServerIsSilent_SpillsAndBringsAll() => RunAsync(static _ => new Fault { SilentAfter = -1 });

    protected override async Task<IObjectStore> OpenStoreAsync()
    {
        _proxy = new FaultProxy(moto.Port, request => Volatile.Read(ref _decide)?.Invoke(request));
        return moto.Open(
            $"s3://{await moto.CreateBucketAsync()}/orders?region=us-east-1&pathStyle=true",
            static options => options with { Retries = 0, Silence = TimeSpan.FromSeconds(2) },
            _proxy.Port);
    }

    private async Task RunAsync(Func<ProxiedRequest, Fault?> decide, string? words = null)
    {
        await using RunningReceiver stream = Start();
        await InsertAsync(3);
        await stream.FlushedAsync(await CurrentLsnAsync());
        Volatile.Write(ref _decide, decide);
        await InsertAsync(20);
        Lsn end = await CurrentLsnAsync();
        await UntilSlotAsync(end);
        Assert.NotEmpty(SpilledNames());
        Assert.True(stream.Receiver.FlushedLsn < end);
        Assert.Contains(stream.Warnings, warning => warning.Contains(words ?? "The repository does not take WAL", StringComparison.Ordinal));

        Volatile.Write(ref _decide, null);
        await stream.FlushedAsync(end);
        await InsertAsync(3);
        await stream.FlushedAsync(await CurrentLsnAsync());
        await stream.StopAsync();
        Assert.Empty(SpilledNames());
        await AssertCompleteAsync(end);
    }
}
