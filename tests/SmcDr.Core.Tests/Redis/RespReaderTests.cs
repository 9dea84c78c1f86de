using System.IO.Pipelines;
using System.Text;
using SmcDr.Core.Redis;

namespace SmcDr.Core.Tests.Redis;

public sealed class RespReaderTests
{
    private const string Everything =
        "+PONG\r\n-NOPERM no\r\n:-42\r\n$5\r\na\r\nb\0\r\n$-1\r\n*-1\r\n_\r\n#t\r\n#f\r\n,1.5\r\n,-inf\r\n,10\r\n(3492890328409238509324850943850943825024385\r\n" +
        "=7\r\ntxt:a\r\n\r\n!5\r\nERR x\r\n*2\r\n$1\r\nk\r\n*1\r\n:7\r\n%1\r\n+k\r\n,2\r\n~2\r\n:1\r\n:2\r\n>2\r\n+invalidate\r\n_\r\n" +
        "|1\r\n+ttl\r\n:3600\r\n+OK\r\n$0\r\n\r\n*0\r\n";

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    [InlineData(100_000)]
    public async Task ReadReplyAsync_EveryKindInPiecesOfAnySize_GivesTheSame(int piece)
    {
        RespReader reader = ReaderOf(Encoding.ASCII.GetBytes(Everything), piece);
        async Task<RedisReply> Next() => await reader.ReadReplyAsync(CancellationToken.None);
        Assert.Equal("PONG", Is(RedisReplyKind.Status, await Next()).Text);
        Assert.Equal("NOPERM no", Is(RedisReplyKind.Error, await Next()).Text);
        Assert.Equal(-42, Is(RedisReplyKind.Integer, await Next()).Integer);
        Assert.Equal("a\r\nb\0"u8.ToArray(), Is(RedisReplyKind.Text, await Next()).Bytes.ToArray());
        Is(RedisReplyKind.Null, await Next());
        Is(RedisReplyKind.Null, await Next());
        Is(RedisReplyKind.Null, await Next());
        Assert.Equal(1, Is(RedisReplyKind.Boolean, await Next()).Integer);
        Assert.Equal(0, Is(RedisReplyKind.Boolean, await Next()).Integer);
        Assert.Equal(1.5, Is(RedisReplyKind.Double, await Next()).Double);
        Assert.Equal(double.NegativeInfinity, (await Next()).Double);
        Assert.Equal(10, (await Next()).Double);
        Assert.Equal("3492890328409238509324850943850943825024385", Is(RedisReplyKind.BigNumber, await Next()).Text);
        Assert.Equal("a\r\n", Is(RedisReplyKind.Text, await Next()).Text);
        Assert.Equal("ERR x", Is(RedisReplyKind.Error, await Next()).Text);
        RedisReply nested = Is(RedisReplyKind.Array, await Next());
        Assert.Equal("k", nested.Items[0].Text);
        Assert.Equal(7, nested.Items[1].Items[0].Integer);
        RedisReply map = Is(RedisReplyKind.Map, await Next());
        Assert.Equal(["k", "2"], map.Items.Select(static item => item.Text));
        Assert.Equal([1L, 2L], Is(RedisReplyKind.Set, await Next()).Items.Select(static item => item.Integer));
        Assert.Equal("invalidate", Is(RedisReplyKind.Push, await Next()).Items[0].Text);
        Assert.True((await Next()).IsOk);
        Assert.Equal(0, Is(RedisReplyKind.Text, await Next()).Bytes.Length);
        Assert.Empty(Is(RedisReplyKind.Array, await Next()).Items);
        await Assert.ThrowsAsync<EndOfStreamException>(Next);
    }

    [Theory]
    [InlineData("$536870913\r\n")]
    [InlineData("$9223372036854775807\r\n")]
    [InlineData("$99999999999999999999999\r\n")]
    [InlineData("$-2\r\n")]
    [InlineData("$\r\n")]
    [InlineData("$1 \r\nx\r\n")]
    [InlineData("$1\r\nxy\r\n")]
    [InlineData("*1048577\r\n")]
    [InlineData("*-2\r\n")]
    [InlineData("%1000000\r\n")]
    [InlineData("*2\r\n*1048575\r\n")]
    [InlineData("=2\r\nab\r\n")]
    [InlineData("#x\r\n")]
    [InlineData(",1,5\r\n")]
    [InlineData(":+-1\r\n")]
    [InlineData("\r\n")]
    [InlineData("HTTP/1.1 400 Bad Request\r\n")]
    public async Task ReadReplyAsync_Nonsense_IsRefused(string text) =>
        await Assert.ThrowsAsync<InvalidDataException>(async () => await ReaderOf(Encoding.ASCII.GetBytes(text)).ReadReplyAsync(CancellationToken.None));

    [Fact]
    public async Task ReadReplyAsync_ArraysInArraysWithoutEnd_AreRefused()
    {
        byte[] text = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("*1\r\n", 100_000)));
        await Assert.ThrowsAsync<InvalidDataException>(async () => await ReaderOf(text).ReadReplyAsync(CancellationToken.None));
    }

    [Fact]
    public async Task ReadReplyAsync_AttributesWithoutEnd_AreRefused()
    {
        byte[] text = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("|0\r\n", RespReader.MaximumItems + 1)));
        await Assert.ThrowsAsync<InvalidDataException>(async () => await ReaderOf(text).ReadReplyAsync(CancellationToken.None));
    }

    [Fact]
    public async Task ReadReplyAsync_LineWithoutEnd_IsRefusedBeforeItFillsTheMemory()
    {
        Pipe pipe = new(new PipeOptions(pauseWriterThreshold: 0));
        byte[] plus = new byte[1 << 20];
        plus.AsSpan().Fill((byte)'+');
        await pipe.Writer.WriteAsync(plus);
        await Assert.ThrowsAsync<InvalidDataException>(
            async () => await new RespReader(pipe.Reader).ReadReplyAsync(CancellationToken.None));
    }

    [Fact]
    public async Task ReadReplyAsync_HugeLengthsWithNothingBehind_TakeNoMemory()
    {
        byte[] text = "*1048576\r\n$536870912\r\nx"u8.ToArray();
        long before = GC.GetAllocatedBytesForCurrentThread();
        // All is here already, so it happens on this thread.
        ValueTask<RedisReply> reading = ReaderOf(text).ReadReplyAsync(CancellationToken.None);
        Assert.True(reading.IsCompleted);
        await Assert.ThrowsAsync<EndOfStreamException>(async () => await reading);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4 << 20);
    }

    [Fact]
    public async Task ReadReplyAsync_RandomBytes_EndsWithOneOfTwoErrors()
    {
        Random random = new(20261124);
        byte[] alphabet = "+-:$*%~>|#,(=!_0123456789\r\n\r\n\r\ntf."u8.ToArray();
        for (int i = 0; i < 20_000; i++)
        {
            byte[] text = new byte[random.Next(1, 60)];
            for (int j = 0; j < text.Length; j++)
            {
                text[j] = alphabet[random.Next(alphabet.Length)];
            }

            RespReader reader = ReaderOf(text);
            Exception? error = await Record.ExceptionAsync(async () =>
            {
                while (true)
                {
                    await reader.ReadReplyAsync(CancellationToken.None);
                }
            });
            Assert.True(error is EndOfStreamException or InvalidDataException, $"{Encoding.ASCII.GetString(text)}: {error}");
        }
    }

    [Fact]
    public async Task ReadBytesAsync_BehindALine_GivesWhatFollowsAndThenTheEnd()
    {
        RespReader reader = ReaderOf("\n+X\r\n$3\r\nabc"u8.ToArray(), 3);
        Assert.Empty(await reader.ReadLineAsync(CancellationToken.None));
        Assert.Equal("+X"u8.ToArray(), await reader.ReadLineAsync(CancellationToken.None));
        Assert.Equal("$3"u8.ToArray(), await reader.ReadLineAsync(CancellationToken.None));
        byte[] content = new byte[10];
        int length = 0;
        int read;
        while ((read = await reader.ReadBytesAsync(content.AsMemory(length), CancellationToken.None)) > 0)
        {
            length += read;
        }

        Assert.Equal("abc"u8.ToArray(), content[..length]);
    }

    private static RedisReply Is(RedisReplyKind kind, RedisReply reply)
    {
        Assert.Equal(kind, reply.Kind);
        return reply;
    }

    private static RespReader ReaderOf(byte[] bytes, int piece = int.MaxValue) => new(PipeReader.Create(new PieceStream(bytes, piece)));
}
