using System.Globalization;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Repositories;

/// <summary>
/// A folder of a repository with a record of something in it: numbered objects, of which each is made once and never overwritten, and one that ends it.
/// </summary>
/// <param name="Path">Its key, with a slash behind it.</param>
internal sealed record EntryFolder(string Path)
{
    private const int ParallelReads = 8;

    /// <summary>The key of the object that ends the record.</summary>
    public string EndKey => Path + "ended";

    /// <summary>The names of the folders below a prefix that are ids, the newest first: ids begin with a time.</summary>
    public static async Task<IReadOnlyList<string>> ListIdsAsync(
        IAsyncEnumerable<string> folders, Func<string, bool> isId, CancellationToken cancellationToken)
    {
        List<string> ids = [];
        await foreach (string id in folders.WithCancellation(cancellationToken).ConfigureAwait(false))
        {
            if (isId(id))
            {
                ids.Add(id);
            }
        }

        ids.Reverse();
        return ids;
    }

    /// <summary>Refuses a document of a later version.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.RepositoryFormatUnknown"/>.</exception>
    public static void EnsureKnown(int format, string key)
    {
        if (format > Repository.FormatVersion)
        {
            throw new SmcException(
                SmcErrorCode.RepositoryFormatUnknown,
                string.Create(CultureInfo.InvariantCulture, $"The object '{key}' has format {format}, which this version does not know."),
                target: key);
        }
    }

    /// <summary>The key of an entry.</summary>
    public string KeyOf(long number) => string.Create(CultureInfo.InvariantCulture, $"{Path}{number:D10}");

    /// <summary>Whether the record was ended: one request.</summary>
    public async Task<bool> IsEndedAsync(IObjectStore store, CancellationToken cancellationToken) =>
        await store.GetInfoAsync(EndKey, cancellationToken).ConfigureAwait(false) is not null;

    /// <summary>The numbers of the entries that a listing of the folder has.</summary>
    public async Task<IReadOnlyList<long>> FindNumbersAsync(IAsyncEnumerable<ObjectInfo> listing, CancellationToken cancellationToken)
    {
        List<long> numbers = [];
        await foreach (ObjectInfo info in listing.WithCancellation(cancellationToken).ConfigureAwait(false))
        {
            if (long.TryParse(info.Key.AsSpan(Path.Length), NumberStyles.None, CultureInfo.InvariantCulture, out long number))
            {
                numbers.Add(number);
            }
        }

        return numbers;
    }

    /// <summary>Reads entries, several at a time; they come in the order of the numbers that are given.</summary>
    public static async Task<T?[]> ReadAsync<T>(
        IReadOnlyList<long> numbers, Func<long, CancellationToken, Task<T?>> read, CancellationToken cancellationToken)
        where T : class
    {
        T?[] entries = new T?[numbers.Count];
        await Parallel.ForAsync(
            0,
            entries.Length,
            new ParallelOptions { MaxDegreeOfParallelism = ParallelReads, CancellationToken = cancellationToken },
            async (i, token) => entries[i] = await read(numbers[i], token).ConfigureAwait(false)).ConfigureAwait(false);
        return entries;
    }
}
