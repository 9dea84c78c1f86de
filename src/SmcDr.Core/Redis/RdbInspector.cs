using System.IO.Pipelines;
using SmcDr.Core.Operations;
using SmcDr.Core.Redis.Rdb;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Redis;

/// <summary>
/// Reads an RDB on its way into the repository, beside what stores it, and tells what it holds. What it does not understand is no reason
/// to have no backup, as long as the checksum says that the RDB is what the server made.
/// </summary>
internal sealed class RdbInspector : IRdbObserver
{
    private const int MaximumKeyLength = 64 << 20;
    private const int MaximumDatabases = 1000;
    private const int MaximumFunctions = 1000;

    private readonly string _source;
    private readonly IOperationObserver _observer;
    private readonly CancellationTokenSource _stop = new();
    private readonly Pipe _pipe = RdbPipe.Create(2 * StreamedFileWriter.BlockSize);

    private readonly Task<RdbSummary> _reading;
    private RdbSummary? _summary;
    private string? _notExamined;

    /// <summary>Begins.</summary>
    /// <param name="source">Where the RDB comes from, for messages.</param>
    /// <param name="observer">Is warned where the RDB cannot be read.</param>
    public RdbInspector(string source, IOperationObserver observer)
    {
        _source = source;
        _observer = observer;
        _reading = Task.Run(ReadAsync, CancellationToken.None);
    }

    /// <inheritdoc/>
    public async ValueTask ObserveAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
        // A reader that has given up takes no more, which costs nothing.
        await _pipe.Writer.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask CompleteAsync(RdbIntegrity integrity, CancellationToken cancellationToken)
    {
        await _pipe.Writer.CompleteAsync().ConfigureAwait(false);
        try
        {
            RdbSummary summary = await _reading.WaitAsync(cancellationToken).ConfigureAwait(false);
            _summary = summary.Length == integrity.Length ? summary : throw new SmcException(
                SmcErrorCode.RdbInvalid, $"The RDB from {_source} goes on for {integrity.Length - summary.Length} bytes after its end.", target: _source);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.RdbUnsupported || (e.Code == SmcErrorCode.RdbInvalid && integrity.HasChecksum))
        {
            // Bytes that no version of Redis that is known would write, under a checksum that is right: a server that writes otherwise.
            _notExamined = e.Message;
            _observer.Warning(
                $"What the backup holds is not known here: {e.Message} {(integrity.HasChecksum ? "Its checksum is right, so it is what the server made" : "It has no checksum either")}; restore it once to be sure.");
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.RdbInvalid)
        {
            throw new SmcException(
                SmcErrorCode.RdbInvalid,
                e.Message,
                e,
                "Run the backup again; if it stays, turn rdbchecksum on at the server, so that damage by the network is told from damage in the server.",
                _source);
        }
    }

    /// <inheritdoc/>
    public RedisBackupDetails Describe(RedisBackupDetails details) => details with
    {
        Content = _summary is null ? null : Describe(_summary),
        NotExamined = _notExamined,
    };

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await ((Task)_reading).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _pipe.Writer.CompleteAsync().ConfigureAwait(false);
        _stop.Dispose();
    }

    /// <summary>What a backup says of an RDB.</summary>
    public static RedisContent Describe(RdbSummary summary) => new()
    {
        Keys = summary.Keys,
        Expires = summary.KeysWithExpiry,
        Bytes = summary.Databases.Sum(static database => database.Bytes),
        Databases =
        [
            .. summary.Databases.Where(static database => database.Keys > 0).Take(MaximumDatabases).Select(static database => new RedisDatabaseContent(
                database.Database,
                database.Keys,
                database.KeysWithExpiry,
                database.Bytes,
                [.. database.Types.Select(static type => new RedisTypeContent(type.Type.ToString(), type.Keys, type.Elements, type.Bytes))])),
        ],
        Functions = [.. summary.Functions.Take(MaximumFunctions).Select(static library => library.Name)],
        Modules = [.. summary.ModuleTypes],
        UsedMemory = summary.UsedMemory,
    };

    private async Task<RdbSummary> ReadAsync()
    {
        try
        {
            RdbReader reader = new(
                _pipe.Reader,
                new RdbReaderOptions
                {
                    Name = $"The RDB from {_source}",
                    MaximumKeyLength = MaximumKeyLength,
                    // RdbIntegrity does that, also for what comes behind the place where this reader gives up.
                    CheckChecksum = false,
                    LeaveOpen = true,
                });
            await using (reader.ConfigureAwait(false))
            {
                return await reader.ReadToEndAsync(_stop.Token).ConfigureAwait(false);
            }
        }
        finally
        {
            // Whoever writes is then not held up, whatever becomes of the reading.
            await _pipe.Reader.CompleteAsync().ConfigureAwait(false);
        }
    }
}
