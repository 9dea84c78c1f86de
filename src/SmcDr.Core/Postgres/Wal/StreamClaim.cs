using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>
/// The claim of one stream to a cluster's WAL in a repository: a folder of its own, in which the holder leaves a new object for each sign
/// of life. A store that never replaces an object is enough for it.
/// </summary>
/// <remarks>
/// Who claims writes its first object and only then looks for others. Of two that claim at once the later one sees the earlier, so
/// that never both go on; where both see each other both withdraw, wait and try again. Ages are differences of two times of the same
/// store's listing. Whoever is replaced finds the object <c>ended</c> in its folder, or its last object gone, before it writes again.
/// Between that look and the write a moment remains, in which WAL objects that are never replaced and are compared keep both right.
/// </remarks>
internal sealed class StreamClaim : IAsyncDisposable
{
    private const string Ended = "ended";
    private const int Attempts = 8;

    // So long a holder that slept finds out what became of its claim.
    private static readonly TimeSpan s_endedStays = TimeSpan.FromDays(7);
    private static readonly ConcurrentDictionary<string, bool> s_ownClaims = new(StringComparer.Ordinal);

    private readonly Repository _repository;
    private readonly IOperationObserver _observer;
    private readonly string _folder;
    private readonly string _id;
    private readonly byte[] _content;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _lost = new();
    private readonly bool _takeover;
    private readonly List<StreamHolder> _replaced = [];
    private long _number;
    private bool _isPending;
    private SmcException? _failure;
    private Task _renewing = Task.CompletedTask;

    private StreamClaim(Repository repository, ulong systemId, StreamHolder holder, bool takeover, IOperationObserver observer)
    {
        _takeover = takeover;
        _repository = repository;
        _observer = observer;
        _folder = Folder(systemId);
        _id = string.Create(
            CultureInfo.InvariantCulture,
            $"{DateTime.UtcNow:yyyyMMdd'T'HHmmss'Z'}-{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8))}");
        _content = Envelope.Seal(JsonSerializer.SerializeToUtf8Bytes(holder, WalJson.Default.StreamHolder));
        s_ownClaims[_id] = true;
    }

    /// <summary>Cancelled when somebody else has taken over.</summary>
    public CancellationToken Lost => _lost.Token;

    /// <summary>Whether another stream's claim was ended by this one, so that its connection may still be there.</summary>
    public bool ReplacedAnother { get; private set; }

    /// <summary>Those whose claims were ended by this one.</summary>
    public IReadOnlyList<StreamHolder> Replaced => _replaced;

    /// <summary>
    /// Whether the claim is left to expire instead of being given back, since WAL of its holder is not in the repository yet: who comes next
    /// elsewhere is to know.
    /// </summary>
    public bool IsLeft { get; set; }

    /// <summary>The folder of a cluster's claims, with its final <c>/</c>.</summary>
    public static string Folder(ulong systemId) => RepositoryKeys.Wal(systemId) + "streams/";

    /// <summary>Takes the claim and keeps it alive until disposed of.</summary>
    /// <param name="repository">The repository.</param>
    /// <param name="systemId">The database cluster.</param>
    /// <param name="holder">Who takes it.</param>
    /// <param name="interval">How often it is renewed.</param>
    /// <param name="takeover">Whether claims of others do not count.</param>
    /// <param name="mayWait">
    /// Whether a repository that takes nothing is fine: nobody else is found by reading, and the claim is made once something can be written.
    /// Until then <see cref="CheckAsync"/> fails as the repository does.
    /// </param>
    /// <param name="observer">Hears of claims that are void.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.StreamRunning"/>: another stream holds it.</exception>
    public static async Task<StreamClaim> TakeAsync(
        Repository repository,
        ulong systemId,
        StreamHolder holder,
        TimeSpan interval,
        bool takeover,
        bool mayWait,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        for (int attempt = 1; ; attempt++)
        {
            StreamClaim claim = new(repository, systemId, holder, takeover, observer);
            try
            {
                await claim.PutAsync(0, cancellationToken).ConfigureAwait(false);
                List<Other> living = await claim.ClearAsync(takeover, cancellationToken).ConfigureAwait(false);
                if (living.Count == 0)
                {
                    await claim.RenewAsync(cancellationToken).ConfigureAwait(false);
                    claim._renewing = Task.Run(() => claim.KeepAsync(interval), CancellationToken.None);
                    return claim;
                }

                if (living.Exists(static other => other.IsHeld) || attempt == Attempts)
                {
                    throw claim.Refuse(living[0], systemId);
                }
            }
            catch (SmcException e) when (mayWait && e.Code == SmcErrorCode.StorageFull)
            {
                try
                {
                    await claim.EnsureAloneAsync(systemId, cancellationToken).ConfigureAwait(false);
                }
                catch
                {
                    await claim.DisposeAsync().ConfigureAwait(false);
                    throw;
                }

                claim._isPending = true;
                claim._renewing = Task.Run(() => claim.KeepAsync(interval), CancellationToken.None);
                return claim;
            }
            catch
            {
                await claim.DisposeAsync().ConfigureAwait(false);
                throw;
            }

            await claim.DisposeAsync().ConfigureAwait(false);
            await Task.Delay(RandomNumberGenerator.GetInt32(50, 500), cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Those who have a claim, whether it still counts or not.</summary>
    public static async Task<IReadOnlyList<StreamHolder>> ListHoldersAsync(
        Repository repository, ulong systemId, CancellationToken cancellationToken)
    {
        Dictionary<string, string> last = new(StringComparer.Ordinal);
        string folder = Folder(systemId);
        await foreach (ObjectInfo info in repository.Store.ListAsync(folder, cancellationToken).ConfigureAwait(false))
        {
            if (!IsEnded(info.Key))
            {
                last[info.Key[..info.Key.LastIndexOf('/')]] = info.Key;
            }
        }

        List<StreamHolder> holders = [];
        foreach (string key in last.Values)
        {
            try
            {
                if (await repository.TryReadDocumentAsync(key, WalJson.Default.StreamHolder, cancellationToken).ConfigureAwait(false) is { } holder)
                {
                    holders.Add(holder);
                }
            }
            catch (SmcException e) when (SmcErrors.IsDamage(e.Code) || e.Code == SmcErrorCode.KeyMissing)
            {
                // Who cannot be read cannot be named.
            }
        }

        return holders;
    }

    /// <summary>Makes sure that the claim still holds: what comes before each write.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.StreamTaken"/>: it does not.</exception>
    public async Task CheckAsync(CancellationToken cancellationToken)
    {
        ThrowIfLost();
        await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_isPending)
            {
                await RenewHeldAsync(cancellationToken).ConfigureAwait(false);
            }

            Task<ObjectInfo?> ended = _repository.Store.GetInfoAsync(_folder + _id + "/" + Ended, cancellationToken);
            ObjectInfo? last = await _repository.Store.GetInfoAsync(Key(_number), cancellationToken).ConfigureAwait(false);
            if (await ended.ConfigureAwait(false) is not null || last is null)
            {
                throw await LoseAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Throws where the loss is known already.</summary>
    public void ThrowIfLost()
    {
        if (Volatile.Read(ref _failure) is { } failure)
        {
            throw failure;
        }
    }

    /// <summary>Gives the claim back, so that the next stream need not wait.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _renewing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(10));
        try
        {
            if (_failure is null && !IsLeft)
            {
                await RemoveAsync(await ListOwnAsync(limit.Token).ConfigureAwait(false), limit.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is SmcException or OperationCanceledException)
        {
            _observer.Verbose($"The claim of this stream could not be removed and will expire: {e.Message}");
        }

        s_ownClaims.TryRemove(_id, out _);
        _turn.Dispose();
        _stop.Dispose();
        _lost.Dispose();
    }

    private string Key(long number) => string.Create(CultureInfo.InvariantCulture, $"{_folder}{_id}/{number:D10}");

    private async Task PutAsync(long number, CancellationToken cancellationToken)
    {
        try
        {
            await _repository.Store.PutAsync(Key(number), _content, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ObjectExists)
        {
            // An answer was lost before: it is ours, nobody else writes into this folder with that name.
        }
    }

    private async Task KeepAsync(TimeSpan interval)
    {
        try
        {
            while (true)
            {
                await Task.Delay(interval, _stop.Token).ConfigureAwait(false);
                try
                {
                    await RenewAsync(_stop.Token).ConfigureAwait(false);
                }
                catch (SmcException e) when (e.Code != SmcErrorCode.StreamTaken)
                {
                    // What is written meets the same trouble and says so.
                    _observer.Verbose($"The claim of this stream could not be renewed and will be tried again: {e.Message}");
                    await LookAsync().ConfigureAwait(false);
                }
            }
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.StreamTaken)
        {
            // Known by now to whoever asks.
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Given back.
        }
    }

    /// <summary>A full store takes no sign of life, and still tells whether somebody else has taken over.</summary>
    private async Task LookAsync()
    {
        try
        {
            if (!_isPending)
            {
                await CheckAsync(_stop.Token).ConfigureAwait(false);
            }
        }
        catch (SmcException e) when (e.Code != SmcErrorCode.StreamTaken)
        {
            _observer.Verbose($"Nor can the claim of this stream be looked at: {e.Message}");
        }
    }

    /// <summary>A new sign of life; the former one must still be there, since whoever takes over removes it.</summary>
    private async Task RenewAsync(CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await RenewHeldAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>The same, by who has the turn. A claim that waited for room is made first.</summary>
    private async Task RenewHeldAsync(CancellationToken cancellationToken)
    {
        if (_isPending)
        {
            await PutAsync(0, cancellationToken).ConfigureAwait(false);
            if ((await ClearAsync(_takeover, cancellationToken).ConfigureAwait(false)).Count > 0)
            {
                await TryRemoveAsync([Key(0)], cancellationToken).ConfigureAwait(false);
                throw await LoseAsync().ConfigureAwait(false);
            }
        }

        long next = _number + 1;
        await PutAsync(next, cancellationToken).ConfigureAwait(false);
        List<ObjectInfo> own = await ListOwnAsync(cancellationToken).ConfigureAwait(false);
        if (!own.Exists(info => info.Key == Key(_number)) || own.Exists(info => IsEnded(info.Key)))
        {
            await TryRemoveAsync([Key(next)], cancellationToken).ConfigureAwait(false);
            throw await LoseAsync().ConfigureAwait(false);
        }

        long former = _number;
        (_number, _isPending) = (next, false);
        await TryRemoveAsync([Key(former)], cancellationToken).ConfigureAwait(false);
    }

    private async Task<SmcException> LoseAsync()
    {
        SmcException failure = new(
            SmcErrorCode.StreamTaken,
            $"Another stream has taken over the WAL that this one brought to {_repository.Location}.",
            target: _repository.Location);
        Volatile.Write(ref _failure, failure);
        await _lost.CancelAsync().ConfigureAwait(false);
        return failure;
    }

    /// <summary>
    /// Throws where another stream may hold a claim, while nothing can be written. Without an object of its own there is no time of the store
    /// to compare with, and a stream that lives cannot renew its claim either: only a dead process lets go.
    /// </summary>
    private async Task EnsureAloneAsync(ulong systemId, CancellationToken cancellationToken)
    {
        foreach ((string id, List<ObjectInfo> objects) in await ListClaimsAsync(cancellationToken).ConfigureAwait(false))
        {
            if (id != _id && !_takeover && !objects.Exists(static info => IsEnded(info.Key)) &&
                await ReadAsync(objects[^1].Key, cancellationToken).ConfigureAwait(false) is { } holder && !IsGone(id, holder))
            {
                throw new SmcException(
                    SmcErrorCode.StreamRunning,
                    $"The WAL of the database cluster {systemId} may be streamed to {_repository.Location} already, by {holder.Describe()}. While " +
                        "the repository takes nothing, it cannot be told whether that stream is alive.",
                    recommendation: "Let that stream work. If it is surely gone, add -Takeover (or --takeover), or make room in the repository.",
                    target: _repository.Location);
            }
        }
    }

    private static bool IsGone(string id, StreamHolder holder) =>
        holder.ProcessId == Environment.ProcessId && holder.IsSame(StreamHolder.Create("", null, default))
            ? !s_ownClaims.ContainsKey(id)
            : holder.IsSurelyDead();

    private async Task<Dictionary<string, List<ObjectInfo>>> ListClaimsAsync(CancellationToken cancellationToken)
    {
        Dictionary<string, List<ObjectInfo>> claims = new(StringComparer.Ordinal);
        await foreach (ObjectInfo info in _repository.Store.ListAsync(_folder, cancellationToken).ConfigureAwait(false))
        {
            string rest = info.Key[_folder.Length..];
            if (rest.IndexOf('/', StringComparison.Ordinal) is > 0 and int end)
            {
                string id = rest[..end];
                claims.TryAdd(id, []);
                claims[id].Add(info);
            }
        }

        return claims;
    }

    /// <summary>Ends the claims of others that do not count any more, and returns those that do.</summary>
    private async Task<List<Other>> ClearAsync(bool takeover, CancellationToken cancellationToken)
    {
        Dictionary<string, List<ObjectInfo>> claims = await ListClaimsAsync(cancellationToken).ConfigureAwait(false);
        List<Other> living = [];
        DateTimeOffset now = claims.GetValueOrDefault(_id)?.Max(static info => info.LastModified) ?? throw await LoseAsync().ConfigureAwait(false);
        foreach ((string id, List<ObjectInfo> objects) in claims.Where(claim => claim.Key != _id))
        {
            TimeSpan age = now - objects.Max(static info => info.LastModified);
            if (objects.Exists(info => IsEnded(info.Key)))
            {
                if (age > s_endedStays)
                {
                    await TryRemoveAsync(objects.Select(static info => info.Key), cancellationToken).ConfigureAwait(false);
                }

                continue;
            }

            if (await ReadAsync(objects[^1].Key, cancellationToken).ConfigureAwait(false) is not { } holder)
            {
                // Renewed or given back in this moment: either way somebody is there now.
                living.Add(new Other(null, IsHeld: false, age));
                continue;
            }

            bool isGone = IsGone(id, holder);
            if (!isGone && age < TimeSpan.FromSeconds(holder.ExpiresAfterSeconds) && !takeover)
            {
                living.Add(new Other(holder, objects.Exists(static info => !info.Key.EndsWith("/0000000000", StringComparison.Ordinal)), age));
                continue;
            }

            if (!isGone)
            {
                _observer.Warning(
                    takeover && age < TimeSpan.FromSeconds(holder.ExpiresAfterSeconds)
                        ? $"The WAL stream of {holder.Describe()} is taken over; it stops before it writes again."
                        : $"The WAL stream of {holder.Describe()} gave no sign of life for {DisplayText.Duration(age)}: its claim is void.");
            }

            await EndAsync(id, objects, stays: !isGone, cancellationToken).ConfigureAwait(false);
            ReplacedAnother = true;
            _replaced.Add(holder);
        }

        return living;
    }

    private async Task EndAsync(string id, List<ObjectInfo> objects, bool stays, CancellationToken cancellationToken)
    {
        string folder = _folder + id + "/";
        if (!stays)
        {
            await TryRemoveAsync(objects.Select(static info => info.Key), cancellationToken).ConfigureAwait(false);
        }

        // Where the store lets nothing be removed, this is what ends a claim.
        if (stays || (await ListAsync(folder, cancellationToken).ConfigureAwait(false)).Count > 0)
        {
            try
            {
                await _repository.Store.PutAsync(folder + Ended, _content, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.ObjectExists)
            {
                // Somebody else has ended it too.
            }

            // Listed again: what the holder renewed before it could see that it had ended would seem to be alive.
            IEnumerable<ObjectInfo> left = await ListAsync(folder, cancellationToken).ConfigureAwait(false);
            await TryRemoveAsync(left.Select(static info => info.Key).Where(static key => !IsEnded(key)), cancellationToken).ConfigureAwait(false);
        }
    }

    private SmcException Refuse(Other other, ulong systemId) => new(
        SmcErrorCode.StreamRunning,
        $"The WAL of the database cluster {systemId} is streamed to {_repository.Location} already" +
            (other.Holder is { } holder
                ? $", by {holder.Describe()}. Its last sign of life is {DisplayText.Duration(other.Age)} old."
                : " by a stream that is just beginning."),
        recommendation: "Let that stream work, or stop it. " +
            (other.Holder is { ExpiresAfterSeconds: var seconds }
                ? $"If it is gone, its claim ends {DisplayText.Duration(TimeSpan.FromSeconds(seconds))} after its last sign of life, and on its " +
                    "own host at once. "
                : "") +
            "To take over from one that cannot be reached, add -Takeover (or --takeover); it stops before it writes again.",
        target: _repository.Location);

    private async Task<StreamHolder?> ReadAsync(string key, CancellationToken cancellationToken)
    {
        try
        {
            return await _repository.TryReadDocumentAsync(key, WalJson.Default.StreamHolder, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (SmcErrors.IsDamage(e.Code))
        {
            _observer.Warning($"{e.Message} The claim of a stream that it is cannot be read; it counts until it has expired.");
            return new StreamHolder
            {
                Host = "an unknown host",
                ProcessId = 0,
                Since = DateTimeOffset.UnixEpoch,
                Server = "an unknown server",
                ExpiresAfterSeconds = WalReceiverOptions.DefaultClaimExpiry.TotalSeconds,
            };
        }
    }

    private Task<List<ObjectInfo>> ListOwnAsync(CancellationToken cancellationToken) => ListAsync(_folder + _id + "/", cancellationToken);

    private async Task<List<ObjectInfo>> ListAsync(string folder, CancellationToken cancellationToken)
    {
        List<ObjectInfo> result = [];
        await foreach (ObjectInfo info in _repository.Store.ListAsync(folder, cancellationToken).ConfigureAwait(false))
        {
            result.Add(info);
        }

        return result;
    }

    private static bool IsEnded(string key) => key.EndsWith("/" + Ended, StringComparison.Ordinal);

    private async Task RemoveAsync(List<ObjectInfo> objects, CancellationToken cancellationToken)
    {
        await TryRemoveAsync(objects.Select(static info => info.Key), cancellationToken).ConfigureAwait(false);
        if ((await ListOwnAsync(cancellationToken).ConfigureAwait(false)).Count > 0)
        {
            await _repository.Store.PutAsync(_folder + _id + "/" + Ended, _content, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task TryRemoveAsync(IEnumerable<string> keys, CancellationToken cancellationToken)
    {
        try
        {
            foreach (string key in keys)
            {
                await _repository.Store.DeleteAsync(key, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (SmcException e)
        {
            _observer.Verbose($"A former sign of life of a stream stays: {e.Message}");
        }
    }

    private sealed record Other(StreamHolder? Holder, bool IsHeld, TimeSpan Age);
}
