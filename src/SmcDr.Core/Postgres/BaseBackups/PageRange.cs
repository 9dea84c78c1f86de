using System.Security.Cryptography;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>A range of a file that is compared with what is known of its pages, and what was found.</summary>
/// <param name="path">The file.</param>
/// <param name="offset">Where the range begins; a multiple of the page size.</param>
/// <param name="length">The length as the file was listed.</param>
/// <param name="hashes">The known hash of each page; zeros for a page that is not known.</param>
/// <param name="heads">The known head of each page; zeros for one that is not known.</param>
/// <param name="trust">When a page's head says that it has not changed; null where never.</param>
internal sealed class PageRange(string path, long offset, int length, byte[] hashes, byte[] heads, HeadTrust? trust)
{
    private readonly List<(int Page, Range Place)> _changed = [];

    public string Path => path;

    public long Offset => offset;

    public int Length => length;

    public byte[] Hashes => hashes;

    /// <summary>How many bytes of the range there are; null where the file is gone.</summary>
    public int? Found { get; private set; }

    /// <summary>Where the whole range lies in the buffer, if most of its pages have changed.</summary>
    public Range? Whole { get; private set; }

    /// <summary>The pages that have changed, and where each lies in the buffer. They come in order, one behind the other.</summary>
    public IReadOnlyList<(int Page, Range Place)> Changed => _changed;

    /// <summary>Whether a page of the range, as it is now, is the known one.</summary>
    public bool IsKnown(int page, ReadOnlySpan<byte> content)
    {
        if (trust?.IsSame(heads.AsSpan(page * PageHashes.HeadSize, PageHashes.HeadSize), content, page) == true)
        {
            return true;
        }

        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(content, hash);
        return hash[..PageHashes.HashSize].SequenceEqual(hashes.AsSpan(page * PageHashes.HashSize, PageHashes.HashSize));
    }

    public void Clear()
    {
        Found = null;
        Whole = null;
        _changed.Clear();
    }

    public void SetFound(int? found) => Found = found;

    public void SetWhole(Range place) => Whole = place;

    public void Add(int page, Range place)
    {
        // Whoever takes the pages relies on it, and no plan of the query could change it.
        if (_changed.Count > 0 && (_changed[^1].Page >= page || !_changed[^1].Place.End.Equals(place.Start)))
        {
            throw new SmcException(SmcErrorCode.InternalError, $"The server sent the pages of '{path}' out of order.", target: path);
        }

        _changed.Add((page, place));
    }
}
