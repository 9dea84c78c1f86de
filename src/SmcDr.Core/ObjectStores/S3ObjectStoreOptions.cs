using Amazon.Runtime;

namespace SmcDr.Core.ObjectStores;

/// <summary>What tests set and users do not: the sizes and patience of an S3 store.</summary>
internal sealed record S3ObjectStoreOptions
{
    /// <summary>Credentials; the usual chain of the AWS tools where null.</summary>
    public AWSCredentials? Credentials { get; init; }

    /// <summary>How many objects one page of a list holds. S3 answers with 1000 at most.</summary>
    public int PageSize { get; init; } = 1000;

    /// <summary>How many parts of an upload are under way at once, while they are small.</summary>
    public int Parallelism { get; init; } = 4;

    /// <summary>How often a request is sent again after a failure that may pass. The SDK waits up to 20 s in between, with jitter.</summary>
    public int Retries { get; init; } = 6;

    /// <summary>How long a server may be silent before a request or a read counts as broken.</summary>
    public TimeSpan Silence { get; init; } = TimeSpan.FromSeconds(45);
}
