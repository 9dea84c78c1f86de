using System.IO.Pipelines;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Redis.Restore;

/// <summary>The RDB of a backup as it comes out of the repository, a few blocks ahead of whoever reads it.</summary>
internal sealed class RdbFile : IAsyncDisposable
{
    private readonly Pipe _pipe = RdbPipe.Create(StreamedFileWriter.BlockSize);

    private readonly Task _fetching;

    private RdbFile(BackupReader backup, ManifestEntry file, CancellationToken cancellationToken)
    {
        _fetching = Task.Run(() => FetchAsync(backup, file, cancellationToken), CancellationToken.None);
    }

    /// <summary>What comes.</summary>
    public PipeReader Content => _pipe.Reader;

    /// <summary>Begins to read.</summary>
    /// <param name="backup">The backup.</param>
    /// <param name="file">Its RDB, or a part of it.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static RdbFile Open(BackupReader backup, ManifestEntry file, CancellationToken cancellationToken) => new(backup, file, cancellationToken);

    /// <summary>Finds the RDB among the files of a backup.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ManifestInvalid"/>: it is not there.</exception>
    public static ManifestEntry Find(Manifest manifest)
    {
        string path = manifest.Header.Redis!.Path;
        return manifest.Entries.FirstOrDefault(entry => entry.Path == path) ?? throw new SmcException(
            SmcErrorCode.ManifestInvalid,
            $"The backup '{manifest.Header.Id}' has no file '{path}', which it says is its RDB.",
            target: manifest.Header.Id);
    }

    /// <summary>Reads a part of it, a few blocks at a time.</summary>
    /// <param name="backup">The backup.</param>
    /// <param name="file">Its RDB.</param>
    /// <param name="offset">Where the part begins.</param>
    /// <param name="length">How long it is.</param>
    /// <param name="consume">Takes what comes.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task ReadAsync(
        BackupReader backup,
        ManifestEntry file,
        long offset,
        long length,
        Func<ReadOnlyMemory<byte>, CancellationToken, ValueTask> consume,
        CancellationToken cancellationToken)
    {
        List<FileExtent> extents = [];
        long at = 0;
        int skip = 0;
        foreach (FileExtent extent in file.Extents)
        {
            if (at + extent.Length > offset && at < offset + length)
            {
                skip = extents.Count == 0 ? (int)(offset - at) : skip;
                extents.Add(extent);
            }

            at += extent.Length;
        }

        long remaining = length;
        await DumpReader.ReadAsync(
            backup,
            file with { Extents = extents },
            async (block, token) =>
            {
                ReadOnlyMemory<byte> part = block[skip..];
                skip = 0;
                part = part[..(int)Math.Min(part.Length, remaining)];
                remaining -= part.Length;
                await consume(part, token).ConfigureAwait(false);
                return remaining > 0;
            },
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Ends the reading, and waits for what is still under way.</summary>
    public async ValueTask DisposeAsync()
    {
        await _pipe.Reader.CompleteAsync().ConfigureAwait(false);
        await _fetching.ConfigureAwait(false);
    }

    private async Task FetchAsync(BackupReader backup, ManifestEntry file, CancellationToken cancellationToken)
    {
        Exception? failure = null;
        try
        {
            await DumpReader.ReadAsync(
                backup,
                file,
                async (block, token) => !(await _pipe.Writer.WriteAsync(block, token).ConfigureAwait(false)).IsCompleted,
                cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // Whoever reads is told.
            failure = e;
        }

        await _pipe.Writer.CompleteAsync(failure).ConfigureAwait(false);
    }
}
