namespace SmcDr.Core.Sites;

/// <summary>How commands run in a region's cluster, as Jobs.</summary>
public sealed record JobSettings : ISiteRules
{
    [SiteKey("The image of smcdr, such as registry.example.com/smcdr:0.1.0.", Kind = SiteValueKind.Image)]
    public required string Image { get; init; }

    [SiteKey("The ServiceAccount that pods have; without it, the namespace's default one.", Kind = SiteValueKind.ObjectName)]
    public string? ServiceAccount { get; init; }

    [SiteKey("The Secrets by which the image is pulled.", Kind = SiteValueKind.ObjectName)]
    public IReadOnlyList<string> ImagePullSecrets { get; init; } = [];

    [SiteKey("Secrets of the namespace of which each key is an environment variable in the pod: for env: references, and the object store's credentials.",
        Kind = SiteValueKind.ObjectName)]
    public IReadOnlyList<string> EnvironmentSecrets { get; init; } = [];

    [SiteKey("Secrets, ConfigMaps and claims that pods have in directories: for file: references, certificates, and what is kept in files.")]
    public IReadOnlyList<JobMountSettings> Mounts { get; init; } = [];

    [SiteKey("What of a processor a pod is sure of, such as 500m or 2.", Kind = SiteValueKind.CpuQuantity)]
    public string Cpu { get; init; } = "250m";

    [SiteKey("The memory that a pod is sure of, such as 512MiB.")]
    public long Memory { get; init; } = 256L << 20;

    [SiteKey("The memory that a pod may take, such as 2GiB; one that takes more is killed.")]
    public long MemoryLimit { get; init; } = 2L << 30;

    [SiteKey("How long a Job stays when it is over, and its log with it.")]
    public TimeSpan TimeToLive { get; init; } = TimeSpan.FromHours(1);

    [SiteKey("How long a pod may take to start, its image being pulled.")]
    public TimeSpan StartTimeout { get; init; } = TimeSpan.FromMinutes(3);

    IEnumerable<(string Key, string Problem)> ISiteRules.FindProblems()
    {
        if (MemoryLimit < Memory)
        {
            yield return ("memoryLimit", $"is less than memory, which is {SizeText.Format(Memory)}");
        }

        foreach (IGrouping<string, JobMountSettings> same in Mounts.GroupBy(static mount => mount.Path).Where(static mounts => mounts.Count() > 1))
        {
            yield return ("mounts", $"has {same.Count()} entries of the path '{same.Key}'");
        }
    }
}
