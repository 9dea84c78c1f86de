using System.Globalization;

namespace SmcDr.Core.Leases;

/// <summary>Who is at work on a site: what a lease says.</summary>
internal sealed record LeaseHolder : ClaimHolder
{
    /// <summary>The account on the host.</summary>
    public required string User { get; init; }

    /// <summary>What is done, as a command says it, such as <c>Restore-SmcSystem</c>.</summary>
    public required string Operation { get; init; }

    /// <summary>The plan that is carried out; null where there is none.</summary>
    public string? PlanId { get; init; }

    /// <summary>This process.</summary>
    public static LeaseHolder Create(string operation, string? planId, TimeSpan expiry) => new()
    {
        Host = Environment.MachineName,
        ProcessId = Environment.ProcessId,
        ProcessStart = OwnStart,
        Kernel = OwnKernel,
        Since = DateTimeOffset.UtcNow,
        ExpiresAfterSeconds = expiry.TotalSeconds,
        User = Environment.UserName,
        Operation = operation,
        PlanId = planId,
    };

    /// <summary>For messages.</summary>
    public string Describe() =>
        $"{Operation}, by {User} on {Host} (process {ProcessId.ToString(CultureInfo.InvariantCulture)}) since {DisplayText.Time(Since)}" +
        (PlanId is null ? "" : $", plan '{PlanId}'");
}
