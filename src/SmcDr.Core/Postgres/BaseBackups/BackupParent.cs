using System.Globalization;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>The backup that an incremental one builds on.</summary>
internal sealed class BackupParent : IAsyncDisposable
{
    /// <summary>
    /// File times count whole seconds, so a file that was changed after it was copied may look the same for the rest of the second. The margin
    /// is for file systems that are less exact, and for clocks that are being slewed.
    /// </summary>
    private static readonly TimeSpan s_margin = TimeSpan.FromSeconds(2);

    private readonly StreamedManifest _manifest;
    private readonly Dictionary<string, HashSet<long>> _damaged = new(StringComparer.Ordinal);

    private BackupParent(BackupReader reader, StreamedManifest manifest)
    {
        Reader = reader;
        _manifest = manifest;
        foreach (string name in Details.DamagedPages)
        {
            // As PageVerifier writes them: a path, the word, a number.
            string[] parts = name.Split(" block ");
            if (parts is [string path, string number] && long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out long page))
            {
                (_damaged.TryGetValue(path, out HashSet<long>? pages) ? pages : _damaged[path] = []).Add(page);
            }
        }
    }

    public BackupReader Reader { get; }

    public string Id => Reader.Header.Id;

    /// <summary>Where it starts, if the server had data checksums then; null where it had not.</summary>
    public Lsn? StartLsnWithChecksums => Details.DataChecksums ? Details.StartLsn : null;

    /// <summary>
    /// Chooses the newest backup that can be built on. Damage of one is told and is no reason for having no backup, but for an older parent,
    /// or none.
    /// </summary>
    /// <param name="repository">Where it is looked for.</param>
    /// <param name="facts">The server.</param>
    /// <param name="position">Where the server's WAL is.</param>
    /// <param name="options">Whether one is wanted.</param>
    /// <param name="refused">Backups that have turned out not to be there.</param>
    /// <param name="observer">Is told why one cannot be built on.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<BackupParent?> ChooseAsync(
        Repository repository, ServerFacts facts, ServerPosition position, BaseBackupOptions options, IReadOnlySet<string> refused,
        IOperationObserver observer, CancellationToken cancellationToken)
    {
        if (options.Full)
        {
            return null;
        }

        List<BackupHeader> headers = [];
        await foreach (BackupEntry entry in repository.ListBackupsAsync(Component.Database, cancellationToken).ConfigureAwait(false))
        {
            if (entry.Problem is not null)
            {
                // No backup builds on a logical one, so nobody is told.
                if (BackupKinds.IsLogical(entry.Start?.Kind))
                {
                    continue;
                }

                observer.Warning($"The backup '{entry.Id}' cannot be built on: {entry.Problem.Message}");
            }
            else if (entry.Header is { Database: { } database } header &&
                database.SystemId == facts.SystemId.ToString(CultureInfo.InvariantCulture) && !refused.Contains(entry.Id))
            {
                headers.Add(header);
            }
        }

        headers.Reverse();
        if (headers.Find(static header => header.Kind == "Full") is not { } full)
        {
            observer.Verbose("There is no full backup of this cluster yet, so this is one.");
            return null;
        }

        if (DateTimeOffset.UtcNow - full.StartTime >= options.FullInterval)
        {
            observer.Verbose($"The last full backup, '{full.Id}', is {options.FullInterval} old or older, so this is one again.");
            return null;
        }

        foreach (BackupHeader header in headers)
        {
            if (Unsuitable(header.Database!, facts, position) is { } reason)
            {
                observer.Verbose($"The backup '{header.Id}' is not built on: {reason}.");
            }
            else if (await OpenAsync(repository, header.Id, observer, cancellationToken).ConfigureAwait(false) is { } parent)
            {
                return parent;
            }
        }

        observer.Warning("No earlier backup can be built on, so everything is copied.");
        return null;
    }

    /// <summary>The parent's entries in ordinal order of their paths.</summary>
    public IAsyncEnumerable<ManifestEntry> ReadEntriesAsync(CancellationToken cancellationToken) => _manifest.ReadEntriesAsync(cancellationToken);

    /// <summary>Finds out whether all that the parent consists of is still there.</summary>
    public Task CheckPacksAsync(CancellationToken cancellationToken) => Reader.CheckPacksAsync(_manifest.Packs, cancellationToken);

    /// <summary>The pages of a file that were damaged when the parent was taken.</summary>
    public IReadOnlySet<long> DamagedPagesOf(string path) => _damaged.TryGetValue(path, out HashSet<long>? pages) ? pages : (IReadOnlySet<long>)new HashSet<long>();

    /// <summary>
    /// Before which time a file must have been changed last to be taken over unread, if its size and time are the parent's; null where its
    /// time proves nothing.
    /// </summary>
    /// <remarks>
    /// Times are believed only of the directory that the parent was taken of: after a recovery, or on another host, the same time does not
    /// mean the same content. Nor after somebody has set the server's clock: back, it passes the same second twice.
    /// </remarks>
    public DateTimeOffset? UnchangedBefore(ServerFacts facts, ServerPosition position, ServerClock clock, IOperationObserver observer)
    {
        if (Details.Timeline != position.Timeline || Details.DataDirectory != facts.DataDirectory || Details.ServerKey != facts.ServerKey)
        {
            observer.Verbose("Every file is compared, since the parent is of another timeline, server or data directory.");
            return null;
        }

        DateTimeOffset? limit = TimeLimit(Details, clock);
        if (limit is null)
        {
            observer.Verbose("Every file is compared, since the server's clock, or this machine's, was set since the parent was taken.");
        }

        return limit;
    }

    internal static DateTimeOffset? TimeLimit(DatabaseBackupDetails parent, ServerClock clock)
    {
        TimeSpan difference = clock.ServerTime - clock.LocalTime;
        bool wasSet = clock.ServerTime < parent.StopTime || (difference - (parent.StopTime - parent.StopTimeHere)).Duration() > s_margin;
        return parent.CopyStartTime is { } start && !wasSet
            ? DateTimeOffset.FromUnixTimeSeconds(start.ToUnixTimeSeconds()) - s_margin
            : null;
    }

    public ValueTask DisposeAsync() => _manifest.DisposeAsync();

    private DatabaseBackupDetails Details => Reader.Header.Database!;

    private static string? Unsuitable(DatabaseBackupDetails details, ServerFacts facts, ServerPosition position)
    {
        if (details.BlockSize != facts.BlockSize)
        {
            return $"its pages have {details.BlockSize} bytes";
        }

        if (details.PageChecksumErrors > details.DamagedPages.Count)
        {
            // Those that it does not name would be taken over unseen.
            return "it has more damaged pages than it names";
        }

        return position.Includes(details.Timeline, details.StopLsn)
            ? null
            : $"its end, {details.StopLsn} on timeline {details.Timeline}, is not in the server's history";
    }

    private static async Task<BackupParent?> OpenAsync(
        Repository repository, string id, IOperationObserver observer, CancellationToken cancellationToken)
    {
        StreamedManifest? manifest = null;
        try
        {
            BackupReader reader = await repository.OpenBackupAsync(Component.Database, id, cancellationToken).ConfigureAwait(false);
            manifest = await reader.OpenManifestAsync(cancellationToken).ConfigureAwait(false);
            await reader.CheckPacksAsync(manifest.Packs, cancellationToken).ConfigureAwait(false);

            // To its end, before anything hangs on it.
            await foreach (ManifestEntry entry in manifest.ReadEntriesAsync(cancellationToken).ConfigureAwait(false))
            {
                _ = entry;
            }

            return new BackupParent(reader, manifest);
        }
        catch (SmcException e) when (SmcErrors.IsDamage(e.Code) || e.Code is SmcErrorCode.KeyMissing or SmcErrorCode.ObjectNotFound or
            SmcErrorCode.BackupIncomplete or SmcErrorCode.BackupNotFound or SmcErrorCode.RepositoryFormatUnknown)
        {
            observer.Warning($"The backup '{id}' cannot be built on: {e.Message}");
            if (manifest is not null)
            {
                await manifest.DisposeAsync().ConfigureAwait(false);
            }

            return null;
        }
    }
}
