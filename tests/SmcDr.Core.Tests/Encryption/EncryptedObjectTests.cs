using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using static SmcDr.Core.Tests.ObjectStores.ObjectStoreTestExtensions;

namespace SmcDr.Core.Tests.Encryption;

/// <summary>One object, and all that can be done to its stored form.</summary>
public sealed class EncryptedObjectTests : IAsyncLifetime
{
    private const int Frame = FrameLayout.FrameLength;
    private const int StoredFrame = FrameLayout.StoredFrameLength;
    private const string Key = "a/pack-000001";

    private readonly MemoryObjectStore _raw = new();
    private readonly EncryptedObjectStore _store;

    public EncryptedObjectTests() => _store = new EncryptedObjectStore(_raw, new RepositoryKeyring([RepositoryKey.Create()]));

    private static int HeaderLength => ObjectHeader.LengthOf(Key);

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _store.DisposeAsync();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(Frame - 1)]
    [InlineData(Frame)]
    [InlineData(Frame + 1)]
    [InlineData(2 * Frame)]
    [InlineData((40 * Frame) + 17)]
    public async Task Write_AnyLengthInAnyPieces_IsReadBackAndListedWithItsOwnLength(int length)
    {
        byte[] content = Bytes(length);
        await _store.PutAsync("put", content, default);
        foreach (int piece in new[] { 1000, Frame, Frame + 1, 5 * Frame, int.MaxValue / 2 })
        {
            string key = $"written-{piece}";
            await _store.WriteAsync(key, content, piece);
            Assert.Equal(content, await _store.ReadAsync(key));
            Assert.Equal(FrameLayout.StoredLengthOf(key, length), _raw[key].Length);
        }

        Assert.Equal(content, await _store.ReadAsync("put"));
        await foreach (ObjectInfo info in _store.ListAsync("", default))
        {
            Assert.Equal(length, info.Length);
            Assert.Equal(length, (await _store.GetInfoAsync(info.Key, default))!.Length);
        }
    }

    [Fact]
    public async Task OpenRead_RangesAroundFrameBorders_AreExactWithAndWithoutAKnownHeader()
    {
        byte[] content = Bytes((9 * Frame) + 100);
        await _store.PutAsync(Key, content, default);
        int[] places = [0, 1, Frame - 1, Frame, Frame + 1, (4 * Frame) - 1, 5 * Frame, (6 * Frame) + 5, 9 * Frame, content.Length - 1, content.Length];
        foreach (int start in places)
        {
            foreach (int end in places.Where(end => end >= start))
            {
                EncryptedObjectStore fresh = new(_raw, _store.Keyring);
                for (int i = 0; i < 2; i++)
                {
                    Assert.Equal(content[start..end], await fresh.ReadAsync(Key, start, end - start));
                    Assert.Equal(content[start..], await fresh.ReadAsync(Key, start));
                }
            }
        }
    }

    [Fact]
    public async Task OpenRead_FarRange_TouchesItsFramesAndTheHeaderOnly()
    {
        await _store.PutAsync(Key, Bytes(100 * Frame), default);
        List<(long Offset, long? Length)> reads = [];
        _raw.BeforeRead = (_, offset, length) => reads.Add((offset, length));

        await _store.ReadAsync(Key, (50 * Frame) + 1, Frame);
        Assert.Equal([(0, HeaderLength), (HeaderLength + (50 * StoredFrame), 2 * StoredFrame)], reads);

        reads.Clear();
        await _store.ReadAsync(Key, 70 * Frame, 10);
        Assert.Equal([(HeaderLength + (70 * StoredFrame), StoredFrame)], reads);
    }

    [Fact]
    public async Task OpenRead_HeadOfAnObject_IsOneRead()
    {
        await _store.PutAsync(Key, Bytes(100 * Frame), default);
        List<(long Offset, long? Length)> reads = [];
        _raw.BeforeRead = (_, offset, length) => reads.Add((offset, length));

        await _store.ReadAsync(Key, 0, 4096);

        Assert.Equal([(0, HeaderLength + StoredFrame)], reads);
    }

    [Fact]
    public async Task Read_EverySingleByteFlipped_IsSeen()
    {
        byte[] content = Bytes(Frame + 300);
        await _store.PutAsync(Key, content, default);
        byte[] right = _raw[Key];
        for (int at = 0; at < right.Length; at++)
        {
            // Every byte of the header, the borders of the frames, and a stride through what is all alike.
            if (at > HeaderLength + 40 && at < right.Length - 30 && at % 997 != 0 && Math.Abs(at - HeaderLength - StoredFrame) > 20)
            {
                continue;
            }

            byte[] wrong = [.. right];
            wrong[at] ^= (byte)(1 << (at % 8));
            SmcException exception = await RefusedAsync(wrong);
            Assert.True(exception.Code == SmcErrorCode.ChecksumMismatch, $"Byte {at}: {exception.Code}, {exception.Message}");
        }
    }

    [Fact]
    public async Task Read_CutAtEveryFrameBorder_IsTruncated()
    {
        await _store.PutAsync(Key, Bytes((3 * Frame) + 10), default);
        byte[] right = _raw[Key];
        for (int frames = 0; frames <= 3; frames++)
        {
            SmcException exception = await RefusedAsync(right[..(HeaderLength + (frames * StoredFrame))]);
            Assert.Equal(SmcErrorCode.ObjectTruncated, exception.Code);
        }
    }

    [Fact]
    public async Task Read_CutAnywhere_IsSeen()
    {
        await _store.PutAsync(Key, Bytes(Frame + 100), default);
        byte[] right = _raw[Key];
        for (int length = 0; length < right.Length; length += length < HeaderLength + 20 || Math.Abs(length - HeaderLength - StoredFrame) < 20 ? 1 : 1009)
        {
            SmcException exception = await RefusedAsync(right[..length]);
            Assert.True(
                exception.Code == SmcErrorCode.ObjectTruncated
                    || (length >= HeaderLength + 16 && exception.Code == SmcErrorCode.ChecksumMismatch),
                $"{length}: {exception.Message}");
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    [InlineData(Frame)]
    [InlineData((2 * Frame) + 5)]
    [InlineData(2 * Frame)]
    public async Task Read_SomethingAppended_IsExtended(int length)
    {
        await _store.PutAsync(Key, Bytes(length), default);
        byte[] right = _raw[Key];
        foreach (int more in new[] { 1, 15, 16, 17, 100, StoredFrame - 1, StoredFrame, StoredFrame + 1, 3 * StoredFrame })
        {
            SmcException exception = await RefusedAsync([.. right, .. Bytes(more)]);
            Assert.True(exception.Code == SmcErrorCode.ObjectExtended, $"{length} + {more}: {exception.Code}, {exception.Message}");
        }
    }

    [Fact]
    public async Task Read_FramesSwapped_AreReordered()
    {
        await _store.PutAsync(Key, Bytes(4 * Frame), default);
        byte[] right = _raw[Key];
        for (int one = 0; one < 4; one++)
        {
            for (int other = one + 1; other < 4; other++)
            {
                byte[] wrong = [.. right];
                right.AsSpan(HeaderLength + (one * StoredFrame), StoredFrame).CopyTo(wrong.AsSpan(HeaderLength + (other * StoredFrame)));
                right.AsSpan(HeaderLength + (other * StoredFrame), StoredFrame).CopyTo(wrong.AsSpan(HeaderLength + (one * StoredFrame)));
                Assert.Equal(SmcErrorCode.FramesReordered, (await RefusedAsync(wrong)).Code);
            }
        }

        byte[] repeated = [.. right[..(HeaderLength + StoredFrame)], .. right[HeaderLength..]];
        Assert.Equal(SmcErrorCode.FramesReordered, (await RefusedAsync(repeated)).Code);
    }

    [Fact]
    public async Task Read_ObjectOfAnotherName_IsSwapped()
    {
        await _store.PutAsync(Key, Bytes(100), default);
        foreach (string other in new[] { "a/pack-000002", "b", "a/much/longer/name/than/the/first/one/has" })
        {
            await _store.PutAsync(other, Bytes(50_000), default);
            SmcException exception = await RefusedAsync(_raw[other]);
            Assert.Equal(SmcErrorCode.ObjectSwapped, exception.Code);
            Assert.Contains($"'{other}'", exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Read_FrameOfAnotherObject_IsDamage()
    {
        await _store.PutAsync(Key, Bytes(2 * Frame), default);
        byte[] first = _raw[Key];
        await _store.DeleteAsync(Key, default);
        await _store.PutAsync(Key, Bytes(2 * Frame), default);

        byte[] mixed = [.. _raw[Key][..(HeaderLength + StoredFrame)], .. first[(HeaderLength + StoredFrame)..]];

        Assert.Equal(SmcErrorCode.ChecksumMismatch, (await RefusedAsync(mixed)).Code);
    }

    [Fact]
    public async Task Read_ObjectOfAnotherKeyOrInClear_IsRefused()
    {
        await _store.PutAsync(Key, Bytes(100), default);
        MemoryObjectStore elsewhere = new();
        EncryptedObjectStore other = new(elsewhere, new RepositoryKeyring([RepositoryKey.Create()]));
        await other.PutAsync(Key, Bytes(100), default);

        Assert.Equal(SmcErrorCode.KeyMissing, (await RefusedAsync(elsewhere[Key])).Code);
        Assert.Equal(SmcErrorCode.ChecksumMismatch, (await RefusedAsync("sha256:0 {}\n"u8.ToArray())).Code);
        Assert.Equal(SmcErrorCode.ChecksumMismatch, (await RefusedAsync(Bytes(100_000))).Code);
    }

    [Fact]
    public async Task Read_ObjectReplacedAfterItsHeaderWasRead_IsNotTakenForDamage()
    {
        await _store.PutAsync(Key, Bytes(100), default);
        await _store.ReadAsync(Key);
        EncryptedObjectStore other = new(_raw, _store.Keyring);
        await other.DeleteAsync(Key, default);
        await other.PutAsync(Key, Bytes(100, 2), default);

        await SmcErrorCode.StorageUnavailable.ThrowsAsync(() => _store.ReadAsync(Key));
        Assert.Equal(Bytes(100, 2), await _store.ReadAsync(Key));
    }

    [Fact]
    public async Task Write_TwiceTheSame_SharesNoByteButTheHeadersBeginning()
    {
        await _store.PutAsync(Key, Bytes(Frame), default);
        byte[] first = _raw[Key];
        await _store.DeleteAsync(Key, default);
        await _store.PutAsync(Key, Bytes(Frame), default);

        int same = first.Skip(HeaderLength).Zip(_raw[Key].Skip(HeaderLength)).Count(static pair => pair.First == pair.Second);

        // One byte in 256 is the same by chance.
        Assert.InRange(same, 0, 200);
    }

    [Fact]
    public async Task Write_FailedOnce_CannotBeCommitted()
    {
        await using ObjectWriter writer = await _store.CreateAsync(Key, default);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await writer.WriteAsync(Bytes(20 * Frame), new CancellationToken(canceled: true)));
        await Assert.ThrowsAsync<InvalidOperationException>(() => writer.CommitAsync(default));
        Assert.Empty(_raw.Keys);
    }

    /// <summary>What reading the object from its beginning to its end is refused with.</summary>
    private async Task<SmcException> RefusedAsync(byte[] stored)
    {
        _raw[Key] = stored;
        EncryptedObjectStore fresh = new(_raw, _store.Keyring);
        return await Assert.ThrowsAsync<SmcException>(() => fresh.ReadAsync(Key));
    }
}
