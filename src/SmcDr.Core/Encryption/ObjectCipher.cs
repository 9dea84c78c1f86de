using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace SmcDr.Core.Encryption;

/// <summary>Encrypts and decrypts the frames of one object. Not for several threads at a time.</summary>
/// <remarks>
/// The key belongs to this object alone, since its salt is random and new for each. Therefore a frame's number can be its nonce: it is
/// used once with this key (NIST SP 800-38D, 8.2.1). That the last frame is the last is in the nonce as well, as in the STREAM
/// construction (Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance, 2015).
/// </remarks>
internal sealed class ObjectCipher : IDisposable
{
    private const int NonceLength = 12;

    private readonly AesGcm _aes;
    private readonly byte[] _headerTag;

    public ObjectCipher(RepositoryKey key, ReadOnlySpan<byte> salt, ReadOnlySpan<byte> headerTag, string name)
    {
        Span<byte> derived = stackalloc byte[RepositoryKey.Length];
        try
        {
            key.Derive(salt, Encoding.ASCII.GetBytes("SmcDr object content 1\0" + name), derived);
            _aes = new AesGcm(derived, FrameLayout.TagLength);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(derived);
        }

        _headerTag = headerTag.ToArray();
    }

    /// <summary>Encrypts a frame, with its tag behind it, and gives its stored length.</summary>
    public int Seal(long number, bool isLast, ReadOnlySpan<byte> content, Span<byte> stored)
    {
        Span<byte> nonce = stackalloc byte[NonceLength];
        WriteNonce(number, isLast, nonce);
        _aes.Encrypt(nonce, content, stored[..content.Length], stored.Slice(content.Length, FrameLayout.TagLength), _headerTag);
        return content.Length + FrameLayout.TagLength;
    }

    /// <summary>Decrypts a frame; false where it is not this one.</summary>
    /// <param name="number">Which frame it must be.</param>
    /// <param name="isLast">Whether it must be the last.</param>
    /// <param name="stored">The frame with its tag.</param>
    /// <param name="content">Exactly as long as the frame's content.</param>
    public bool TryOpen(long number, bool isLast, ReadOnlySpan<byte> stored, Span<byte> content)
    {
        if (stored.Length < FrameLayout.TagLength)
        {
            return false;
        }

        Span<byte> nonce = stackalloc byte[NonceLength];
        WriteNonce(number, isLast, nonce);
        try
        {
            _aes.Decrypt(nonce, stored[..^FrameLayout.TagLength], stored[^FrameLayout.TagLength..], content, _headerTag);
            return true;
        }
        catch (AuthenticationTagMismatchException)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _aes.Dispose();

    private static void WriteNonce(long number, bool isLast, Span<byte> nonce)
    {
        BinaryPrimitives.WriteInt64BigEndian(nonce, number);
        nonce[8..].Clear();
        nonce[^1] = isLast ? (byte)1 : (byte)0;
    }
}
