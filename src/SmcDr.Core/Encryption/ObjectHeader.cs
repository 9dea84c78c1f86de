using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace SmcDr.Core.Encryption;

/// <summary>
/// The head of an encrypted object: with which key it is encrypted, its salt, and its own name, so that an object in the place of another
/// one is known for what it is.
/// </summary>
internal sealed class ObjectHeader
{
    private const byte Format = 1;
    private const int KeyIdOffset = 9;
    private const int SaltOffset = KeyIdOffset + RepositoryKey.IdLength;
    private const int NameLengthOffset = SaltOffset + SaltLength;
    private const int NameOffset = NameLengthOffset + 2;
    private const int SaltLength = 32;
    private const int TagLength = HMACSHA256.HashSizeInBytes;

    /// <summary>No header is longer: a key has at most 512 characters.</summary>
    public const int MaximumLength = NameOffset + 512 + TagLength;

    private readonly byte[] _bytes;

    private ObjectHeader(byte[] bytes, RepositoryKey key)
    {
        _bytes = bytes;
        Key = key;
    }

    private static ReadOnlySpan<byte> Magic => "SMCDRENC"u8;

    /// <summary>The key that the object is encrypted under.</summary>
    public RepositoryKey Key { get; }

    /// <summary>The header as it is stored.</summary>
    public ReadOnlyMemory<byte> Bytes => _bytes;

    /// <summary>The length of the header of an object of this key.</summary>
    public static int LengthOf(string key) => NameOffset + key.Length + TagLength;

    /// <summary>Makes the header of a new object.</summary>
    public static ObjectHeader Create(RepositoryKey key, string name)
    {
        byte[] bytes = new byte[LengthOf(name)];
        Magic.CopyTo(bytes);
        bytes[Magic.Length] = Format;
        Convert.FromHexString(key.Id, bytes.AsSpan(KeyIdOffset), out _, out _);
        RandomNumberGenerator.Fill(bytes.AsSpan(SaltOffset, SaltLength));
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(NameLengthOffset), (ushort)name.Length);
        Encoding.ASCII.GetBytes(name, bytes.AsSpan(NameOffset));
        ComputeTag(key, bytes.AsSpan(SaltOffset, SaltLength), bytes.AsSpan(0, bytes.Length - TagLength), bytes.AsSpan(bytes.Length - TagLength));
        return new ObjectHeader(bytes, key);
    }

    /// <summary>Reads a header and proves it.</summary>
    /// <param name="keyring">The keys.</param>
    /// <param name="name">The key that the object was read from.</param>
    /// <param name="start">The object's beginning: what its own header takes, or <see cref="MaximumLength"/>, or all of it.</param>
    /// <exception cref="SmcException">What is wrong with it.</exception>
    public static ObjectHeader Parse(RepositoryKeyring keyring, string name, ReadOnlySpan<byte> start)
    {
        if (start.Length >= Magic.Length && !start.StartsWith(Magic) && !IsWhole(start))
        {
            throw NotAHeader(name, start);
        }

        if (start.Length < LengthOf(name) && start.Length < MaximumLength && !IsWhole(start))
        {
            throw new SmcException(
                SmcErrorCode.ObjectTruncated, $"The object '{name}' ends after {start.Length} bytes, within its header.", target: name);
        }

        int nameLength = BinaryPrimitives.ReadUInt16BigEndian(start[NameLengthOffset..]);
        int length = NameOffset + nameLength + TagLength;
        if (length > start.Length)
        {
            throw NotAHeader(name, start);
        }

        byte[] bytes = start[..length].ToArray();
        string keyId = Convert.ToHexStringLower(bytes.AsSpan(KeyIdOffset, RepositoryKey.IdLength));
        if (!bytes.AsSpan().StartsWith(Magic) || bytes[Magic.Length] != Format || keyring.Find(keyId) is not { } key)
        {
            throw Unknown(keyring, name, bytes, keyId);
        }

        if (!HasTag(key, bytes))
        {
            throw new SmcException(
                SmcErrorCode.ChecksumMismatch, $"The object '{name}' is damaged: its header is not authentic.", target: name);
        }

        ReadOnlySpan<byte> storedName = bytes.AsSpan(NameOffset, nameLength);
        return Encoding.ASCII.GetString(storedName) == name
            ? new ObjectHeader(bytes, key)
            : throw new SmcException(
                SmcErrorCode.ObjectSwapped,
                $"In the place of the object '{name}' lies the object '{Encoding.ASCII.GetString(storedName)}'.",
                target: name);
    }

    /// <summary>What decrypts or encrypts the object's frames.</summary>
    public ObjectCipher CreateCipher(string name) =>
        new(Key, _bytes.AsSpan(SaltOffset, SaltLength), _bytes.AsSpan(_bytes.Length - TagLength), name);

    private static bool IsWhole(ReadOnlySpan<byte> start) =>
        start.Length >= NameOffset
        && start.Length >= NameOffset + BinaryPrimitives.ReadUInt16BigEndian(start[NameLengthOffset..]) + TagLength;

    private static bool HasTag(RepositoryKey key, ReadOnlySpan<byte> bytes)
    {
        Span<byte> tag = stackalloc byte[TagLength];
        ComputeTag(key, bytes.Slice(SaltOffset, SaltLength), bytes[..^TagLength], tag);
        return CryptographicOperations.FixedTimeEquals(tag, bytes[^TagLength..]);
    }

    private static void ComputeTag(RepositoryKey key, ReadOnlySpan<byte> salt, ReadOnlySpan<byte> content, Span<byte> tag)
    {
        Span<byte> derived = stackalloc byte[RepositoryKey.Length];
        try
        {
            key.Derive(salt, "SmcDr object header 1"u8, derived);
            HMACSHA256.HashData(derived, content, tag);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(derived);
        }
    }

    private static SmcException NotAHeader(string name, ReadOnlySpan<byte> start) => new(
        SmcErrorCode.ChecksumMismatch,
        start.StartsWith(Magic)
            ? $"The object '{name}' is damaged: its header is not one."
            : $"The object '{name}' does not begin as an encrypted object does: it is damaged, or somebody put it there in clear.",
        target: name);

    /// <summary>A header that is of no known kind, or only damaged there: then it is authentic once that is put right.</summary>
    private static SmcException Unknown(RepositoryKeyring keyring, string name, byte[] bytes, string keyId)
    {
        byte[] repaired = [.. bytes];
        Magic.CopyTo(repaired);
        repaired[Magic.Length] = Format;
        foreach (RepositoryKey key in keyring.Keys)
        {
            Convert.FromHexString(key.Id, repaired.AsSpan(KeyIdOffset), out _, out _);
            if (HasTag(key, repaired))
            {
                return new SmcException(
                    SmcErrorCode.ChecksumMismatch, $"The object '{name}' is damaged: its header is not authentic.", target: name);
            }
        }

        if (!bytes.AsSpan().StartsWith(Magic))
        {
            return NotAHeader(name, bytes);
        }

        return bytes[Magic.Length] == Format
            ? new SmcException(
                SmcErrorCode.KeyMissing,
                $"The object '{name}' is encrypted with the key {keyId}, which is none of those that this repository opens with.",
                recommendation: "Look with Get-SmcRepositoryKey whether the repository has this key and the site's recipient lacks it; else the "
                    + "object is of another repository, and somebody put it there.",
                target: name)
            : new SmcException(
                SmcErrorCode.RepositoryFormatUnknown,
                $"The object '{name}' has the encryption format {bytes[Magic.Length]}; this version knows {Format}.",
                target: name);
    }
}
