namespace SmcDr.Core.Kubernetes.Workloads;

/// <summary>A workload by its kind and name, as a site file writes it.</summary>
/// <param name="Kind">The kind.</param>
/// <param name="Name">The name.</param>
public sealed record WorkloadName(WorkloadKind Kind, string Name)
{
    /// <summary>Reads <c>deployment/trading-engine</c>.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>.</exception>
    public static WorkloadName Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        string[] parts = text.Split('/');
        return parts.Length == 2 && parts[1].Length > 0 && !char.IsAsciiDigit(parts[0].FirstOrDefault()) &&
            Enum.TryParse(parts[0], ignoreCase: true, out WorkloadKind kind) && Enum.IsDefined(kind)
            ? new WorkloadName(kind, parts[1])
            : throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"'{KubeText.Clean(text, 100)}' is no workload.",
                recommendation: "Write its kind and its name, such as deployment/trading-engine or statefulset/postgres.",
                target: text);
    }

    /// <summary>The kind in lower case and the name, as a site file has them.</summary>
#pragma warning disable CA1308 // Kubernetes writes kinds in lower case where they stand before names.
    public override string ToString() => $"{Kind.ToString().ToLowerInvariant()}/{Name}";
#pragma warning restore CA1308
}
