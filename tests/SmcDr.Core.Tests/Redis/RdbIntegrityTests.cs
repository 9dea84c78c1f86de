using System.Buffers.Binary;
using SmcDr.Core.Redis;
using SmcDr.Core.Redis.Rdb;

namespace SmcDr.Core.Tests.Redis;

public sealed class RdbIntegrityTests
{
    [Fact]
    public void Append_CheckString_GivesThePublishedChecksum()
    {
        // The value that redis's crc64.c states for its own test.
        Assert.Equal(0xe9c6d914c4b8d9caUL, RedisCrc64.Append(0, "123456789"u8));
        byte[] text = "This is a test of the emergency broadcast system."u8.ToArray();
        ulong inParts = 0;
        foreach (byte b in text)
        {
            inParts = RedisCrc64.Append(inParts, [b]);
        }

        Assert.Equal(inParts, RedisCrc64.Append(0, text));
    }

    [Fact]
    public void Complete_WholeInPiecesOfEverySize_IsRight()
    {
        byte[] rdb = Sample();
        for (int piece = 1; piece <= rdb.Length; piece++)
        {
            RdbIntegrity integrity = Read(rdb, piece);
            Assert.Equal(11, integrity.Version);
            Assert.True(integrity.HasChecksum);
            Assert.Equal(rdb.Length, integrity.Length);
        }
    }

    [Fact]
    public void Complete_OneBitChangedAnywhere_IsAnError()
    {
        byte[] rdb = Sample();
        for (int at = 0; at < rdb.Length; at++)
        {
            byte[] changed = [.. rdb];
            changed[at] ^= 0x10;
            Assert.Throws<SmcException>(() => Read(changed, 7));
        }
    }

    [Fact]
    public void Complete_CutAnywhere_IsAnError()
    {
        byte[] rdb = Sample();
        for (int length = 0; length < rdb.Length; length++)
        {
            Assert.Equal(SmcErrorCode.BackupInterrupted, Assert.Throws<SmcException>(() => Read(rdb[..length], 16)).Code);
        }
    }

    [Fact]
    public void Complete_ChecksumSwitchedOff_IsAcceptedAndSaid()
    {
        byte[] rdb = Sample();
        rdb.AsSpan(^8).Clear();
        Assert.False(Read(rdb, 100).HasChecksum);
    }

    [Fact]
    public void Append_OtherVersions_AreNamed()
    {
        Assert.Equal(SmcErrorCode.VersionUnsupported, Assert.Throws<SmcException>(() => Read("REDIS0004\xff"u8.ToArray(), 4)).Code);
        Assert.Equal(SmcErrorCode.BackupInterrupted, Assert.Throws<SmcException>(() => Read("PGDMP\0\0\0\0\0"u8.ToArray(), 4)).Code);
    }

    private static byte[] Sample()
    {
        byte[] rdb = [.. "REDIS0011"u8, 0xFA, 3, (byte)'a', (byte)'b', (byte)'c', 1, (byte)'x', 0xFF, .. new byte[8]];
        BinaryPrimitives.WriteUInt64LittleEndian(rdb.AsSpan(^8), RedisCrc64.Append(0, rdb.AsSpan(..^8)));
        return rdb;
    }

    private static RdbIntegrity Read(byte[] rdb, int piece)
    {
        RdbIntegrity integrity = new("a test");
        foreach (byte[] part in rdb.Chunk(piece))
        {
            integrity.Append(part);
        }

        integrity.Complete();
        return integrity;
    }
}
