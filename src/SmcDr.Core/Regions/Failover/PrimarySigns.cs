using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Recovery;

namespace SmcDr.Core.Regions.Failover;

/// <summary>What signs of life a primary gives, looked for from several sides.</summary>
/// <remarks>
/// That it does not answer us says little: it may be slow, full, or behind a link that only we have lost. Whoever else hears it, its standby or its own host,
/// keeps it from being taken for dead.
/// </remarks>
internal static class PrimarySigns
{
    private const int Attempts = 3;
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(2);

    // An idle primary is heard of when it answers the question that a standby asks after half of wal_receiver_timeout, which is a minute.
    private static readonly TimeSpan s_heard = TimeSpan.FromSeconds(40);

    /// <summary>Looks. Each sign is a sentence; none means that nobody has found any.</summary>
    /// <returns>The signs, and how the primary answered at last.</returns>
    public static async Task<(IReadOnlyList<string> Signs, DatabaseSighting Primary)> FindAsync(
        FailoverWork work, DatabaseSighting standby, IOperationObserver observer, CancellationToken cancellationToken)
    {
        List<string> signs = [];
        DatabaseSighting primary = await work.LookAtOldAsync(cancellationToken).ConfigureAwait(false);
        for (int attempt = 1; !primary.IsPresent && attempt < Attempts; attempt++)
        {
            observer.Verbose($"Attempt {attempt}: {primary.Problem}");
            await Task.Delay(s_pause, cancellationToken).ConfigureAwait(false);
            primary = await work.LookAtOldAsync(cancellationToken).ConfigureAwait(false);
        }

        if (primary.IsReachable)
        {
            signs.Add(primary.IsStandby
                ? $"PostgreSQL at {primary.Server} answers, as a standby."
                : $"PostgreSQL at {primary.Server} answers, and its WAL ends at {primary.Lsn}.");
        }
        else if (primary.IsPresent)
        {
            signs.Add($"Somebody is there: {primary.Problem}");
        }

        if (standby is { IsStreaming: true, SinceHeard: { } since } && since < s_heard)
        {
            signs.Add($"The standby at {standby.Server} streams from it, and heard of it {DisplayText.Duration(since)} ago.");
        }

        if (!primary.IsReachable && work.OldDirectory is { } directory && HostServer.FindRunning(directory) is { } running)
        {
            signs.Add(FormattableString.Invariant($"Its server runs on this host, in '{directory}' (process {running.ProcessId})."));
        }

        if (!primary.IsReachable && work.From is { Database.Workload: { } workload, Kubernetes: not null })
        {
            try
            {
                string state = await work.WithWorkloadsAsync(
                    work.From,
                    observer,
                    async workloads => (await workloads.GetAsync(WorkloadName.Parse(workload), cancellationToken).ConfigureAwait(false)).State,
                    cancellationToken).ConfigureAwait(false);
                if (state == "Running")
                {
                    signs.Add($"Its workload '{workload}' is running and ready.");
                }
            }
            catch (SmcException e)
            {
                observer.Verbose($"Its cluster does not answer: {e.Message}");
            }
        }

        return (signs, primary);
    }
}
