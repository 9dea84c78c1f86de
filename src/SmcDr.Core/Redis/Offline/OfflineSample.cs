using System.IO.Pipelines;
using SmcDr.Core.Operations;
using SmcDr.Core.Redis.Rdb;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Redis.Offline;

/// <summary>
/// Chooses some keys of an RDB while it passes on its way to the server, to be compared with what that has loaded. What it cannot read is no reason not
/// to restore: the server decides what it loads.
/// </summary>
internal sealed class OfflineSample : IAsyncDisposable
{
    /// <summary>A longer value is passed over.</summary>
    private const int MaximumPayload = 1 << 20;

    private const int MaximumKeyLength = 64 << 20;

    private readonly string _name;
    private readonly int _size;
    private readonly RestoreSample _sample;
    private readonly CancellationTokenSource _stop = new();
    private readonly Pipe _pipe = RdbPipe.Create(2 * StreamedFileWriter.BlockSize);

    private readonly Task _reading;

    /// <summary>Begins.</summary>
    /// <param name="name">What messages call the RDB, as the beginning of a sentence.</param>
    /// <param name="size">How many keys are chosen; 0 = none, and nothing is read.</param>
    public OfflineSample(string name, int size)
    {
        (_name, _size, _sample) = (name, size, new RestoreSample(size));
        _reading = size == 0 ? _pipe.Reader.CompleteAsync().AsTask() : Task.Run(ReadAsync, CancellationToken.None);
    }

    /// <summary>Takes the next bytes.</summary>
    public async ValueTask AppendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        // A reader that has given up takes no more, which costs nothing.
        await _pipe.Writer.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);

    /// <summary>Says that there are no more, and returns the keys; null where none are wanted, or the RDB could not be read.</summary>
    public async Task<IReadOnlyList<SampledKey>?> CompleteAsync(IOperationObserver observer, CancellationToken cancellationToken)
    {
        await _pipe.Writer.CompleteAsync().ConfigureAwait(false);
        try
        {
            await _reading.WaitAsync(cancellationToken).ConfigureAwait(false);
            return _size == 0 ? null : _sample.Keys;
        }
        catch (SmcException e) when (e.Code is SmcErrorCode.RdbUnsupported or SmcErrorCode.RdbInvalid)
        {
            observer.Verbose($"No values will be compared: {e.Message}");
            return null;
        }
    }

    /// <summary>Chooses from the backup as it lies in the repository, for a restore whose files were fetched by another process.</summary>
    public static async Task<IReadOnlyList<SampledKey>?> ReadAsync(
        BackupReader backup, int size, IOperationObserver observer, CancellationToken cancellationToken)
    {
        OfflineSample sample = new(NameOf(backup), size);
        await using (sample.ConfigureAwait(false))
        {
            if (size > 0)
            {
                ManifestEntry file = RdbFile.Find(await backup.ReadManifestAsync(cancellationToken).ConfigureAwait(false));
                await RdbFile.ReadAsync(backup, file, 0, file.Size, sample.AppendAsync, cancellationToken).ConfigureAwait(false);
            }

            return await sample.CompleteAsync(observer, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>What messages call the RDB of a backup.</summary>
    public static string NameOf(BackupReader backup) => $"The RDB of the backup '{backup.Header.Id}'";

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _pipe.Writer.CompleteAsync().ConfigureAwait(false);
        await _reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task ReadAsync()
    {
        try
        {
            RdbReader reader = new(
                _pipe.Reader,
                new RdbReaderOptions
                {
                    Name = _name,
                    KeepPayloads = true,
                    MaximumPayload = MaximumPayload,
                    MaximumKeyLength = MaximumKeyLength,
                    // RdbIntegrity does that.
                    CheckChecksum = false,
                    LeaveOpen = true,
                });
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(_stop.Token).ConfigureAwait(false))
                {
                    if (reader.Entry is { IsComplete: true, IsEmpty: false } entry)
                    {
                        _sample.Offer(entry, reader.Payload.Span);
                    }
                }
            }
        }
        finally
        {
            // Whoever writes is then not held up, whatever becomes of the reading.
            await _pipe.Reader.CompleteAsync().ConfigureAwait(false);
        }
    }
}
