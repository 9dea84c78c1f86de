using System.Globalization;
using System.Runtime.CompilerServices;
using SmcDr.Core.Operations;
using SmcDr.Core.Redis.Rdb;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Redis.Restore;

/// <summary>
/// Whether a server that is older than the backup's can have its keys all the same. RESTORE looks at the version of a dump only to refuse newer ones;
/// how a value is read depends on its encoding alone. So dumps may state an older version as long as the server knows every encoding, which
/// is found out by reading the whole backup before anything is changed.
/// </summary>
internal static class OlderServer
{
    /// <summary>Looks at every key that is to be restored.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.RdbNewer"/>: the server does not know how some are written.</exception>
    public static async Task CheckAsync(
        BackupReader backup, RestoreTarget target, KeySelection selection, IOperationObserver observer, CancellationToken cancellationToken)
    {
        RedisBackupDetails details = backup.Header.Redis!;
        string server = string.Create(CultureInfo.InvariantCulture, $"Redis {target.Nodes[0].Info.Version} at {target.Display}");
        observer.Verbose($"{server} is older than the backup's Redis {details.ServerVersion}, so the backup is read first to see whether the server knows all that is in it.");
        (SortedDictionary<RdbEncoding, long> unknown, bool hasFunctions) = await CountUnknownAsync(
            backup, target.DumpVersion, selection, observer, cancellationToken).ConfigureAwait(false);
        if (unknown.Count == 0 && !hasFunctions)
        {
            observer.Verbose(string.Create(
                CultureInfo.InvariantCulture,
                $"It knows every encoding of the backup, which is of version {details.RdbVersion}; dumps are written as of version {target.DumpVersion}."));
            return;
        }

        IEnumerable<string> counts = unknown.Select(static pair => string.Create(
            CultureInfo.InvariantCulture, $"{pair.Value:N0} of the type {RdbShapes.TypeOf(pair.Key)} ({pair.Key})"));
        throw new SmcException(
            SmcErrorCode.RdbNewer,
            string.Create(
                CultureInfo.InvariantCulture,
                $"{server} takes dumps up to version {target.DumpVersion}, and the backup '{backup.Header.Id}' of Redis {details.ServerVersion} (version {details.RdbVersion}) has what it cannot read: {string.Join(", ", hasFunctions ? counts.Append("libraries of functions") : counts)}. Nothing was changed."),
            recommendation: $"Restore to Redis {details.ServerVersion} or later.",
            target: target.Display);
    }

    private static async Task<(SortedDictionary<RdbEncoding, long> Unknown, bool HasFunctions)> CountUnknownAsync(
        BackupReader backup, int version, KeySelection selection, IOperationObserver observer, CancellationToken cancellationToken)
    {
        const int VersionWithFunctions = 10;
        SortedDictionary<RdbEncoding, long> unknown = [];
        Manifest manifest = await backup.ReadManifestAsync(cancellationToken).ConfigureAwait(false);
        RdbFile rdb = RdbFile.Open(backup, RdbFile.Find(manifest), cancellationToken);
        await using ConfiguredAsyncDisposable closing = rdb.ConfigureAwait(false);
        RdbReader reader = new(
            rdb.Content, new RdbReaderOptions { Name = $"The RDB of the backup '{backup.Header.Id}'", CheckChecksum = false });
        await using (reader.ConfigureAwait(false))
        {
            while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
            {
                RdbEntry entry = reader.Entry;
                if (RdbShapes.FirstVersionOf(entry.Encoding) > version && selection.IsSelected(entry.Database, entry.Key.Span))
                {
                    unknown[entry.Encoding] = unknown.GetValueOrDefault(entry.Encoding) + 1;
                    observer.Progress(new OperationProgress(
                        RedisOnlineRestore.Activity, "Looking for what the server does not know", reader.Position, backup.Header.SizeBytes));
                }
            }

            return (unknown, selection.IsEverything && version < VersionWithFunctions && reader.Summary.Functions.Count > 0);
        }
    }
}
