using System.Net;
using Amazon.Runtime;
using Amazon.S3;

namespace SmcDr.Core.ObjectStores;

/// <summary>What a failure of S3, of the SDK or of the network means to the operator.</summary>
internal static class S3Failure
{
    /// <summary>Whether an exception is one that a server, the network or the credentials can cause.</summary>
    public static bool IsForeseen(Exception exception) =>
        exception is AmazonServiceException or AmazonClientException or HttpRequestException or IOException or TimeoutException;

    /// <summary>Whether a request may succeed when sent again although the SDK does not try: see the S3 API's list of error codes.</summary>
    public static bool MayPass(Exception exception) => exception is AmazonServiceException failure && (
        failure.ErrorCode is "ConditionalRequestConflict" or "OperationAborted" or "RequestTimeout" or "TooManyRequests" or "SlowDown"
        || failure.StatusCode is HttpStatusCode.Conflict or HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests
        // nginx's "client closed request", which some gateways send when they give up themselves.
        || (int)failure.StatusCode == 499
        // CompleteMultipartUpload may begin its answer with 200 and end it with an error.
        || failure.StatusCode == HttpStatusCode.OK);

    /// <summary>Whether a server says that it does not know conditional writes at all.</summary>
    public static bool IsNotImplemented(AmazonS3Exception exception) =>
        exception.StatusCode == HttpStatusCode.NotImplemented || exception.ErrorCode == "NotImplemented";

    /// <summary>
    /// Whether a server may want Content-MD5, as it does for a bucket with Object Lock unless another checksum is sent. There are many
    /// ways to say so, and an answer that the SDK cannot read has only its status left.
    /// </summary>
    public static bool MayWantMd5(AmazonS3Exception exception) =>
        exception.StatusCode == HttpStatusCode.BadRequest
        && exception.ErrorCode is null or "" or "BadRequest" or "InvalidRequest" or "InvalidDigest" or "MissingContentMD5";

    public static SmcException Translate(string what, Exception exception, S3Location location, string? key)
    {
        AmazonServiceException? answer = exception as AmazonServiceException ?? exception.InnerException as AmazonServiceException;
        string code = answer?.ErrorCode ?? "";
        int status = (int)(answer?.StatusCode ?? 0);
        return (code, status) switch
        {
            ("NoSuchBucket", _) => Make(
                SmcErrorCode.StorageUnavailable,
                $"the bucket '{location.Bucket}' does not exist.",
                $"Create the bucket '{location.Bucket}', or correct the name, the region or the endpoint in the repository's location."),
            ("NotFound" or "", 404) => Make(
                SmcErrorCode.StorageUnavailable,
                $"the server knows no bucket '{location.Bucket}', or is no S3 server.",
                $"Create the bucket '{location.Bucket}', or correct the name, the region or the endpoint in the repository's location."),
            ("NoSuchKey", _) => Make(SmcErrorCode.ObjectNotFound, "there is no such object."),
            ("InvalidObjectState", _) => Make(
                SmcErrorCode.StorageUnavailable,
                "the object lies in an archive class of storage and cannot be read as it is.",
                "Use a copy of the repository, or have the object restored from the archive ('aws s3api restore-object'), which takes hours; "
                + "and remove the lifecycle rule that moved it there."),
            ("RequestTimeTooSkewed", _) => Make(
                SmcErrorCode.StorageAccessDenied,
                "the clocks of this machine and of the server differ too much.",
                "Set this machine's clock (timedatectl shows whether it is synchronized), then run the command again."),
            ("ExpiredToken" or "ExpiredTokenException" or "InvalidToken" or "TokenRefreshRequired", _) => Make(
                SmcErrorCode.StorageAccessDenied,
                "the session of the credentials in use has ended.",
                "Sign in again (aws sso login, or a new session of the role), then run the command again."),
            ("" or "BadRequest", 400) => Make(
                SmcErrorCode.StorageAccessDenied,
                "the server answers 400 and no more, as it does to the question whether an object is there when the session of the credentials has ended.",
                "Sign in again (aws sso login, or a new session of the role), then run the command again."),
            ("PermanentRedirect" or "TemporaryRedirect" or "AuthorizationHeaderMalformed" or "IllegalLocationConstraintException", _)
                or (_, 301) => Make(
                SmcErrorCode.StorageUnavailable,
                $"the bucket '{location.Bucket}' is in another region: {Sentence(exception)}",
                "Correct 'region=' in the repository's location."),
            ("XMinioStorageFull" or "QuotaExceeded" or "InsufficientStorage", _) or (_, 507) => Make(
                SmcErrorCode.StorageFull, Sentence(exception)),
            (_, 401 or 403) => Make(
                SmcErrorCode.StorageAccessDenied,
                Sentence(exception),
                $"Check which credentials are in use, and that they may s3:ListBucket on '{location.Bucket}' and s3:GetObject, "
                + $"s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on '{location.Bucket}/{location.Prefix}*'. Without s3:ListBucket S3 "
                + "refuses to tell that an object is absent."),
            _ when answer is null && IsCredentialFailure(exception) => Make(
                SmcErrorCode.StorageAccessDenied,
                $"there are no credentials to use: {Sentence(exception)}",
                "Give credentials where the AWS tools look for them: a role of this machine, AWS_PROFILE, 'aws sso login', or "
                + "'profile=' in the location."),
            _ => Make(SmcErrorCode.StorageUnavailable, Sentence(exception)),
        };

        SmcException Make(SmcErrorCode smcCode, string reason, string? recommendation = null) =>
            new(smcCode, $"{what} in {location}: {reason}", exception, recommendation, key);
    }

    private static bool IsCredentialFailure(Exception exception) =>
        exception is AmazonClientException
        && (exception.Message.Contains("credential", StringComparison.OrdinalIgnoreCase)
            || exception.Message.Contains("profile", StringComparison.OrdinalIgnoreCase));

    /// <summary>The innermost reason that says something: "Connection refused" is more than "an error occurred".</summary>
    private static string Sentence(Exception exception)
    {
        if (exception is AmazonServiceException { ErrorCode: { Length: > 0 } code } answer && (int)answer.StatusCode > 0)
        {
            string words = answer.Message.TrimEnd();
            return $"the server answers {(int)answer.StatusCode} {code}"
                + (words.Length == 0 || words == code ? "." : $", \"{words}\"");
        }

        Exception inner = exception;
        while (inner.InnerException is { } next)
        {
            inner = next;
        }

        string text = inner.Message.TrimEnd();
        return text.EndsWith('.') ? text : text + ".";
    }
}
