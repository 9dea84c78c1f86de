using System.Security.Cryptography;

namespace SmcDr.Core.Encryption;

/// <summary>Why a frame is not the one that must lie in its place.</summary>
internal static class FrameDiagnosis
{
    /// <summary>More frames than a pack has. What is swapped over a greater distance is told as damage.</summary>
    private const long MaximumSearch = 1 << 15;

    public static SmcException Explain(
        string key, string location, ObjectHeader header, long number, long count, ReadOnlySpan<byte> frame)
    {
        byte[] content = GC.AllocateUninitializedArray<byte>(FrameLayout.FrameLength);
        try
        {
            using ObjectCipher cipher = header.CreateCipher(key);
            bool isLast = number == count - 1;
            Span<byte> whole = content.AsSpan(0, Math.Max(0, frame.Length - FrameLayout.TagLength));
            if (isLast && cipher.TryOpen(number, false, frame, whole))
            {
                return new SmcException(
                    SmcErrorCode.ObjectTruncated,
                    $"The object '{key}' in {location} was cut short: it ends with frame {number + 1}, after which more must follow.",
                    target: key);
            }

            // Whatever was appended lies in the same frame where the last one was a short one.
            for (int length = isLast ? frame.Length - 1 : frame.Length; length >= FrameLayout.TagLength; length--)
            {
                if (cipher.TryOpen(number, true, frame[..length], content.AsSpan(0, length - FrameLayout.TagLength)))
                {
                    return new SmcException(
                        SmcErrorCode.ObjectExtended,
                        $"The object '{key}' in {location} goes on behind its last frame, {number + 1}: something was appended to it.",
                        target: key);
                }
            }

            for (long other = 0; other < Math.Min(count, MaximumSearch); other++)
            {
                if (cipher.TryOpen(other, false, frame, whole) || cipher.TryOpen(other, true, frame, whole))
                {
                    return new SmcException(
                        SmcErrorCode.FramesReordered,
                        $"The frames of the object '{key}' in {location} are not in their order: in the place of frame {number + 1} lies frame {other + 1}.",
                        target: key);
                }
            }

            return new SmcException(
                SmcErrorCode.ChecksumMismatch,
                $"The object '{key}' in {location} is damaged{(isLast ? " or cut short" : "")} in frame {number + 1} of {count}: it is not authentic.",
                target: key);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(content);
        }
    }
}
