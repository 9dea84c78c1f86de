using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;

namespace SmcDr.Core.Kubernetes;

/// <summary>Turns what an API server answers into the error that says what to do about it.</summary>
internal static partial class KubernetesErrors
{
    /// <summary>The Status of an answer, also where a proxy on the way gave it and it holds none.</summary>
    public static KubernetesStatus StatusOf(int code, ReadOnlySpan<byte> body) => KubernetesStatus.TryParse(body) is KubernetesStatus status
        ? status with { Code = status.Code == 0 ? code : status.Code }
        : new KubernetesStatus { Status = "Failure", Code = code };

    public static SmcException Translate(ClusterAccess access, ApiRequest request, KubernetesStatus status, ClusterCredential? credential = null)
    {
        string text = Text(request, status);
        KubernetesStatusException inner = new(status, text);
        string said = text.Length == 0 ? "" : $": {text}";
        SmcException Failure(SmcErrorCode code, string message, string? recommendation = null) =>
            new(code, message, inner, recommendation, request.Target);

        switch (status.Code)
        {
            case 401:
                return Failure(
                    SmcErrorCode.ClusterAuthenticationFailed,
                    $"The cluster '{access.Display}' does not accept {(credential ?? access.Credential).Display}.",
                    (credential ?? access.Credential).Recommendation);
            case 403 or 404 or 409 when status.Causes.Any(static cause => cause.Reason == "NamespaceTerminating")
                || text.Contains("because it is being terminated", StringComparison.Ordinal):
                return Failure(
                    SmcErrorCode.ResourceConflict,
                    $"The namespace '{request.Namespace ?? status.Name}' of the cluster '{access.Display}' is being deleted and takes nothing new.",
                    "Wait until it is gone; if it does not go, kubectl get namespace -o yaml shows in status.conditions what holds it.");
            case 403 when text.Contains("exceeded quota:", StringComparison.Ordinal) || text.Contains("failed quota:", StringComparison.Ordinal):
                return Failure(SmcErrorCode.QuotaExceeded, $"A quota of the cluster '{access.Display}' does not allow {request.Display}{said}.");
            case 403 when RefusedByAccess().Match(text) is { Success: true } match:
                return Failure(
                    SmcErrorCode.ClusterForbidden,
                    $"The user '{match.Groups["user"].Value}' may not {match.Groups["verb"].Value} '{match.Groups["resource"].Value}'"
                        + (match.Groups["group"].Value.Length > 0 ? $" of the API group '{match.Groups["group"].Value}'" : "")
                        + (match.Groups["namespace"].Success ? $" in the namespace '{match.Groups["namespace"].Value}'" : "")
                        + $" of the cluster '{access.Display}'.",
                    string.Create(CultureInfo.InvariantCulture, $"Grant it by a {(match.Groups["namespace"].Success ? "Role and a RoleBinding" : "ClusterRole and a ClusterRoleBinding")}: apiGroups [\"{match.Groups["group"].Value}\"], resources [\"{match.Groups["resource"].Value}\"], verbs [\"{match.Groups["verb"].Value}\"]."));
            case 400 or 403 or 422 or 500 when IsAdmission(text):
                return Failure(
                    SmcErrorCode.AdmissionRefused,
                    text.Contains("failed calling webhook", StringComparison.Ordinal)
                        ? $"An admission webhook of the cluster '{access.Display}' could not be asked about {request.Display}{said}."
                        : $"An admission check of the cluster '{access.Display}' refused to {request.Verb} {request.Display}{said}.",
                    text.Contains("failed calling webhook", StringComparison.Ordinal)
                        ? "Bring the webhook's service up again, or have its owner set failurePolicy to Ignore until it is; what it serves may be what is being restored."
                        : null);
            case 403:
                return Failure(
                    SmcErrorCode.ClusterForbidden,
                    $"The cluster '{access.Display}' does not let the user '{access.User}' {request.Verb} {request.Display}{said}.");
            case 404 when status.Kind == "namespaces" && request.Resource != "namespaces":
                return Failure(
                    SmcErrorCode.ResourceNotFound,
                    $"There is no namespace '{status.Name ?? request.Namespace}' in the cluster '{access.Display}'.");
            case 404:
                return Failure(
                    SmcErrorCode.ResourceNotFound,
                    status.Name is null && request.Name is null
                        ? $"The cluster '{access.Display}' has no {request.Display}{said}."
                        : $"There is no {request.Display} in the cluster '{access.Display}'.");
            case 409 when status.Reason == "AlreadyExists":
                return Failure(
                    SmcErrorCode.ResourceConflict,
                    $"The cluster '{access.Display}' has {request.Display} already.",
                    "Nothing was changed: compare the object with what is wanted, then replace or keep it.");
            case 409 when status.Causes.Any(static cause => cause.Reason == "FieldManagerConflict"):
                string fields = string.Join("; ", status.Causes.Where(static cause => cause.Reason == "FieldManagerConflict").Take(8)
                    .Select(static cause => $"{KubeText.Clean(cause.Field, 200)} ({KubeText.Clean(cause.Message, 100)})"));
                return Failure(
                    SmcErrorCode.ResourceConflict,
                    $"Fields of {request.Display} in the cluster '{access.Display}' belong to others: {fields}.",
                    "Have the other manager let go of the fields, or take them over by force.");
            case 409:
                return Failure(
                    SmcErrorCode.ResourceConflict,
                    $"The cluster '{access.Display}' did not {request.Verb} {request.Display}, which was changed by somebody else meanwhile{said}.");
            case 413:
                return Failure(SmcErrorCode.ResourceInvalid, $"The object {request.Display} is too large for the cluster '{access.Display}'{said}.");
            case 410:
                return Failure(
                    SmcErrorCode.ResourceConflict,
                    $"The cluster '{access.Display}' no longer has the state of {request.Display} that was asked for{said}.",
                    "Run the command again: it begins with the present state.");
            case 429:
                return Failure(
                    SmcErrorCode.ClusterUnavailable,
                    $"The API server of '{access.Display}' has more requests than it takes, and refused to {request.Verb} {request.Display} again and again{said}.",
                    "Wait a moment and run the command again with less parallelism; kubectl get --raw /debug/api_priority_and_fairness/dump_priority_levels shows who is busy.");
            case 400 or 405 or 406 or 415 or 422:
                return Failure(
                    SmcErrorCode.ResourceInvalid, $"The cluster '{access.Display}' does not accept {request.Display} as it is{said}.");
            case 500 when IsTypedRefusal(status):
                return Failure(
                    SmcErrorCode.ResourceInvalid, $"The cluster '{access.Display}' cannot apply {request.Display} as it is{said}.");
            case >= 300 and < 400:
                return Failure(
                    SmcErrorCode.ClusterUnavailable,
                    string.Create(CultureInfo.InvariantCulture, $"What answers at {access.ServerDisplay} redirects to another place (HTTP {status.Code}), which an API server does not."),
                    "Check the address of the cluster in the kubeconfig: a proxy or a login page seems to be in front of it.");
            default:
                return Failure(
                    SmcErrorCode.ClusterUnavailable,
                    string.Create(CultureInfo.InvariantCulture, $"The API server of '{access.Display}' failed to {request.Verb} {request.Display} (HTTP {status.Code} {Reason(status)}){said}."));
        }
    }

    public static SmcException Unreachable(ClusterAccess access, ApiRequest request, Exception cause, string? reason) => new(
        SmcErrorCode.ClusterUnavailable,
        $"The API server of '{access.Display}' at {access.ServerDisplay} cannot be reached: {reason ?? KubeText.Clean(Innermost(cause).Message, 200)}.",
        cause,
        target: request.Target);

    public static SmcException TimedOut(ClusterAccess access, ApiRequest request, TimeSpan limit) => new(
        SmcErrorCode.ClusterUnavailable,
        string.Create(CultureInfo.InvariantCulture, $"The API server of '{access.Display}' at {access.ServerDisplay} did not {request.Verb} {request.Display} within {limit.TotalSeconds:0.#} seconds."),
        target: request.Target);

    private static Exception Innermost(Exception exception)
    {
        while (exception.InnerException is Exception inner)
        {
            exception = inner;
        }

        return exception;
    }

    private static string Reason(KubernetesStatus status) => status.Reason.Length > 0
        ? KubeText.Clean(status.Reason, 60)
        : Enum.IsDefined((HttpStatusCode)status.Code) ? ((HttpStatusCode)status.Code).ToString() : "without a reason";

    /// <summary>
    /// What may be shown of the message. Of a Secret only the fields are named: a validation that fails quotes the value it does not like.
    /// </summary>
    private static string Text(ApiRequest request, KubernetesStatus status)
    {
        if (request.Resource == "secrets" && (status.Code is 400 or 422 || IsTypedRefusal(status)))
        {
            return string.Join("; ", status.Causes.Take(8).Select(static cause => $"{KubeText.Clean(cause.Field, 200)} ({KubeText.Clean(cause.Reason, 60)})"));
        }

        return KubeText.Clean(status.Message);
    }

    /// <summary>
    /// Whether a server-side apply is impossible with the object as it is: a list holds something twice, or the version does not have a field
    /// (apimachinery, pkg/util/managedfields). The server calls that an error of its own, but it stays so however often it is asked.
    /// </summary>
    public static bool IsTypedRefusal(KubernetesStatus status) =>
        status.Message.Contains("typed patch object", StringComparison.Ordinal) || status.Message.Contains("smd typed", StringComparison.Ordinal);

    private static bool IsAdmission(string text) =>
        text.Contains("denied the request", StringComparison.Ordinal)
        || text.Contains("denied request", StringComparison.Ordinal)
        || text.Contains("failed calling webhook", StringComparison.Ordinal)
        || text.Contains("violates PodSecurity", StringComparison.Ordinal);

    // kubernetes/apiserver, pkg/endpoints/handlers/responsewriters/errors.go: forbiddenMessage.
    [GeneratedRegex(
        """User "(?<user>[^"]*)" cannot (?<verb>[\w*]+) (?:resource|path) "(?<resource>[^"]*)"(?: in API group "(?<group>[^"]*)")?(?: in the namespace "(?<namespace>[^"]*)"| at the cluster scope)?""",
        RegexOptions.CultureInvariant)]
    private static partial Regex RefusedByAccess();
}
