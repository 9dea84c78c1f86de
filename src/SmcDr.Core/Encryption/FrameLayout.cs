using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Encryption;

/// <summary>Where frames lie in an encrypted object, and how its length follows from that of its content.</summary>
internal static class FrameLayout
{
    /// <summary>The content of a frame; the last one may be shorter.</summary>
    public const int FrameLength = 16 << 10;

    public const int TagLength = 16;

    public const int StoredFrameLength = FrameLength + TagLength;

    /// <summary>How many frames a content has. An empty one has one, so that its end is authentic too.</summary>
    public static long CountOf(long contentLength) => Math.Max(1, (contentLength + FrameLength - 1) / FrameLength);

    /// <summary>The length of an object with a content of this length.</summary>
    public static long StoredLengthOf(string key, long contentLength) =>
        ObjectHeader.LengthOf(key) + contentLength + (CountOf(contentLength) * TagLength);

    /// <summary>How many frames there are, whole or not, in so many bytes behind the header.</summary>
    public static long CountIn(long framesLength) => Math.Max(1, (framesLength + StoredFrameLength - 1) / StoredFrameLength);

    /// <summary>
    /// The length of the content of a stored object. One that cannot be, because the object was cut, is told as what is left: lists
    /// must not fail by one object, and no reader takes a length for proof.
    /// </summary>
    public static long ContentLengthOf(string key, long storedLength)
    {
        long frames = Math.Max(0, storedLength - ObjectHeader.LengthOf(key));
        return Math.Max(0, frames - (CountIn(frames) * TagLength));
    }

    /// <summary>Whether there is an object with this stored length at all.</summary>
    public static bool IsPossible(string key, long storedLength) =>
        StoredLengthOf(key, ContentLengthOf(key, storedLength)) == storedLength;

    /// <summary>An object as its list shows it, with the length of its content.</summary>
    public static ObjectInfo ContentOf(ObjectInfo stored) => stored with { Length = ContentLengthOf(stored.Key, stored.Length) };
}
