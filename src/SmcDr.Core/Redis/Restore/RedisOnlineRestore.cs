using System.Globalization;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Redis.Restore;

/// <summary>
/// Restores a backup to a server or cluster that is in use: every key of its RDB as a <c>RESTORE … REPLACE</c>, over several connections.
/// </summary>
/// <remarks>
/// The user that connects needs, of an ACL, <c>~* +info +time +select +restore</c>; to empty the server <c>+flushall</c> or <c>+flushdb</c>, for
/// functions <c>+function|restore</c>, for a cluster <c>+cluster|slots</c>, and to compare afterwards <c>+dump +pexpiretime</c>. With
/// <c>+config|get</c> and <c>+client|list</c> more is known beforehand. Before Redis 7.2 a key that is compared counts as used.
/// </remarks>
public sealed class RedisOnlineRestore : IRedisRestore
{
    internal const string Activity = "Redis restore";

    private readonly RedisConnector _connector;
    private readonly BackupReader _backup;
    private readonly RedisRestoreOptions _options;
    private readonly KeySelection _selection;

    /// <summary>Creates the restore; nothing is done yet.</summary>
    /// <param name="connector">The server, or any node of the cluster.</param>
    /// <param name="backup">The backup.</param>
    /// <param name="options">What, and how.</param>
    public RedisOnlineRestore(RedisConnector connector, BackupReader backup, RedisRestoreOptions options)
    {
        ArgumentNullException.ThrowIfNull(connector);
        ArgumentNullException.ThrowIfNull(backup);
        ArgumentNullException.ThrowIfNull(options);
        if (options.Databases.Any(static database => database < 0) || options.KeyPatterns.Any(string.IsNullOrEmpty))
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "A database's number is negative, or a pattern of keys is empty.",
                recommendation: "Give databases as 0, 1 and so on, and patterns such as 'user:*'.");
        }

        if (options.Parallelism is < 1 or > RedisRestoreOptions.MaximumParallelism)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                string.Create(CultureInfo.InvariantCulture, $"{options.Parallelism} connections are none, or too many."),
                recommendation: string.Create(CultureInfo.InvariantCulture, $"Use 1 to {RedisRestoreOptions.MaximumParallelism} connections; a server does the work in one thread."));
        }

        (_connector, _backup, _options) = (connector, backup, options);
        _selection = new KeySelection(options.Databases, options.KeyPatterns);
    }

    /// <inheritdoc/>
    public RedisRestoreMethod Method => RedisRestoreMethod.Online;

    private BackupHeader Header => _backup.Header;

    /// <inheritdoc/>
    public async Task<RedisRestorePlan> PlanAsync(IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(observer);
        try
        {
            RestoreTarget target = await LookAsync(observer, cancellationToken).ConfigureAwait(false);
            IReadOnlyList<RedisDatabaseContent>? databases = _selection.Of(Header.Redis!.Content);
            return new RedisRestorePlan
            {
                BackupId = Header.Id,
                Method = Method,
                Target = target.Display,
                KeyCount = databases?.Sum(static database => database.Keys),
                TargetKeyCount = target.KeyCount,
                ReplacesData = target.KeyCount > 0,
                Steps = [.. Describe(target, databases)],
                Warnings = target.Warnings,
                SuspendFirst = target.SuspendFirst,
            };
        }
        finally
        {
            observer.Progress(new OperationProgress(Activity, "Done") { IsCompleted = true });
        }
    }

    /// <inheritdoc/>
    public async Task<RedisRestoreResult> RunAsync(IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(observer);
        CountingObserver counting = new(observer);
        try
        {
            RestoreTarget target = await LookAsync(counting, cancellationToken).ConfigureAwait(false);
            foreach (string warning in target.Warnings)
            {
                counting.Warning(warning);
            }

            if (target.SuspendFirst is { } suspend)
            {
                counting.Warning(suspend);
            }

            using RestoreRun run = new(_backup, target, _selection, _options, counting);
            return await run.ExecuteAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            observer.Progress(new OperationProgress(Activity, "Done") { IsCompleted = true });
        }
    }

    private async Task<RestoreTarget> LookAsync(IOperationObserver observer, CancellationToken cancellationToken)
    {
        RestorePreflight.CheckBackup(Header, _selection);
        RestoreTarget target = await new RestorePreflight(_connector, Header, _selection, _options, observer).RunAsync(cancellationToken).ConfigureAwait(false);
        if (target.DumpVersion < Header.Redis!.RdbVersion)
        {
            await OlderServer.CheckAsync(_backup, target, _selection, observer, cancellationToken).ConfigureAwait(false);
        }

        return target;
    }

    private IEnumerable<string> Describe(RestoreTarget target, IReadOnlyList<RedisDatabaseContent>? databases)
    {
        CultureInfo culture = CultureInfo.InvariantCulture;
        RedisInfo info = target.Nodes[0].Info;
        string where = target.IsCluster
            ? string.Create(culture, $"the cluster of Redis {info.Version} at {target.Display} with {target.Nodes.Count} masters")
            : $"Redis {info.Version} at {target.Display}";
        string keys = databases is null ? "the keys"
            : string.Create(culture, $"{(_selection.HasPatterns ? "of " : "")}{databases.Sum(static database => database.Keys):N0} keys ({DisplayText.Size(databases.Sum(static database => database.Bytes))})");
        yield return $"Restore {keys}{_selection.Describe()} from backup '{Header.Id}' of {DisplayText.Time(Header.StopTime)} to {where}.";

        long there = target.KeyCount;
        if (_options.Empty)
        {
            string what = _selection.Databases.Count == 0
                ? string.Create(culture, $"all {there:N0} keys of {(target.IsCluster ? "the cluster" : "the server")} (FLUSHALL)")
                : string.Create(culture, $"the {target.Nodes.Sum(node => node.Info.Databases.Where(one => _selection.IsDatabaseSelected(one.Database)).Sum(static one => one.Keys)):N0} keys of database {string.Join(", ", _selection.Databases)} (FLUSHDB)");
            yield return $"Before that, remove {what}{(_selection.HasPatterns ? ", also those whose names do not match" : "")}.";
        }
        else if (there > 0)
        {
            yield return string.Create(culture, $"It has {there:N0} keys: those that are in the backup are replaced, the others stay.");
        }

        if (_selection.IsEverything && Header.Redis!.Content?.Functions is { Count: > 0 } functions)
        {
            yield return $"Replace the libraries of functions {string.Join(", ", functions)}.";
        }

        int replicas = target.Nodes.Sum(static node => node.Info.Replicas.Count);
        if (replicas > 0)
        {
            yield return string.Create(culture, $"{replicas} replica{(replicas == 1 ? " receives" : "s receive")} the same from {(target.IsCluster ? "their masters" : "it")}.");
        }

        yield return $"Compare the number of keys{(target.CanCompare ? string.Create(culture, $", and up to {_options.SampleSize:N0} values,") : "")} with the backup.";
    }
}
