namespace SmcDr.Core.Kubernetes;

/// <summary>A kind of object that a cluster has, and where it is found in its API.</summary>
public sealed record KubernetesResource
{
    /// <summary>The API group; empty = the core group.</summary>
    public string Group { get; init; } = "";

    public required string Version { get; init; }

    /// <summary>The name in addresses, such as <c>deployments</c>.</summary>
    public required string Plural { get; init; }

    public required string Kind { get; init; }

    public string Singular { get; init; } = "";

    public required bool IsNamespaced { get; init; }

    public IReadOnlyList<string> Verbs { get; init; } = [];

    public IReadOnlyList<string> ShortNames { get; init; } = [];

    /// <summary>The parts that have an address of their own, such as <c>scale</c>.</summary>
    public IReadOnlyList<string> Subresources { get; init; } = [];

    /// <summary>Whether the group's preferred version that has this kind is this one.</summary>
    public bool IsPreferred { get; init; } = true;

    public string ApiVersion => Group.Length == 0 ? Version : $"{Group}/{Version}";

    /// <summary>The name that is unique in a cluster, such as <c>deployments.apps</c>.</summary>
    public string FullName => Group.Length == 0 ? Plural : $"{Plural}.{Group}";

    public static KubernetesResource Pods { get; } = Core("pods", "Pod", true);

    public static KubernetesResource Namespaces { get; } = Core("namespaces", "Namespace", false);

    public static KubernetesResource ConfigMaps { get; } = Core("configmaps", "ConfigMap", true);

    public static KubernetesResource Secrets { get; } = Core("secrets", "Secret", true);

    public bool Can(string verb) => Verbs.Contains(verb, StringComparer.Ordinal);

    /// <summary>The address of an object, of a list (no <paramref name="name"/>), or of a part.</summary>
    /// <exception cref="SmcException">A name cannot be one.</exception>
    internal string PathOf(string? @namespace, string? name = null, string? subresource = null)
    {
        string path = Group.Length == 0 ? $"/api/{Segment(Version)}" : $"/apis/{Segment(Group)}/{Segment(Version)}";
        if (IsNamespaced && @namespace is not null)
        {
            path += "/namespaces/" + Segment(@namespace);
        }

        path += "/" + Segment(Plural);
        if (name is not null)
        {
            path += "/" + Segment(name);
        }

        return subresource is null ? path : path + "/" + subresource;
    }

    private static KubernetesResource Core(string plural, string kind, bool isNamespaced) =>
        new() { Version = "v1", Plural = plural, Kind = kind, IsNamespaced = isNamespaced };

    /// <summary>
    /// A part of an address. Names of objects are checked by the server; here it is only made sure that a name stays one
    /// (apimachinery, pkg/api/validation/path/name.go).
    /// </summary>
    private static string Segment(string text) => text is "" or "." or ".." || text.AsSpan().ContainsAny('/', '%')
        ? throw new SmcException(SmcErrorCode.ArgumentInvalid, $"'{KubeText.Clean(text, 100)}' cannot be a name in Kubernetes.")
        : Uri.EscapeDataString(text);
}
