using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using SmcDr.Core.Redis.Rdb;

namespace SmcDr.Core.Redis;

/// <summary>
/// Finds out, while an RDB passes, whether it is whole: its magic, its last opcode and its checksum. What is in it is not looked at.
/// </summary>
/// <param name="source">Where it comes from, for messages.</param>
internal sealed class RdbIntegrity(string source)
{
    /// <summary><c>REDIS</c> and four digits.</summary>
    private const int HeaderLength = 9;

    /// <summary>The checksum stands at the end since version 5 (redis 2.6).</summary>
    private const int TrailerLength = sizeof(ulong);

    private const int FirstVersionWithChecksum = 5;
    private const byte EndOpcode = 0xFF;

    private readonly byte[] _header = new byte[HeaderLength];
    private readonly byte[] _tail = new byte[TrailerLength];
    private int _headerLength;
    private int _tailLength;
    private ulong _crc;
    private byte _last;

    /// <summary>How many bytes have passed.</summary>
    public long Length { get; private set; }

    /// <summary>The version of the format; 0 before the header has passed.</summary>
    public int Version { get; private set; }

    /// <summary>Whether it has a checksum, as it has unless the server's <c>rdbchecksum</c> is off. Known once it has passed.</summary>
    public bool HasChecksum { get; private set; }

    /// <summary>Takes the next bytes.</summary>
    /// <exception cref="SmcException">It is no RDB.</exception>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        Length += bytes.Length;
        if (_headerLength < HeaderLength)
        {
            int length = Math.Min(HeaderLength - _headerLength, bytes.Length);
            bytes[..length].CopyTo(_header.AsSpan(_headerLength));
            _headerLength += length;
            if (_headerLength == HeaderLength)
            {
                ReadVersion();
            }
        }

        // The last eight bytes so far may be the trailer, which the checksum does not cover.
        int release = _tailLength + bytes.Length - TrailerLength;
        if (release > 0)
        {
            int fromTail = Math.Min(_tailLength, release);
            Hash(_tail.AsSpan(0, fromTail));
            _tail.AsSpan(fromTail, _tailLength - fromTail).CopyTo(_tail);
            _tailLength -= fromTail;
            Hash(bytes[..(release - fromTail)]);
            bytes = bytes[(release - fromTail)..];
        }

        bytes.CopyTo(_tail.AsSpan(_tailLength));
        _tailLength += bytes.Length;
    }

    /// <summary>Says that there is no more.</summary>
    /// <exception cref="SmcException">It is not whole.</exception>
    public void Complete()
    {
        if (Version == 0 || Length < HeaderLength + 1 + TrailerLength || _last != EndOpcode)
        {
            throw Damaged($"The RDB from {source} has no end: it is cut short after {Length} bytes.");
        }

        ulong stated = BinaryPrimitives.ReadUInt64LittleEndian(_tail);
        HasChecksum = stated != 0;
        if (HasChecksum && stated != _crc)
        {
            throw Damaged(string.Create(
                CultureInfo.InvariantCulture, $"The RDB from {source} states the checksum {stated:x16} and has {_crc:x16}."));
        }
    }

    private void Hash(ReadOnlySpan<byte> bytes)
    {
        if (!bytes.IsEmpty)
        {
            _crc = RedisCrc64.Append(_crc, bytes);
            _last = bytes[^1];
        }
    }

    private void ReadVersion()
    {
        if (!_header.AsSpan().StartsWith("REDIS"u8) ||
            !int.TryParse(Encoding.ASCII.GetString(_header, 5, 4), NumberStyles.None, CultureInfo.InvariantCulture, out int version))
        {
            throw Damaged($"What comes from {source} is no RDB: it does not begin with REDIS and a version.");
        }

        Version = version >= FirstVersionWithChecksum ? version : throw new SmcException(
            SmcErrorCode.VersionUnsupported,
            $"The RDB from {source} has version {version}, which has no checksum.",
            recommendation: "SmcDr works with Redis 6.2 and later.",
            target: source);
    }

    private SmcException Damaged(string message) => new(
        SmcErrorCode.BackupInterrupted,
        message,
        recommendation: "Run the backup again; if it stays, read the server's log, and test the memory of the server and the network between.",
        target: source);
}
