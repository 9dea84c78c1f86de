using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace SmcDr.Core.Repositories;

/// <summary>A SHA-256 digest as a value: a backup holds millions of them.</summary>
[InlineArray(4)]
public struct Hash256 : IEquatable<Hash256>
{
    private ulong _element;

    /// <summary>The digest of <paramref name="bytes"/>.</summary>
    public static Hash256 Compute(ReadOnlySpan<byte> bytes)
    {
        Hash256 result = default;
        SHA256.HashData(bytes, result.AsWritableBytes());
        return result;
    }

    /// <summary>Takes a digest's 32 bytes.</summary>
    public static Hash256 FromBytes(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != SHA256.HashSizeInBytes)
        {
            throw new ArgumentException("A SHA-256 digest has 32 bytes.", nameof(bytes));
        }

        Hash256 result = default;
        bytes.CopyTo(result.AsWritableBytes());
        return result;
    }

    /// <summary>Parses 64 hexadecimal digits in lower case.</summary>
    /// <exception cref="FormatException">The text is no such digest.</exception>
    public static Hash256 Parse(ReadOnlySpan<char> text)
    {
        Hash256 result = default;
        return !text.ContainsAnyInRange('A', 'F') &&
            Convert.FromHexString(text, result.AsWritableBytes(), out _, out int written) == OperationStatus.Done && written == 32
            ? result
            : throw new FormatException("The text is not a SHA-256 digest.");
    }

    /// <summary>Writes the digest's first bytes.</summary>
    internal readonly void CopyTo(Span<byte> destination, int length) => AsBytes(in this)[..length].CopyTo(destination);

    /// <summary>The digest's 32 bytes.</summary>
    public readonly byte[] ToArray() => AsBytes(in this).ToArray();

    /// <inheritdoc/>
    public readonly bool Equals(Hash256 other) => AsBytes(in this).SequenceEqual(AsBytes(in other));

    /// <inheritdoc/>
    public override readonly bool Equals(object? obj) => obj is Hash256 other && Equals(other);

    /// <inheritdoc/>
    public override readonly int GetHashCode() => this[0].GetHashCode();

    /// <summary>Whether two digests are the same.</summary>
    public static bool operator ==(Hash256 left, Hash256 right) => left.Equals(right);

    /// <summary>Whether two digests differ.</summary>
    public static bool operator !=(Hash256 left, Hash256 right) => !left.Equals(right);

    /// <summary>64 hexadecimal digits in lower case.</summary>
    public override readonly string ToString() => Convert.ToHexStringLower(AsBytes(in this));

    private static ReadOnlySpan<byte> AsBytes(in Hash256 value) =>
        MemoryMarshal.AsBytes(MemoryMarshal.CreateReadOnlySpan(in Unsafe.As<Hash256, ulong>(ref Unsafe.AsRef(in value)), 4));

    [UnscopedRef]
    private Span<byte> AsWritableBytes() => MemoryMarshal.AsBytes(MemoryMarshal.CreateSpan(ref _element, 4));
}
