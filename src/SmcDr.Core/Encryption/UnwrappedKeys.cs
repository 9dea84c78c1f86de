using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace SmcDr.Core.Encryption;

/// <summary>
/// The keys that envelopes held, for as long as one command works on a site: it opens the repository several times, and a passphrase takes half a second of
/// processor time each.
/// </summary>
/// <remarks>
/// A key is found again by the very bytes of its envelope and by what opened it. So what is new in the repository, another key or another envelope, is opened as
/// ever, which envelopes there are is looked up each time, and whoever comes with a wrong secret is told so.
/// </remarks>
internal sealed class UnwrappedKeys
{
    private readonly ConcurrentDictionary<string, RepositoryKey> _keys = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, bool> _told = new(StringComparer.Ordinal);

    // Random, so that what is kept of a secret says nothing outside of this process.
    private readonly byte[] _own = RandomNumberGenerator.GetBytes(32);
    private int _openings;

    /// <summary>How often an envelope was opened, or tried, by its recipient's secret.</summary>
    public int Openings => Volatile.Read(ref _openings);

    /// <summary>The key in an envelope, which the caller disposes of; null where it is not for this recipient.</summary>
    /// <param name="recipient">The envelope.</param>
    /// <param name="source">What opens it.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async Task<RepositoryKey?> OpenAsync(Recipient recipient, RepositoryKeySource source, CancellationToken cancellationToken)
    {
        string name = NameOf(recipient, source);
        if (_keys.TryGetValue(name, out RepositoryKey? known))
        {
            return Copy(known);
        }

        Interlocked.Increment(ref _openings);
        if (await source.TryUnwrapAsync(recipient, cancellationToken).ConfigureAwait(false) is not { } key)
        {
            return null;
        }

        _keys[name] = key;
        return Copy(key);
    }

    /// <summary>Whether a problem was not told yet: each opening finds it again.</summary>
    public bool TryTell(string problem) => _told.TryAdd(problem, true);

    private string NameOf(Recipient recipient, RepositoryKeySource source)
    {
        using IncrementalHash digest = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, _own);
        source.AppendSecret(digest);
        string secret = Convert.ToHexString(digest.GetHashAndReset());
        return $"{source.Kind} {secret} {recipient.RepositoryId:D} {recipient.KeyId} {recipient.Name} " +
            Convert.ToHexString(SHA256.HashData(recipient.WrappedKey));
    }

    private static RepositoryKey? Copy(RepositoryKey key) => RepositoryKey.TryTake(key.Bytes.ToArray());
}
