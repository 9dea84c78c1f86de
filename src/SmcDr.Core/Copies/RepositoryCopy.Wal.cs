using System.Collections.Concurrent;
using System.Globalization;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Copies;

/// <content>Write-ahead log.</content>
public sealed partial class RepositoryCopy
{
    // How often it is listed again because a stream has turned pieces into a segment meanwhile.
    private const int WalAttempts = 5;

    // WAL objects are checked in memory, compressed and not.
    private const long WalMemory = 256 << 20;
    private const int UsualSegmentSize = 16 << 20;

    /// <summary>Copies a cluster's WAL: timeline histories, segments, and the pieces of segments that are not complete yet.</summary>
    /// <param name="systemId">PostgreSQL's system identifier.</param>
    /// <param name="from">Copies the segment of this position and those behind it; all where null.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async Task<BackupCopyResult> CopyWalAsync(ulong systemId, Lsn? from, CancellationToken cancellationToken)
    {
        string id = systemId.ToString(CultureInfo.InvariantCulture);
        CopyTally tally = new($"Copy of the WAL of {id}", _observer);
        try
        {
            WalCatalog catalog = await WalCatalog.LoadAsync(_source, systemId, cancellationToken).ConfigureAwait(false);
            int size = await FindSegmentSizeAsync(systemId, catalog, cancellationToken).ConfigureAwait(false);
            await CopyWalAsync(systemId, segment => from is null || segment.EndLsn(size) > from, tally, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            tally.End();
        }

        return tally.ToResult(id, "Wal", _source.Location, _destination.Location);
    }

    private async Task CopyWalAsync(
        ulong systemId, Func<WalSegmentName, bool> isWanted, CopyTally tally, CancellationToken cancellationToken)
    {
        HashSet<string> counted = new(StringComparer.Ordinal);
        for (int attempt = 1; ; attempt++)
        {
            WalCatalog source = await WalCatalog.LoadAsync(_source, systemId, cancellationToken).ConfigureAwait(false);
            Dictionary<string, long> there = await ListAsync(
                _destination.Store, [RepositoryKeys.Wal(systemId)], cancellationToken).ConfigureAwait(false);
            List<(WalKey Key, ObjectInfo Info)> missing = [];
            foreach ((WalKey key, ObjectInfo info) in Wanted(source, isWanted, there, systemId))
            {
                if (!there.TryGetValue(info.Key, out long length))
                {
                    missing.Add((key, info));
                    tally.Expect(info.Length);
                }
                else if (length == info.Length)
                {
                    if (counted.Add(info.Key))
                    {
                        tally.Present(length);
                    }
                }
                else if (counted.Add(info.Key))
                {
                    tally.Problem(
                        $"The object '{info.Key}' has {info.Length} bytes in {_source.Location} and {length} in {_destination.Location}: " +
                        "one of them is damaged.");
                }
            }

            ConcurrentDictionary<string, long> copied = new(StringComparer.Ordinal);
            bool hasVanished = await CopyAsync(systemId, source, missing, copied, tally, cancellationToken).ConfigureAwait(false);
            counted.UnionWith(missing.Select(static item => item.Info.Key));
            await VerifyWalAsync(systemId, copied, cancellationToken).ConfigureAwait(false);
            if (!hasVanished || attempt == WalAttempts)
            {
                return;
            }
        }
    }

    /// <summary>The objects of a catalog that a destination should have: of a segment, the whole one or else its pieces.</summary>
    private static IEnumerable<(WalKey Key, ObjectInfo Info)> Wanted(
        WalCatalog catalog, Func<WalSegmentName, bool> isWanted, Dictionary<string, long> there, ulong systemId)
    {
        foreach (WalCatalog.Listing listing in catalog.Timelines.Values)
        {
            if (listing.History is { } history)
            {
                yield return (WalKey.History(listing.Timeline), history);
            }

            foreach (WalCatalog.Segment segment in listing.Segments.Values.Where(segment => isWanted(segment.Name)))
            {
                if (segment.Whole is { } whole)
                {
                    yield return (WalKey.Whole(segment.Name), whole);
                }
                else if (!there.ContainsKey(WalKey.Whole(segment.Name).ToKey(systemId)))
                {
                    foreach ((WalKey Key, ObjectInfo Info) piece in segment.Pieces)
                    {
                        yield return piece;
                    }
                }
            }
        }
    }

    /// <summary>Copies objects in the order of the WAL; true where some had gone, as pieces do when their segment is complete.</summary>
    private async Task<bool> CopyAsync(
        ulong systemId,
        WalCatalog catalog,
        List<(WalKey Key, ObjectInfo Info)> objects,
        ConcurrentDictionary<string, long> copied,
        CopyTally tally,
        CancellationToken cancellationToken)
    {
        if (objects.Count == 0)
        {
            return false;
        }

        int vanished = 0;
        int size = await FindSegmentSizeAsync(systemId, catalog, cancellationToken).ConfigureAwait(false);
        int parallelism = (int)Math.Clamp(WalMemory / (2L * size), 1, _parallelism);
        await Parallel.ForEachAsync(
            objects,
            new ParallelOptions { MaxDegreeOfParallelism = parallelism, CancellationToken = cancellationToken },
            async (item, token) =>
            {
                try
                {
                    (_, _, byte[] content) = await WalObject.ReadAsync(
                        _source.Store, _source, systemId, item.Key, item.Info, token).ConfigureAwait(false);
                    if (await PutAsync(_destination.Store, item.Info.Key, content, token).ConfigureAwait(false))
                    {
                        tally.Copied(content.Length);
                    }
                    else
                    {
                        tally.Present(content.Length);
                    }

                    copied[item.Info.Key] = content.Length;
                    tally.Advance(item.Info.Key, content.Length);
                }
                catch (SmcException e) when (e.Code == SmcErrorCode.ObjectNotFound && item.Key.IsPiece)
                {
                    Interlocked.Exchange(ref vanished, 1);
                }
                catch (SmcException e) when (IsDamage(e))
                {
                    tally.Problem(Describe(e));
                }
            }).ConfigureAwait(false);
        return vanished != 0;
    }

    private async Task VerifyWalAsync(ulong systemId, ConcurrentDictionary<string, long> copied, CancellationToken cancellationToken)
    {
        if (copied.IsEmpty)
        {
            return;
        }

        Dictionary<string, long> there = await ListAsync(
            _destination.Store, [RepositoryKeys.Wal(systemId)], cancellationToken).ConfigureAwait(false);
        foreach ((string key, long length) in copied)
        {
            if (!there.TryGetValue(key, out long found) || found != length)
            {
                throw new SmcException(
                    SmcErrorCode.CopyIncomplete,
                    $"The object '{key}' was copied to {_destination.Location}, and is not listed there as it should be.",
                    target: key);
            }
        }
    }

    private async Task<int> FindSegmentSizeAsync(ulong systemId, WalCatalog catalog, CancellationToken cancellationToken)
    {
        foreach (WalCatalog.Segment segment in catalog.Timelines.Values.SelectMany(static listing => listing.Segments.Values))
        {
            (WalKey key, ObjectInfo info) = segment.Whole is null ? segment.Pieces[0] : (WalKey.Whole(segment.Name), segment.Whole);
            try
            {
                return (await WalObject.ReadHeadAsync(_source, systemId, key, info, cancellationToken).ConfigureAwait(false)).Head.WalSegmentSize
                    ?? UsualSegmentSize;
            }
            catch (SmcException e) when (IsDamage(e))
            {
                // Told of when it is its turn. Another one says the same.
            }
        }

        return UsualSegmentSize;
    }
}
