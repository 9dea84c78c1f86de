using System.Diagnostics;
using System.Globalization;
using System.Text;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>
/// Writes the files of a base backup to a volume, through a pod that has it. As on a host the control file comes last, and a second run sends only what
/// the first one had not proven.
/// </summary>
/// <param name="shell">The pod.</param>
/// <param name="root">The directory; the one above it is there.</param>
/// <param name="folder">A folder on the same volume for what is not yet in its place.</param>
/// <param name="owner">User and group that will own everything, by number; null = those of the container.</param>
/// <param name="observer">Is told decisions and progress.</param>
internal sealed class PodBaseRestore(PodShell shell, string root, string folder, string? owner, IOperationObserver observer)
{
    private const long CacheSize = 64L << 20;

    // Portions of one connection that may be on the way or being hashed in the pod.
    private const int Window = 3;

    // $1 the directory, $2 the mask, $3 how many lines follow: mode and path of each directory below it.
    private const string DirectoriesScript = """
        umask "$2"
        mkdir -p "$1" && cd "$1" || exit 74
        n=$3
        while [ "$n" -gt 0 ]; do
          IFS=' ' read -r m p || exit 76
          mkdir -p "$p" && chmod "$m" "$p" || exit 74
          n=$((n - 1))
        done
        """;

    // $1 the directory, $2 the owner or nothing, $3 how many lines follow: mode, length or nothing, and path of each file that is not as files of this
    // directory are by default. Other connections of ours have ended, and what they have started must have, too: it may still write.
    private const string FinishScript = """
        cd "$1" || exit 70
        while :; do
          busy=
          for c in /proc/[0-9]*/comm; do
            { read -r x < "$c"; } 2>/dev/null || continue
            [ "$x" != dd ] || busy=1
          done
          [ -n "$busy" ] || break
          sleep 1
        done
        n=$3
        while [ "$n" -gt 0 ]; do
          IFS=' ' read -r m l p || exit 76
          [ "$l" = - ] || truncate -s "$l" "$p" || exit 74
          chmod "$m" "$p" || exit 74
          n=$((n - 1))
        done
        [ -z "$2" ] || chown -R "$2" . || exit 77
        sync -f . 2>/dev/null || sync
        """;

    /// <summary>Restores the files of a base backup.</summary>
    /// <exception cref="SmcException">As of <see cref="BaseRestore.RestoreFilesAsync"/>, and of connections into pods.</exception>
    public async Task<BaseRestoreResult> RunAsync(
        BackupReader reader, Manifest manifest, int parallelism, CancellationToken cancellationToken)
    {
        Stopwatch watch = Stopwatch.StartNew();
        DatabaseBackupDetails details = RestoreContent.DetailsOf(manifest);
        RestoreContent content = new(manifest, RestoreLayout.Relative());
        await reader.CheckPacksAsync(manifest, cancellationToken).ConfigureAwait(false);
        await content.ReadSpecialFilesAsync(reader, parallelism, cancellationToken).ConfigureAwait(false);
        if (content.Files.FirstOrDefault(static file => file.Path.AsSpan().ContainsAny('\n', '\r')) is { } odd)
        {
            throw new SmcException(
                SmcErrorCode.BackupUnsuitable, $"The backup '{manifest.Header.Id}' holds a file with a line break in its name, '{KubeText.Clean(odd.Path)}'.", target: manifest.Header.Id);
        }

        string umask = Octal(0x1FF & ~details.DirectoryMode);
        await MakeDirectoriesAsync(content, umask, details.DirectoryMode, cancellationToken).ConfigureAwait(false);
        IReadOnlyList<PodRestoreRegion> regions = PodRestoreRegion.Divide(content.Files);
        string notes = $"{folder}/notes-{manifest.Header.Id}";
        HashSet<int> known = await PodTreeWriter.ReadNotesAsync(shell, root, notes, cancellationToken).ConfigureAwait(false);
        // What several small files are made of is sent again: only stretches are noted.
        List<int> missing = [.. Enumerable.Range(0, regions.Count).Where(number => !known.Contains(number) || !regions[number].IsStretch)];
        long kept = regions.Sum(static region => (long)region.Length) - missing.Sum(number => (long)regions[number].Length);
        if (kept > 0)
        {
            observer.Verbose($"'{root}' holds {DisplayText.Size(kept)} of what an earlier, interrupted restore of '{manifest.Header.Id}' brought.");
        }

        await SendAsync(reader, manifest.Header, regions, missing, umask, notes, parallelism, cancellationToken).ConfigureAwait(false);
        observer.Progress(new OperationProgress(BaseRestore.Activity, "Making it durable", manifest.Header.SizeBytes, manifest.Header.SizeBytes));
        await FinishAsync(content, details, cancellationToken).ConfigureAwait(false);
        await shell.WriteAsync(
            $"{root}/{ControlFile.RelativePath}", content.Special[ControlFile.RelativePath], Octal(RestoreContent.FileMode(details)), owner, cancellationToken)
            .ConfigureAwait(false);
        await shell.RunAsync("Removing notes", "rm -f \"$1\"", cancellationToken, notes).ConfigureAwait(false);
        return new BaseRestoreResult(
            root, manifest.Header.FileCount, manifest.Header.SizeBytes, 0, kept, content.Files.Sum(static file => file.Entry.Size) - kept, 0, watch.Elapsed);
    }

    private static string Octal(int mode) => Convert.ToString(mode, 8);

    private async Task MakeDirectoriesAsync(RestoreContent content, string umask, int mode, CancellationToken cancellationToken)
    {
        string lines = string.Concat(content.Directories.Select(static d => $"{Octal(d.Mode)} {d.Path.Replace('\\', '/')}\n"));
        await shell.FeedAsync(
            $"Making directories below '{root}'",
            DirectoriesScript + $"\nchmod {Octal(mode)} .\n",
            Encoding.UTF8.GetBytes(lines),
            cancellationToken,
            root, umask, content.Directories.Count.ToString(CultureInfo.InvariantCulture)).ConfigureAwait(false);
    }

    private async Task FinishAsync(RestoreContent content, DatabaseBackupDetails details, CancellationToken cancellationToken)
    {
        // What PostgreSQL's own map would say is set by the recovery itself.
        List<string> lines = [];
        int usual = RestoreContent.FileMode(details);
        foreach (RestoreFile file in content.Files)
        {
            int mode = file.Entry.Mode == 0 ? usual : file.Entry.Mode;
            bool hasHoles = file.Entry.Extents.Any(static extent => extent.Block is null);
            if (mode != usual || hasHoles)
            {
                lines.Add(string.Create(
                    CultureInfo.InvariantCulture, $"{Octal(mode)} {(hasHoles ? file.Entry.Size.ToString(CultureInfo.InvariantCulture) : "-")} {file.Entry.Path}\n"));
            }
        }

        await shell.FeedAsync(
            $"Making '{root}' durable",
            FinishScript,
            Encoding.UTF8.GetBytes(string.Concat(lines)),
            cancellationToken,
            root, owner ?? "", lines.Count.ToString(CultureInfo.InvariantCulture)).ConfigureAwait(false);
    }

    private async Task SendAsync(
        BackupReader reader,
        BackupHeader backup,
        IReadOnlyList<PodRestoreRegion> regions,
        List<int> missing,
        string umask,
        string notes,
        int parallelism,
        CancellationToken cancellationToken)
    {
        BlockCache cache = new(CacheSize);
        foreach (BlockReference block in missing.SelectMany(number => BlocksOf(regions[number])))
        {
            cache.Announce(block);
        }

        long done = backup.SizeBytes - missing.Sum(number => (long)regions[number].Length);
        PodTreeWriter[] writers = [.. Enumerable.Range(0, parallelism).Select(_ => new PodTreeWriter(shell, root, umask, folder, notes, observer))];
        try
        {
            await Parallel.ForEachAsync(
                missing.Index(),
                new ParallelOptions { MaxDegreeOfParallelism = parallelism * Window, CancellationToken = cancellationToken },
                async (item, token) =>
                {
                    PodRestoreRegion region = regions[item.Item];
                    byte[] buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(Math.Max(1, region.Length));
                    try
                    {
                        await FillAsync(reader, backup, region, buffer, cache, token).ConfigureAwait(false);
                        ReadOnlyMemory<byte> bytes = buffer.AsMemory(0, region.Length);
                        PodTreeWriter writer = writers[item.Index % writers.Length];
                        await (region.IsStretch && region.Pieces[0] is var piece
                            ? writer.PutAsync(item.Item, new PodTreePart(piece.File.Entry.Path, piece.Offset, piece.Length), bytes, token)
                            : writer.PutAsync(
                                item.Item, [.. region.Pieces.Select(static p => new PodTreePart(p.File.Entry.Path, 0, p.Length))], bytes, token))
                            .ConfigureAwait(false);
                    }
                    finally
                    {
                        System.Buffers.ArrayPool<byte>.Shared.Return(buffer);
                    }

                    observer.Progress(new OperationProgress(
                        BaseRestore.Activity, region.Pieces[0].File.Entry.Path, Interlocked.Add(ref done, region.Length), backup.SizeBytes));
                }).ConfigureAwait(false);
        }
        finally
        {
            foreach (PodTreeWriter writer in writers)
            {
                await writer.DisposeAsync().ConfigureAwait(false);
            }

            observer.Progress(new OperationProgress(BaseRestore.Activity, "Done") { IsCompleted = true });
        }
    }

    private static IEnumerable<BlockReference> BlocksOf(PodRestoreRegion region) => region.Pieces
        .SelectMany(static piece => piece.Extents)
        .Select(static extent => extent.Block)
        .OfType<BlockReference>()
        .Distinct<BlockReference>(ReferenceEqualityComparer.Instance);

    private static async Task FillAsync(
        BackupReader reader, BackupHeader backup, PodRestoreRegion region, byte[] buffer, BlockCache cache, CancellationToken cancellationToken)
    {
        Array.Clear(buffer, 0, region.Length);
        Dictionary<BlockReference, List<(int At, FileExtent Extent)>> places = new(ReferenceEqualityComparer.Instance);
        int at = 0;
        foreach (FileExtent extent in region.Pieces.SelectMany(static piece => piece.Extents))
        {
            if (extent.Block is { } block)
            {
                if (!places.TryGetValue(block, out List<(int, FileExtent)>? list))
                {
                    places[block] = list = [];
                }

                list.Add((at, extent));
            }

            at += extent.Length;
        }

        List<BlockReference> wanted = [];
        foreach (BlockReference block in places.Keys)
        {
            if (cache.Take(block) is { } kept)
            {
                Copy(block, kept);
            }
            else
            {
                wanted.Add(block);
            }
        }

        await reader.ReadBlocksAsync(
            wanted,
            1,
            (index, content, _) =>
            {
                Copy(wanted[index], content);
                cache.Offer(wanted[index], content);
                return ValueTask.CompletedTask;
            },
            cancellationToken).ConfigureAwait(false);

        int begin = 0;
        foreach (PodRestorePiece piece in region.Pieces)
        {
            ManifestEntry entry = piece.File.Entry;
            if (entry.Hash is { } hash && piece.Length == entry.Size && Hash256.Compute(buffer.AsSpan(begin, piece.Length)) != hash)
            {
                throw RestoreContent.Damaged(backup, entry);
            }

            begin += piece.Length;
        }

        void Copy(BlockReference block, ReadOnlyMemory<byte> content)
        {
            foreach ((int place, FileExtent extent) in places[block])
            {
                content.Slice(extent.Start, extent.Length).CopyTo(buffer.AsMemory(place));
            }
        }
    }
}
