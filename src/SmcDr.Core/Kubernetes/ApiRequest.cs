namespace SmcDr.Core.Kubernetes;

/// <summary>A request to the API server.</summary>
internal sealed record ApiRequest(HttpMethod Method, string Path)
{
    /// <summary>What is done, as RBAC calls it: <c>get</c>, <c>list</c>, <c>patch</c>.</summary>
    public string Verb { get; init; } = "get";

    /// <summary>What it is done with, for messages, such as <c>deployments.apps</c>.</summary>
    public string Resource { get; init; } = "";

    public string? Namespace { get; init; }

    public string? Name { get; init; }

    public ReadOnlyMemory<byte>? Body { get; init; }

    public string ContentType { get; init; } = "application/json";

    public string Accept { get; init; } = "application/json";

    /// <summary>Whether doing it twice is the same as once, so that it may be sent again when it is not known whether it was done.</summary>
    public bool IsIdempotent { get; init; } = true;

    /// <summary>The thing for messages, such as <c>'deployments.apps/web' in the namespace 'prod'</c>.</summary>
    public string Display =>
        (Resource.Length == 0 ? $"'{Path}'" : Name is null ? $"'{Resource}'" : $"'{Resource}/{Name}'")
        + (Namespace is null ? "" : $" in the namespace '{Namespace}'");

    public string Target => (Namespace is null ? "" : Namespace + "/") + (Resource.Length == 0 ? Path : Resource) + (Name is null ? "" : "/" + Name);
}
