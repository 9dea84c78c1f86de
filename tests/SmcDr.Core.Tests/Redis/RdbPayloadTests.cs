using System.Text;
using SmcDr.Core.Redis;

namespace SmcDr.Core.Tests.Redis;

public sealed class RdbPayloadTests
{
    private static readonly byte[] s_mark = Encoding.ASCII.GetBytes("f00d1e5a7b3c9d2846e0b1a9c5d7f3820e4a6b8c");

    [Fact]
    public async Task Read_MarkSplitAtEveryByte_IsNeitherMissedNorHandedOut()
    {
        byte[] content = [.. Encoding.ASCII.GetBytes("REDIS0010"), .. new byte[100], 0xFF, 1, 2, 3, 4, 5, 6, 7, 8];
        byte[] sent = [.. content, .. s_mark];
        for (int split = 0; split <= sent.Length; split++)
        {
            Assert.Equal(content, await ReadAllAsync(Marked(Pieces(sent, split)), 4096));
        }
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 4096)]
    [InlineData(39, 7)]
    [InlineData(40, 40)]
    [InlineData(41, 4096)]
    public async Task Read_MarkInPieces_IsNeitherMissedNorHandedOut(int piece, int room)
    {
        byte[] content = new byte[1000];
        new Random(1).NextBytes(content);
        Assert.Equal(content, await ReadAllAsync(Marked(new PieceStream([.. content, .. s_mark], piece).ReadAsync), room));
    }

    [Fact]
    public async Task Read_BeginningsOfTheMarkInTheData_AreData()
    {
        // Each is followed by another byte than the mark's next one, up to the byte before its last.
        using MemoryStream content = new();
        for (int length = 1; length < s_mark.Length; length++)
        {
            content.Write(s_mark.AsSpan(0, length));
        }

        content.Write(s_mark.AsSpan(0, s_mark.Length - 1));
        byte[] sent = [.. content.ToArray(), .. s_mark];
        for (int piece = 1; piece < 90; piece++)
        {
            Assert.Equal(content.ToArray(), await ReadAllAsync(Marked(new PieceStream(sent, piece).ReadAsync), 4096));
        }
    }

    [Fact]
    public async Task Read_MoreThanTheWindow_IsWholeAndEndsAtTheMark()
    {
        byte[] content = new byte[3_000_001];
        new Random(2).NextBytes(content);
        byte[] sent = [.. content, .. s_mark, .. "*1\r\n$4\r\nPING\r\n"u8];
        Assert.Equal(content, await ReadAllAsync(Marked(new PieceStream(sent, 70_001).ReadAsync), 65_536));
    }

    [Fact]
    public async Task Read_ConnectionEndsBeforeTheMark_IsAnErrorAtEveryByte()
    {
        byte[] sent = [1, 2, 3, .. s_mark];
        for (int length = 0; length < sent.Length; length++)
        {
            byte[] part = sent[..length];
            SmcException error = await Assert.ThrowsAsync<SmcException>(() => ReadAllAsync(Marked(new PieceStream(part, 5).ReadAsync), 4096));
            Assert.Equal(SmcErrorCode.BackupInterrupted, error.Code);
        }
    }

    [Fact]
    public async Task Read_KnownLength_TakesSoManyBytesAndNoneThatFollow()
    {
        using PieceStream source = new([1, 2, 3, 4, 5, 6, 7], 2);
        Assert.Equal([1, 2, 3, 4, 5], await ReadAllAsync(new RdbPayload(5, source.ReadAsync, Interrupted), 4096));
        Assert.Equal(6, source.ReadByte());
    }

    [Fact]
    public async Task Read_ConnectionEndsBeforeTheLength_IsAnError() => Assert.Equal(
        SmcErrorCode.BackupInterrupted,
        (await Assert.ThrowsAsync<SmcException>(() => ReadAllAsync(new RdbPayload(5, new PieceStream([1, 2, 3, 4], 3).ReadAsync, Interrupted), 4096))).Code);

    private static RdbPayload Marked(Func<Memory<byte>, CancellationToken, ValueTask<int>> read) => new(s_mark, read, Interrupted);

    private static SmcException Interrupted(Exception? reason) => new(SmcErrorCode.BackupInterrupted, "Interrupted.", reason);

    private static Func<Memory<byte>, CancellationToken, ValueTask<int>> Pieces(byte[] bytes, int split)
    {
        Queue<byte[]> pieces = new(new[] { bytes[..split], bytes[split..] }.Where(static piece => piece.Length > 0));
        return (buffer, _) =>
        {
            if (!pieces.TryDequeue(out byte[]? piece))
            {
                return ValueTask.FromResult(0);
            }

            piece.CopyTo(buffer);
            return ValueTask.FromResult(piece.Length);
        };
    }

    private static async Task<byte[]> ReadAllAsync(RdbPayload payload, int room)
    {
        await using (payload)
        {
            using MemoryStream content = new();
            byte[] buffer = new byte[room];
            int read;
            while ((read = await payload.ReadAsync(buffer)) > 0)
            {
                content.Write(buffer, 0, read);
            }

            return content.ToArray();
        }
    }
}
