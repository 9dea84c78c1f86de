namespace SmcDr.Core.Platform;

/// <summary>What goes wrong on the way to a server, as those see it who want the server.</summary>
internal static class RouteErrors
{
    /// <summary>The error for a way that is closed for now: the server is away, as it is when its pod is being replaced. Others stay as they are.</summary>
    /// <param name="failure">What happened on the way.</param>
    /// <param name="server">The server, such as <c>PostgreSQL at orders-db:5432</c>.</param>
    public static SmcException Translate(SmcException failure, string server) =>
        failure.Code is SmcErrorCode.PodNotStarted or SmcErrorCode.PodStreamBroken or SmcErrorCode.ClusterUnavailable
            ? new SmcException(
                SmcErrorCode.ServerUnavailable, $"{server} cannot be reached: {failure.Message}", failure, failure.Recommendation, failure.Target)
            : failure;
}
