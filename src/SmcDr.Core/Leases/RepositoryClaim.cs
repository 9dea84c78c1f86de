using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Leases;

/// <summary>
/// A claim to be the only one who does something in a repository: a folder of its own, in which the holder leaves a new object for each sign
/// of life. A store that never replaces an object is enough for it.
/// </summary>
/// <remarks>
/// Who claims writes its first object and only then looks for others. Of two that claim at once the later one sees the earlier, so
/// that never both go on; where both see each other both withdraw, wait and try again. Ages are differences of two times of the same
/// store's listing. Whoever is replaced finds the object <c>ended</c> in its folder, or its last object gone, before it acts again.
/// </remarks>
internal abstract class RepositoryClaim<THolder> : IAsyncDisposable
    where THolder : ClaimHolder
{
    private const string Ended = "ended";
    private const int Attempts = 8;

    // So long a holder that slept finds out what became of its claim.
    private static readonly TimeSpan s_endedStays = TimeSpan.FromDays(7);
    private static readonly ConcurrentDictionary<string, bool> s_ownClaims = new(StringComparer.Ordinal);

    private readonly IOperationObserver _observer;
    private readonly JsonTypeInfo<THolder> _json;
    private readonly string _folder;
    private readonly string _id;
    private readonly byte[] _content;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _lost = new();
    private readonly bool _takeover;
    private readonly List<THolder> _replaced = [];
    private long _number;
    private long _renewed;
    private bool _isPending;
    private SmcException? _failure;
    private Task _keeping = Task.CompletedTask;

    /// <summary>Prepares a claim; <see cref="TakeAsync"/> makes it.</summary>
    /// <param name="repository">The repository.</param>
    /// <param name="folder">The folder of all claims to the same, with its final <c>/</c>.</param>
    /// <param name="holder">Who claims.</param>
    /// <param name="json">How a holder is written.</param>
    /// <param name="takeover">Whether claims of others do not count.</param>
    /// <param name="observer">Hears of claims that are void.</param>
    protected RepositoryClaim(
        Repository repository, string folder, THolder holder, JsonTypeInfo<THolder> json, bool takeover, IOperationObserver observer)
    {
        Repository = repository;
        _takeover = takeover;
        _observer = observer;
        _json = json;
        _folder = folder;
        _id = string.Create(
            CultureInfo.InvariantCulture,
            $"{DateTime.UtcNow:yyyyMMdd'T'HHmmss'Z'}-{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8))}");
        _content = Envelope.Seal(JsonSerializer.SerializeToUtf8Bytes(holder, json));
        s_ownClaims[_id] = true;
    }

    /// <summary>Cancelled when the claim does not hold any more.</summary>
    public CancellationToken Lost => _lost.Token;

    /// <summary>Whether another claim was ended by this one.</summary>
    public bool ReplacedAnother => _replaced.Count > 0;

    /// <summary>Those whose claims were ended by this one.</summary>
    public IReadOnlyList<THolder> Replaced => _replaced;

    /// <summary>Whether the claim is left to expire instead of being given back, because who comes next elsewhere is to know of it.</summary>
    public bool IsLeft { get; set; }

    /// <summary>The repository.</summary>
    protected Repository Repository { get; }

    /// <summary>What holds a claim, for messages: a noun such as <c>stream</c>.</summary>
    protected abstract string Noun { get; }

    /// <summary>Makes sure that the claim still holds: what comes before each act.</summary>
    /// <exception cref="SmcException">It does not: what <see cref="Taken"/> says.</exception>
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

            Task<ObjectInfo?> ended = Repository.Store.GetInfoAsync(_folder + _id + "/" + Ended, cancellationToken);
            ObjectInfo? last = await Repository.Store.GetInfoAsync(Key(_number), cancellationToken).ConfigureAwait(false);
            if (await ended.ConfigureAwait(false) is not null || last is null)
            {
                throw await LoseAsync(Taken()).ConfigureAwait(false);
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

    /// <summary>Gives the claim back, so that who comes next need not wait.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _keeping.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
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
            _observer.Verbose($"The claim of this {Noun} could not be removed and will expire: {e.Message}");
        }

        s_ownClaims.TryRemove(_id, out _);
        _turn.Dispose();
        _stop.Dispose();
        _lost.Dispose();
    }

    /// <summary>Takes a claim and keeps it alive until disposed of.</summary>
    /// <param name="create">Prepares one; asked again for each attempt.</param>
    /// <param name="interval">How often it is renewed.</param>
    /// <param name="patience">
    /// How long it may go without a renewal, by this host's steady clock, until it counts as lost although nobody has ended it; null = until
    /// somebody has. For who does not look before each act.
    /// </param>
    /// <param name="mayWait">
    /// Whether a repository that takes nothing is fine: nobody else is found by reading, and the claim is made once something can be written.
    /// Until then <see cref="CheckAsync"/> fails as the repository does.
    /// </param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException">Somebody else holds it: what <see cref="Refuse"/> says.</exception>
    protected static async Task<TClaim> TakeAsync<TClaim>(
        Func<TClaim> create, TimeSpan interval, TimeSpan? patience, bool mayWait, CancellationToken cancellationToken)
        where TClaim : RepositoryClaim<THolder>
    {
        for (int attempt = 1; ; attempt++)
        {
            TClaim result = create();
            RepositoryClaim<THolder> claim = result;
            try
            {
                await claim.PutAsync(0, cancellationToken).ConfigureAwait(false);
                List<Other> living = await claim.ClearAsync(cancellationToken).ConfigureAwait(false);
                if (living.Count == 0)
                {
                    await claim.RenewAsync(cancellationToken).ConfigureAwait(false);
                    claim.Keep(interval, patience);
                    return result;
                }

                if (living.Exists(static other => other.IsHeld) || attempt == Attempts)
                {
                    throw claim.Refuse(living[0].Holder, living[0].Age);
                }
            }
            catch (SmcException e) when (mayWait && e.Code == SmcErrorCode.StorageFull)
            {
                try
                {
                    await claim.EnsureAloneAsync(cancellationToken).ConfigureAwait(false);
                }
                catch
                {
                    await claim.DisposeAsync().ConfigureAwait(false);
                    throw;
                }

                claim._isPending = true;
                claim.Keep(interval, patience);
                return result;
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
    protected static async Task<IReadOnlyList<Sighting>> ListAsync(
        Repository repository, string folder, JsonTypeInfo<THolder> json, CancellationToken cancellationToken)
    {
        Dictionary<string, ObjectInfo> last = new(StringComparer.Ordinal);
        HashSet<string> ended = new(StringComparer.Ordinal);
        await foreach (ObjectInfo info in repository.Store.ListAsync(folder, cancellationToken).ConfigureAwait(false))
        {
            string claim = info.Key[..info.Key.LastIndexOf('/')];
            if (IsEnded(info.Key))
            {
                ended.Add(claim);
            }
            else
            {
                last[claim] = info;
            }
        }

        List<Sighting> sightings = [];
        foreach ((string claim, ObjectInfo info) in last)
        {
            try
            {
                if (await repository.TryReadDocumentAsync(info.Key, json, cancellationToken).ConfigureAwait(false) is { } holder)
                {
                    sightings.Add(new Sighting(holder, info.LastModified, ended.Contains(claim)));
                }
            }
            catch (SmcException e) when (SmcErrors.IsDamage(e.Code) || e.Code == SmcErrorCode.KeyMissing)
            {
                // Who cannot be read cannot be named.
            }
        }

        return sightings;
    }

    /// <summary>The error of who comes second.</summary>
    /// <param name="holder">Who holds the claim; null where somebody is just beginning.</param>
    /// <param name="age">How old the holder's last sign of life is.</param>
    protected abstract SmcException Refuse(THolder? holder, TimeSpan age);

    /// <summary>The error where a repository that takes nothing does not tell whether a holder is alive.</summary>
    protected abstract SmcException RefuseUndecided(THolder holder);

    /// <summary>The error of who was replaced.</summary>
    protected abstract SmcException Taken();

    /// <summary>The error of who could not give a sign of life for so long that others may take it for dead.</summary>
    protected virtual SmcException Silent(TimeSpan silence) => Taken();

    /// <summary>What stands for a holder that cannot be read.</summary>
    protected abstract THolder Unknown();

    /// <summary>The warning that a claim of another is ended.</summary>
    /// <param name="holder">Whose it was.</param>
    /// <param name="age">How old the last sign of life is.</param>
    /// <param name="isAlive">Whether it counted until now.</param>
    protected abstract string DescribeReplaced(THolder holder, TimeSpan age, bool isAlive);

    private static bool IsEnded(string key) => key.EndsWith("/" + Ended, StringComparison.Ordinal);

    private static bool IsGone(string id, THolder holder) => holder.IsThisProcess() ? !s_ownClaims.ContainsKey(id) : holder.IsSurelyDead();

    private string Key(long number) => string.Create(CultureInfo.InvariantCulture, $"{_folder}{_id}/{number:D10}");

    private async Task PutAsync(long number, CancellationToken cancellationToken)
    {
        try
        {
            await Repository.Store.PutAsync(Key(number), _content, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ObjectExists)
        {
            // An answer was lost before: it is ours, nobody else writes into this folder with that name.
        }
    }

    private void Keep(TimeSpan interval, TimeSpan? patience)
    {
        Volatile.Write(ref _renewed, _isPending ? Stopwatch.GetTimestamp() : _renewed);
        Task renewing = Task.Run(() => KeepAsync(interval), CancellationToken.None);
        _keeping = patience is { } limit ? Task.WhenAll(renewing, Task.Run(() => WatchAsync(limit), CancellationToken.None)) : renewing;
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
                catch (SmcException e) when (Volatile.Read(ref _failure) is null)
                {
                    // What is done meets the same trouble and says so.
                    _observer.Verbose($"The claim of this {Noun} could not be renewed and will be tried again: {e.Message}");
                    await LookAsync().ConfigureAwait(false);
                }
            }
        }
        catch (SmcException) when (Volatile.Read(ref _failure) is not null)
        {
            // Known by now to whoever asks.
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Given back.
        }
    }

    /// <summary>Ends the claim when it was not renewed for too long, also where a renewal hangs.</summary>
    private async Task WatchAsync(TimeSpan patience)
    {
        try
        {
            while (true)
            {
                TimeSpan silence = Stopwatch.GetElapsedTime(Volatile.Read(ref _renewed));
                if (silence >= patience)
                {
                    await LoseAsync(Silent(silence)).ConfigureAwait(false);
                    return;
                }

                await Task.Delay(patience - silence + TimeSpan.FromMilliseconds(1), _stop.Token).ConfigureAwait(false);
            }
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
        catch (SmcException e) when (Volatile.Read(ref _failure) is null)
        {
            _observer.Verbose($"Nor can the claim of this {Noun} be looked at: {e.Message}");
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
        ThrowIfLost();
        long begin = Stopwatch.GetTimestamp();
        if (_isPending)
        {
            await PutAsync(0, cancellationToken).ConfigureAwait(false);
            if ((await ClearAsync(cancellationToken).ConfigureAwait(false)).Count > 0)
            {
                await TryRemoveAsync([Key(0)], cancellationToken).ConfigureAwait(false);
                throw await LoseAsync(Taken()).ConfigureAwait(false);
            }
        }

        long next = _number + 1;
        await PutAsync(next, cancellationToken).ConfigureAwait(false);
        List<ObjectInfo> own = await ListOwnAsync(cancellationToken).ConfigureAwait(false);
        if (!own.Exists(info => info.Key == Key(_number)) || own.Exists(info => IsEnded(info.Key)))
        {
            await TryRemoveAsync([Key(next)], cancellationToken).ConfigureAwait(false);
            throw await LoseAsync(Taken()).ConfigureAwait(false);
        }

        long former = _number;
        (_number, _isPending) = (next, false);
        Volatile.Write(ref _renewed, begin);
        await TryRemoveAsync([Key(former)], cancellationToken).ConfigureAwait(false);
    }

    private async Task<SmcException> LoseAsync(SmcException failure)
    {
        failure = Interlocked.CompareExchange(ref _failure, failure, null) ?? failure;
        await _lost.CancelAsync().ConfigureAwait(false);
        return failure;
    }

    /// <summary>
    /// Throws where another may hold a claim, while nothing can be written. Without an object of its own there is no time of the store
    /// to compare with, and a holder that lives cannot renew its claim either: only a dead process lets go.
    /// </summary>
    private async Task EnsureAloneAsync(CancellationToken cancellationToken)
    {
        foreach ((string id, List<ObjectInfo> objects) in await ListClaimsAsync(cancellationToken).ConfigureAwait(false))
        {
            if (id != _id && !_takeover && !objects.Exists(static info => IsEnded(info.Key)) &&
                await ReadAsync(objects[^1].Key, cancellationToken).ConfigureAwait(false) is { } holder && !IsGone(id, holder))
            {
                throw RefuseUndecided(holder);
            }
        }
    }

    private async Task<Dictionary<string, List<ObjectInfo>>> ListClaimsAsync(CancellationToken cancellationToken)
    {
        Dictionary<string, List<ObjectInfo>> claims = new(StringComparer.Ordinal);
        await foreach (ObjectInfo info in Repository.Store.ListAsync(_folder, cancellationToken).ConfigureAwait(false))
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
    private async Task<List<Other>> ClearAsync(CancellationToken cancellationToken)
    {
        Dictionary<string, List<ObjectInfo>> claims = await ListClaimsAsync(cancellationToken).ConfigureAwait(false);
        List<Other> living = [];
        DateTimeOffset now = claims.GetValueOrDefault(_id)?.Max(static info => info.LastModified) ??
            throw await LoseAsync(Taken()).ConfigureAwait(false);
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
            bool isAlive = age < TimeSpan.FromSeconds(holder.ExpiresAfterSeconds);
            if (!isGone && isAlive && !_takeover)
            {
                living.Add(new Other(holder, objects.Exists(static info => !info.Key.EndsWith("/0000000000", StringComparison.Ordinal)), age));
                continue;
            }

            if (!isGone)
            {
                _observer.Warning(DescribeReplaced(holder, age, isAlive));
            }

            await EndAsync(id, objects, stays: !isGone, cancellationToken).ConfigureAwait(false);
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
                await Repository.Store.PutAsync(folder + Ended, _content, cancellationToken).ConfigureAwait(false);
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

    private async Task<THolder?> ReadAsync(string key, CancellationToken cancellationToken)
    {
        try
        {
            return await Repository.TryReadDocumentAsync(key, _json, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (SmcErrors.IsDamage(e.Code))
        {
            _observer.Warning($"{e.Message} The claim of a {Noun} that it is cannot be read; it counts until it has expired.");
            return Unknown();
        }
    }

    private Task<List<ObjectInfo>> ListOwnAsync(CancellationToken cancellationToken) => ListAsync(_folder + _id + "/", cancellationToken);

    private async Task<List<ObjectInfo>> ListAsync(string folder, CancellationToken cancellationToken)
    {
        List<ObjectInfo> result = [];
        await foreach (ObjectInfo info in Repository.Store.ListAsync(folder, cancellationToken).ConfigureAwait(false))
        {
            result.Add(info);
        }

        return result;
    }

    private async Task RemoveAsync(List<ObjectInfo> objects, CancellationToken cancellationToken)
    {
        await TryRemoveAsync(objects.Select(static info => info.Key), cancellationToken).ConfigureAwait(false);
        if ((await ListOwnAsync(cancellationToken).ConfigureAwait(false)).Count > 0)
        {
            await Repository.Store.PutAsync(_folder + _id + "/" + Ended, _content, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task TryRemoveAsync(IEnumerable<string> keys, CancellationToken cancellationToken)
    {
        try
        {
            foreach (string key in keys)
            {
                await Repository.Store.DeleteAsync(key, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (SmcException e)
        {
            _observer.Verbose($"A former sign of life of a {Noun} stays: {e.Message}");
        }
    }

    /// <summary>A claim as it is seen.</summary>
    /// <param name="Holder">Whose it is.</param>
    /// <param name="LastSign">The last sign of life, by the clock of the store.</param>
    /// <param name="IsEnded">Whether somebody has ended it.</param>
    protected sealed record Sighting(THolder Holder, DateTimeOffset LastSign, bool IsEnded);

    private sealed record Other(THolder? Holder, bool IsHeld, TimeSpan Age);
}
