using System.Collections.Concurrent;
using System.Globalization;
using System.IO.Pipelines;
using SmcDr.Core.Redis.Rdb;

namespace SmcDr.Core.Redis.Restore;

/// <summary>Walks the RDB of a backup and makes of its keys what the servers' connections send.</summary>
/// <param name="name">What messages call the RDB, as the beginning of a sentence.</param>
/// <param name="selection">Which keys are wanted.</param>
/// <param name="target">Where they go.</param>
/// <param name="tally">Counts.</param>
/// <param name="sample">Chooses what is compared.</param>
/// <param name="onProgress">Is told how many bytes of the RDB are passed.</param>
internal sealed class RestoreReader(
    string name,
    KeySelection selection,
    RestoreTarget target,
    RestoreTally tally,
    RestoreSample sample,
    Action<long> onProgress)
{
    private const int MaximumKeyLength = 64 << 20;

    private readonly ConcurrentBag<RestoreBatch> _unused = [];

    /// <summary>A longer value is not kept in memory.</summary>
    public int MaximumPayload { get; init; } = 1 << 20;

    /// <summary>Takes back what has been sent.</summary>
    public void Return(RestoreBatch batch)
    {
        batch.Clear();
        _unused.Add(batch);
    }

    /// <summary>Reads to the end, or until it is stopped. Waits wherever servers are slower.</summary>
    /// <exception cref="SmcException">The RDB is damaged or holds what cannot be read; keys before that have been given.</exception>
    public async Task<RdbSummary> RunAsync(PipeReader rdb, CancellationToken cancellationToken)
    {
        RdbReader reader = new(rdb, new RdbReaderOptions
        {
            Name = name,
            KeepPayloads = true,
            MaximumPayload = MaximumPayload,
            MaximumKeyLength = MaximumKeyLength,
            // The blocks of the repository have digests, and the checksum was compared when the backup was taken.
            CheckChecksum = false,
        });
        await using (reader.ConfigureAwait(false))
        {
            while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
            {
                RdbEntry entry = reader.Entry;
                if (!selection.IsSelected(entry.Database, entry.Key.Span))
                {
                    tally.AddSkipped();
                }
                else if (entry.ExpiresAt <= target.Clock.Now)
                {
                    tally.AddExpired();
                }
                else if (!entry.IsComplete)
                {
                    await AddLargeAsync(reader, cancellationToken).ConfigureAwait(false);
                }
                else if (entry.IsEmpty)
                {
                    tally.AddSkipped();
                }
                else
                {
                    RestoreNode node = Node(entry);
                    RestoreBatch batch = node.Filling is { } filling && filling.Database == entry.Database
                        ? filling
                        : await BeginAsync(node, entry.Database, cancellationToken).ConfigureAwait(false);
                    batch.Add(entry, reader.Payload.Span, target.DumpVersion);
                    sample.Offer(entry, reader.Payload.Span);
                    if (batch.IsFull)
                    {
                        await SendAsync(node, cancellationToken).ConfigureAwait(false);
                        onProgress(reader.Position);
                    }
                }
            }

            foreach (RestoreNode node in target.Nodes)
            {
                await SendAsync(node, cancellationToken).ConfigureAwait(false);
            }

            onProgress(reader.Position);
            return reader.Summary;
        }
    }

    private RestoreNode Node(RdbEntry entry)
    {
        RestoreNode node = target.NodeOf(entry.Key.Span);
        if (entry.ExpiresAt is { } expiry)
        {
            tally.AddExpiry(node, entry.Database, expiry);
        }

        return node;
    }

    private async ValueTask<RestoreBatch> BeginAsync(RestoreNode node, int database, CancellationToken cancellationToken)
    {
        await SendAsync(node, cancellationToken).ConfigureAwait(false);
        RestoreBatch batch = _unused.TryTake(out RestoreBatch? unused) ? unused : new RestoreBatch(target.Writer);
        batch.Database = database;
        node.Filling = batch;
        return batch;
    }

    private static async ValueTask SendAsync(RestoreNode node, CancellationToken cancellationToken)
    {
        if (node.Filling is { } batch)
        {
            node.Filling = null;
            await node.Queue.Writer.WriteAsync(batch, cancellationToken).ConfigureAwait(false);
        }
    }

    private async ValueTask AddLargeAsync(RdbReader reader, CancellationToken cancellationToken)
    {
        RdbEntry entry = reader.Entry;
        byte[] key = entry.Key.ToArray();
        (int database, RdbEncoding encoding, RestoreTerms terms) = (entry.Database, entry.Encoding, RestoreTerms.Of(entry));
        ulong checksum = RdbDump.Begin(encoding);
        while (await reader.ReadPayloadAsync(cancellationToken).ConfigureAwait(false) is { Length: > 0 } piece)
        {
            checksum = RedisCrc64.Append(checksum, piece.Span);
        }

        if (entry.IsEmpty)
        {
            tally.AddSkipped();
            return;
        }

        if (RdbDump.GetLength(entry.Length) > target.MaximumValueLength)
        {
            tally.AddFailure(key, database, string.Create(
                CultureInfo.InvariantCulture,
                $"a value of {entry.Length:N0} bytes is longer than the server takes ({target.MaximumValueLength:N0}); raise proto-max-bulk-len, and client-query-buffer-limit above it, and run the restore again for it, or use the method Offline"));
            return;
        }

        byte[] footer = new byte[RdbDump.FooterLength];
        RdbDump.WriteFooter(footer, checksum, target.DumpVersion);
        LargeValue value = new(key, encoding, terms, entry.PayloadOffset, entry.Length, footer) { Database = database };
        await Node(entry).Queue.Writer.WriteAsync(value, cancellationToken).ConfigureAwait(false);
        onProgress(reader.Position);
    }
}
