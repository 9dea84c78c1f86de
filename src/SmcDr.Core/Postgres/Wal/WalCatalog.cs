using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>A cluster's WAL as one listing of the store shows it. Nothing is read but names and lengths.</summary>
internal sealed class WalCatalog
{
    private WalCatalog(SortedDictionary<uint, Listing> timelines) => Timelines = timelines;

    public SortedDictionary<uint, Listing> Timelines { get; }

    public static async Task<WalCatalog> LoadAsync(Repository repository, ulong systemId, CancellationToken cancellationToken)
    {
        SortedDictionary<uint, Listing> timelines = [];
        await foreach (string folder in repository.ListFoldersAsync(RepositoryKeys.Wal(systemId), cancellationToken).ConfigureAwait(false))
        {
            if (WalSegmentName.TryParseHex(folder, out uint timeline) && timeline > 0)
            {
                timelines[timeline] = await LoadAsync(repository, systemId, timeline, cancellationToken).ConfigureAwait(false);
            }
        }

        return new WalCatalog(timelines);
    }

    public static async Task<Listing> LoadAsync(Repository repository, ulong systemId, uint timeline, CancellationToken cancellationToken)
    {
        string folder = RepositoryKeys.Wal(systemId, timeline);
        Listing listing = new(timeline);
        await foreach (ObjectInfo info in repository.ListAsync(folder, cancellationToken).ConfigureAwait(false))
        {
            if (WalKey.TryParse(info.Key, folder, timeline, out WalKey key))
            {
                listing.Add(key, info);
            }
        }

        return listing;
    }

    /// <summary>Up to where there is WAL on any timeline, whatever is missing before.</summary>
    public Lsn FindEnd(int segmentSize) => Timelines.Values.SelectMany(static listing => listing.Segments.Values.TakeLast(2))
        .Select(segment => segment.Name.StartLsn(segmentSize) + segment.EndOffset(segmentSize)).DefaultIfEmpty().Max();

    /// <summary>A timeline.</summary>
    internal sealed class Listing(uint timeline)
    {
        public uint Timeline { get; } = timeline;

        public ObjectInfo? History { get; private set; }

        /// <summary>The segments by the two halves of their number: the order of the WAL, whatever the segment size.</summary>
        public SortedDictionary<(uint High, uint Low), Segment> Segments { get; } = [];

        public void Add(WalKey key, ObjectInfo info)
        {
            if (key.Segment is not { } name)
            {
                History = info;
                return;
            }

            if (!Segments.TryGetValue((name.High, name.Low), out Segment? segment))
            {
                Segments[(name.High, name.Low)] = segment = new Segment(name);
            }

            if (key.IsPiece)
            {
                segment.Pieces.Add((key, info));
            }
            else
            {
                segment.Whole = info;
            }
        }

        public Segment? Find(WalSegmentName name) => Segments.GetValueOrDefault((name.High, name.Low));
    }

    /// <summary>A segment: whole, in pieces, or both where the pieces were not removed yet.</summary>
    internal sealed class Segment(WalSegmentName name)
    {
        public WalSegmentName Name { get; } = name;

        public ObjectInfo? Whole { get; set; }

        public List<(WalKey Key, ObjectInfo Info)> Pieces { get; } = [];

        /// <summary>The objects that hold the segment from its beginning on without a hole, as few as do.</summary>
        public IReadOnlyList<(WalKey Key, ObjectInfo Info)> Chain()
        {
            if (Whole is not null)
            {
                return [(WalKey.Whole(Name), Whole)];
            }

            List<(WalKey Key, ObjectInfo Info)> chain = [];
            uint end = 0;
            while (true)
            {
                (WalKey Key, ObjectInfo Info) best = default;
                foreach ((WalKey Key, ObjectInfo Info) piece in Pieces)
                {
                    if (piece.Key.StartOffset <= end && piece.Key.EndOffset > end && (best.Info is null || piece.Key.EndOffset > best.Key.EndOffset))
                    {
                        best = piece;
                    }
                }

                if (best.Info is null)
                {
                    return chain;
                }

                chain.Add(best);
                end = best.Key.EndOffset!.Value;
            }
        }

        /// <summary>How far the segment goes without a hole, in bytes.</summary>
        public uint EndOffset(int segmentSize) => Whole is not null ? (uint)segmentSize : Chain() is [.., var last] ? last.Key.EndOffset!.Value : 0;
    }
}
