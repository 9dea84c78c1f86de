using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Copies;

/// <summary>
/// The copies from which reading goes on, object by object, where a repository lacks an object, has it damaged or does not answer.
/// They are opened when they are needed first, and never written to.
/// </summary>
/// <remarks>
/// What is read from a copy passes the same checks as what is read from the repository: it is the marker, wherever that came from, that
/// says which bytes are right.
/// </remarks>
public sealed class RepositoryCopies
{
    // Each object is told of once, and no more of them than anybody reads.
    private const int MostWarnings = 10;

    // A place that did not answer has cost all the patience of its store. It is not asked again for a while.
    private static readonly TimeSpan s_rest = TimeSpan.FromMinutes(1);

    private readonly IReadOnlyList<RepositoryPlace> _places;
    private readonly IOperationObserver _observer;
    private readonly TimeProvider _time;

    /// <summary>Names the copies; none is asked yet.</summary>
    /// <param name="places">The copies, the one that is read from first foremost.</param>
    /// <param name="observer">Hears from where reading goes on, and why.</param>
    public RepositoryCopies(IReadOnlyList<RepositoryPlace> places, IOperationObserver observer)
        : this(places, observer, TimeProvider.System)
    {
    }

    internal RepositoryCopies(IReadOnlyList<RepositoryPlace> places, IOperationObserver observer, TimeProvider time)
    {
        _places = places;
        _observer = observer;
        _time = time;
    }

    /// <summary>Opens a repository that has copies. Where it is gone or does not answer, the first copy that does takes its place.</summary>
    /// <param name="first">The repository.</param>
    /// <param name="copies">Its copies.</param>
    /// <param name="observer">Hears of what is not there, then and later.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException">The repository's own failure, where no copy can be opened either.</exception>
    public static async Task<Repository> OpenAsync(
        RepositoryPlace first, IReadOnlyList<RepositoryPlace> copies, IOperationObserver observer, CancellationToken cancellationToken)
    {
        (Repository repository, RepositoryPlace[] others) = await OpenFirstAsync(first, copies, observer, cancellationToken).ConfigureAwait(false);
        return others.Length == 0 ? repository : repository.WithCopies(new RepositoryCopies(others, observer));
    }

    /// <summary>Opens the first of several places that is there and answers, and gives those behind it as well.</summary>
    internal static async Task<(Repository Repository, RepositoryPlace[] Others)> OpenFirstAsync(
        RepositoryPlace first, IReadOnlyList<RepositoryPlace> copies, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(copies);
        ArgumentNullException.ThrowIfNull(observer);
        SmcException? failure = null;
        RepositoryPlace[] places = [first, .. copies];
        for (int i = 0; i < places.Length; i++)
        {
            try
            {
                Repository repository = await places[i].OpenAsync(cancellationToken).ConfigureAwait(false);
                if (failure is not null)
                {
                    observer.Warning(
                        $"The repository at {first.Location} cannot be used: {failure.Message} Everything is read from the copy at {repository.Location}.");
                }

                return (repository, places[(i + 1)..]);
            }
            catch (SmcException e) when (IsElsewhere(e))
            {
                failure ??= e;
                if (i > 0)
                {
                    observer.Verbose($"The copy at {places[i].Location} cannot be used either: {e.Message}");
                }
            }
        }

        throw failure!;
    }

    /// <summary>Whether another place may well have what this one could not give.</summary>
    internal static bool IsElsewhere(SmcException e) => IsUnreachable(e) || SmcErrors.IsDamage(e.Code) || e.Code == SmcErrorCode.ObjectNotFound;

    internal Set AttachTo(Repository repository) => new(this, repository);

    private static bool IsUnreachable(SmcException e) => e.Code is
        SmcErrorCode.StorageUnavailable or SmcErrorCode.StorageAccessDenied or SmcErrorCode.RepositoryNotFound;

    /// <summary>A repository and its copies, in the order in which they are asked.</summary>
    internal sealed class Set
    {
        private readonly RepositoryCopies _copies;
        private readonly Source[] _sources;
        private readonly ConcurrentDictionary<string, bool> _told = new(StringComparer.Ordinal);

        public Set(RepositoryCopies copies, Repository repository)
        {
            _copies = copies;
            Id = repository.Id;
            _sources =
            [
                new Source(repository.Location, _ => Task.FromResult(repository)),
                .. copies._places.Select(static place => new Source(place.Location, place.OpenAsync)),
            ];
        }

        public Guid Id { get; }

        public IEnumerable<string> Locations => _sources.Select(static source => source.Location);

        /// <summary>Reads an object from the first place that gives it whole and right.</summary>
        /// <param name="key">The object.</param>
        /// <param name="read">Reads it from a store and throws where it is not right; called once for each place, at most.</param>
        /// <param name="isExpected">Whether it is news that a place does not have it.</param>
        /// <param name="cancellationToken">Stops the work.</param>
        public async Task<T> ReadAsync<T>(
            string key, Func<IObjectStore, CancellationToken, Task<T>> read, bool isExpected, CancellationToken cancellationToken)
        {
            SmcException? failure = null;
            Source? lacking = null;
            foreach (Source source in Awake())
            {
                try
                {
                    IObjectStore store = await OpenAsync(source, cancellationToken).ConfigureAwait(false);
                    T result = await read(store, cancellationToken).ConfigureAwait(false);
                    if (lacking is not null && !IsUnreachable(failure!))
                    {
                        Tell(key, failure!, lacking, source, isExpected);
                    }

                    return result;
                }
                catch (SmcException e) when (IsElsewhere(e))
                {
                    Note(source, e);
                    if (failure is null || Weight(e) > Weight(failure))
                    {
                        (failure, lacking) = (e, source);
                    }
                }
            }

            throw failure!;
        }

        /// <summary>All that any place has, as one listing. A place that does not answer adds nothing.</summary>
        public async Task<SortedDictionary<string, T>> ListAsync<T>(
            Func<IObjectStore, IAsyncEnumerable<T>> list, Func<T, string> keyOf, CancellationToken cancellationToken)
        {
            SortedDictionary<string, T> found = new(StringComparer.Ordinal);
            SmcException? failure = null;
            bool isListed = false;
            foreach (Source source in Awake())
            {
                try
                {
                    IObjectStore store = await OpenAsync(source, cancellationToken).ConfigureAwait(false);
                    await foreach (T item in list(store).WithCancellation(cancellationToken).ConfigureAwait(false))
                    {
                        found.TryAdd(keyOf(item), item);
                    }

                    isListed = true;
                }
                catch (SmcException e) when (IsElsewhere(e))
                {
                    Note(source, e);
                    failure ??= e;
                }
            }

            return isListed ? found : throw failure!;
        }

        /// <summary>Of several failures the one that says most: damage, then absence, then silence.</summary>
        private static int Weight(SmcException e) => IsUnreachable(e) ? 0 : e.Code == SmcErrorCode.ObjectNotFound ? 1 : 2;

        private List<Source> Awake()
        {
            long now = _copies._time.GetTimestamp();
            List<Source> awake = [.. _sources.Where(
                source => source.SilentSince is not { } since || _copies._time.GetElapsedTime(since, now) >= s_rest)];
            return awake.Count > 0 ? awake : [.. _sources];
        }

        private async Task<IObjectStore> OpenAsync(Source source, CancellationToken cancellationToken)
        {
            Repository repository = await source.OpenAsync(cancellationToken).ConfigureAwait(false);
            return repository.Id == Id
                ? repository.Store
                : throw new SmcException(
                    SmcErrorCode.RepositoryNotFound,
                    $"The repository at {source.Location} is another one than {_sources[0].Location}, and not a copy of it.",
                    target: source.Location);
        }

        private void Note(Source source, SmcException e)
        {
            if (!IsUnreachable(e))
            {
                return;
            }

            source.SilentSince = _copies._time.GetTimestamp();
            if (source.TellOnce())
            {
                string others = string.Join(" and ", _sources.Where(other => other != source).Select(static other => other.Location));
                _copies._observer.Warning($"{source.Location} cannot be read: {e.Message} Reading goes on from {others}.");
            }
        }

        private void Tell(string key, SmcException failure, Source lacking, Source source, bool isExpected)
        {
            if (!_told.TryAdd(key, true))
            {
                return;
            }

            string text = failure.Code == SmcErrorCode.ObjectNotFound
                ? $"The object '{key}' is not in {lacking.Location}; it is read from the copy at {source.Location}."
                : $"{lacking.Location}: {failure.Message} It is read from {source.Location} instead.";
            if (_told.Count > MostWarnings || (isExpected && failure.Code == SmcErrorCode.ObjectNotFound))
            {
                _copies._observer.Verbose(text);
            }
            else
            {
                _copies._observer.Warning(_told.Count < MostWarnings ? text : $"{text} There are more such objects; -Verbose tells of each.");
            }
        }
    }

    private sealed class Source(string location, Func<CancellationToken, Task<Repository>> open)
    {
        private readonly Lock _gate = new();
        private Task<Repository>? _opening;
        private int _told;

        public string Location => location;

        /// <summary>When it was last asked in vain; null where it answers.</summary>
        public long? SilentSince
        {
            get => Interlocked.Read(ref _silentSince) is var ticks and not 0 ? ticks : null;
            set => Interlocked.Exchange(ref _silentSince, value ?? 0);
        }

        private long _silentSince;

        public bool TellOnce() => Interlocked.Exchange(ref _told, 1) == 0;

        /// <summary>The repository, opened once for all who ask; each waits for as long as itself wants to.</summary>
        public async Task<Repository> OpenAsync(CancellationToken cancellationToken)
        {
            while (true)
            {
                Task<Repository> opening;
                bool isOwn = false;
                lock (_gate)
                {
                    // A failure is not kept: a place that was silent may speak later.
                    if (_opening is null || _opening.IsFaulted || _opening.IsCanceled)
                    {
                        _opening = open(cancellationToken);
                        isOwn = true;
                    }

                    opening = _opening;
                }

                try
                {
                    return await opening.WaitAsync(cancellationToken).ConfigureAwait(false);
                }
                catch (OperationCanceledException) when (!isOwn && opening.IsCanceled && !cancellationToken.IsCancellationRequested)
                {
                    // Who had begun it was stopped, and not this caller, who begins it anew.
                }
            }
        }
    }
}
