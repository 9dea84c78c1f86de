using System.Net;
using System.Text;

namespace SmcDr.Core.Dns;

/// <summary>What a failure of Route 53, of the network or of the credentials means to the operator.</summary>
internal static class Route53Errors
{
    private static readonly HashSet<string> s_busy = new(StringComparer.Ordinal)
    {
        // "wait, in intervals of increasing duration": API reference of ChangeResourceRecordSets and of throttling.
        "PriorRequestNotComplete", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestLimitExceeded",
        "TooManyRequests", "TooManyRequestsException", "SlowDown", "RequestTimeout", "ServiceUnavailable", "InternalFailure", "InternalError",
    };

    /// <summary>Whether a request may succeed when sent again.</summary>
    public static bool MayPass(HttpStatusCode status, string code) =>
        s_busy.Contains(code) || status == HttpStatusCode.TooManyRequests || ((int)status >= 500 && status != HttpStatusCode.NotImplemented);

    /// <summary>Whether a request was refused for the time of its signature.</summary>
    public static bool IsSkew(string code, string message) =>
        code is "RequestTimeTooSkewed" or "RequestExpired"
        || (code is "SignatureDoesNotMatch" or "InvalidSignatureException"
            && (message.Contains("Signature expired", StringComparison.OrdinalIgnoreCase)
                || message.Contains("not yet current", StringComparison.OrdinalIgnoreCase)));

    public static SmcException Translate(string what, string zone, HttpStatusCode status, string code, string message)
    {
        string said = Said(status, code, message);
        return code switch
        {
            _ when IsSkew(code, message) => Make(
                SmcErrorCode.DnsAccessDenied,
                $"the clocks of this machine and of Route 53 differ too much. {said}",
                "Set this machine's clock (timedatectl shows whether it is synchronized), then run the command again."),
            "ExpiredToken" or "ExpiredTokenException" or "TokenRefreshRequired" => Make(
                SmcErrorCode.DnsAccessDenied,
                "the session of the credentials in use has ended.",
                "Sign in again (aws sso login, or a new session of the role), then run the command again."),
            "InvalidClientTokenId" or "UnrecognizedClientException" or "SignatureDoesNotMatch" or "InvalidSignatureException"
                or "IncompleteSignature" or "MissingAuthenticationToken" => Make(
                SmcErrorCode.DnsAccessDenied,
                $"the credentials in use are not valid. {said}",
                "Check which credentials are in use: AWS_ACCESS_KEY_ID, AWS_PROFILE, 'profile' under dns in the site file, or this machine's role."),
            "NoSuchHostedZone" => Make(
                SmcErrorCode.DnsRecordUnsuitable,
                $"there is no hosted zone {zone} that these credentials see.",
                "Correct hostedZoneId in the site file, or use the credentials of the account that has the zone."),
            "InvalidChangeBatch" or "InvalidInput" or "NoSuchHealthCheck" => Make(
                SmcErrorCode.DnsRecordUnsuitable,
                $"Route 53 does not accept it, and nothing was changed: {Line(message)}",
                "Run Get-SmcDnsRecord to see what there is; another program or person may have changed it just now."),
            _ when MayPass(status, code) => Make(SmcErrorCode.DnsUnavailable, $"it was tried again and again. {said}"),
            _ when status is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => Make(
                SmcErrorCode.DnsAccessDenied,
                $"the credentials in use may not do that. {said}",
                $"Allow them route53:GetHostedZone, ListResourceRecordSets and ChangeResourceRecordSets on arn:aws:route53:::hostedzone/{zone}, "
                + "route53:GetChange on arn:aws:route53:::change/*, and route53:ListHostedZonesByName."),
            _ => Make(SmcErrorCode.DnsUnavailable, said),
        };

        SmcException Make(SmcErrorCode smcCode, string reason, string? recommendation = null) =>
            new(smcCode, $"{what}: {reason}", recommendation: recommendation, target: zone);
    }

    public static SmcException Unreachable(string what, Uri endpoint, Exception exception)
    {
        Exception inner = exception;
        while (inner.InnerException is { } next)
        {
            inner = next;
        }

        return new SmcException(
            SmcErrorCode.DnsUnavailable, $"{what}: {endpoint.Authority} does not answer: {Line(inner.Message)}", exception, target: endpoint.Authority);
    }

    public static SmcException NotRoute53(string what, Uri endpoint, Exception exception) => new(
        SmcErrorCode.DnsUnavailable,
        $"{what}: what {endpoint.Authority} answers is not Route 53's: {Line(exception.Message)}",
        exception,
        "Check the endpoint under dns in the site file, AWS_ENDPOINT_URL_ROUTE_53 and AWS_ENDPOINT_URL, and whether a proxy answers in its place.",
        endpoint.Authority);

    public static SmcException NoCredentials(string what, Exception exception) => new(
        SmcErrorCode.DnsAccessDenied,
        $"{what}: there are no credentials to use: {Line(exception.Message)}",
        exception,
        "Give credentials where the AWS tools look for them: a role of this machine, AWS_PROFILE, 'aws sso login', or 'profile' under dns in the site file.");

    /// <summary>A sentence of bounded length: a server's text may hold anything.</summary>
    private static string Line(string text)
    {
        StringBuilder line = new();
        foreach (char c in text.Trim())
        {
            if (line.Length == 600)
            {
                line.Append('…');
                break;
            }

            line.Append(char.IsControl(c) ? ' ' : c);
        }

        return line.Length > 0 && line[^1] is '.' or '…' ? line.ToString() : line.Append('.').ToString();
    }

    private static string Said(HttpStatusCode status, string code, string message)
    {
        string words = Line(message);
        string answer = $"The server answers {(int)status}{(code.Length > 0 ? " " + code : "")}";
        return words.Length < 2 || message == code ? answer + "." : $"{answer}: {words}";
    }
}
