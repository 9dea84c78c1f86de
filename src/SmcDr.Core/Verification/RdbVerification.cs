using System.Globalization;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Redis;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Verification;

/// <summary>Walks the RDB of a Redis backup to its checksum, as a server does that loads it.</summary>
internal static class RdbVerification
{
    /// <summary>What is wrong with the RDB, or null.</summary>
    /// <param name="backup">The backup.</param>
    /// <param name="details">What it says of itself.</param>
    /// <param name="wasVerified">Whether a pack was read before; where all were, so was the RDB in them.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<BackupProblem?> FindProblemAsync(
        BackupReader backup, RedisBackupDetails details, Func<PackReference, bool> wasVerified, CancellationToken cancellationToken)
    {
        string id = backup.Header.Id;
        Manifest manifest = await backup.ReadManifestAsync(cancellationToken).ConfigureAwait(false);
        if (manifest.Packs.Count > 0 && manifest.Packs.All(wasVerified))
        {
            return null;
        }

        if (manifest.Entries.FirstOrDefault(entry => entry.Path == details.Path) is not { } file)
        {
            return Problem(id, SmcErrorCode.ManifestInvalid, $"The backup '{id}' has no file '{details.Path}', which it says is its RDB.");
        }

        string source = $"the backup '{id}'";
        RdbIntegrity integrity = new(source);
        RdbInspector inspector = new(source, NullObserver.Instance);
        await using (inspector.ConfigureAwait(false))
        {
            try
            {
                await DumpReader.ReadAsync(
                    backup,
                    file,
                    async (part, token) =>
                    {
                        integrity.Append(part.Span);
                        await inspector.ObserveAsync(part, token).ConfigureAwait(false);
                        return true;
                    },
                    cancellationToken).ConfigureAwait(false);
                integrity.Complete();
                await inspector.CompleteAsync(integrity, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (e.Code is SmcErrorCode.BackupInterrupted or SmcErrorCode.RdbInvalid or SmcErrorCode.VersionUnsupported)
            {
                // What a transfer calls interrupted is damaged here.
                return Problem(id, SmcErrorCode.RdbInvalid, e.Message);
            }

            // A reader that has learned nothing new since then counts the same keys.
            return inspector.Describe(details) is { Content: { } found } && details.Content is { } stated && found.Keys != stated.Keys
                ? Problem(id, SmcErrorCode.ManifestInvalid, string.Create(
                    CultureInfo.InvariantCulture, $"The backup '{id}' says that it holds {stated.Keys} keys, and its RDB holds {found.Keys}."))
                : null;
        }
    }

    private static BackupProblem Problem(string id, SmcErrorCode code, string message) => new(id, SmcErrors.Get(code).ErrorId, message);
}
