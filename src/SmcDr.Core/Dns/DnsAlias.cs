namespace SmcDr.Core.Dns;

/// <summary>What an alias record of Route 53 answers with: the addresses of something else in AWS.</summary>
public sealed record DnsAlias
{
    /// <summary>The hosted zone that the target is in; each kind of service has its own.</summary>
    public required string HostedZoneId { get; init; }

    /// <summary>The target.</summary>
    public required DnsName Name { get; init; }

    /// <summary>Whether the target's health decides over the alias.</summary>
    public bool EvaluateTargetHealth { get; init; }
}
