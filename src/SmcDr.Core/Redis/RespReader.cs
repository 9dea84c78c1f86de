using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.IO.Pipelines;
using System.Text;

namespace SmcDr.Core.Redis;

/// <summary>
/// Reads what a server sends: replies of RESP2 and RESP3, and between them bytes as they come. No length that a server states is believed
/// before the bytes are there, so that a hostile one costs no memory.
/// </summary>
/// <remarks>Not safe for concurrent use. After an exception it is of no further use: where the next reply begins is not known.</remarks>
internal sealed class RespReader(PipeReader input)
{
    /// <summary>The longest line: an error may quote an argument of a command, and nothing else comes near.</summary>
    public const int MaximumLineLength = 64 << 10;

    /// <summary>Redis has no longer string (<c>proto-max-bulk-len</c>, which may be raised, but then DUMP and RESTORE fail elsewhere).</summary>
    public const int MaximumBulkLength = 512 << 20;

    /// <summary>How many parts a reply may have, those of its parts included.</summary>
    public const int MaximumItems = 1 << 20;

    /// <summary>How deep arrays may lie in arrays.</summary>
    public const int MaximumDepth = 16;

    // So much is allocated on a server's word.
    private const int TrustedLength = 1 << 20;

    private ReadOnlySequence<byte> _buffer;
    private bool _reading;
    private bool _completed;

    /// <summary>Takes the reply <c>+OK</c> where it is here already, as it is behind a pipeline of commands that change something.</summary>
    public bool TryReadOk()
    {
        if (_buffer.FirstSpan is not [(byte)'+', (byte)'O', (byte)'K', (byte)'\r', (byte)'\n', ..])
        {
            return false;
        }

        _buffer = _buffer.Slice(5);
        return true;
    }

    /// <summary>Reads the next reply, which may be a push message.</summary>
    /// <exception cref="EndOfStreamException">The server closed the connection.</exception>
    /// <exception cref="InvalidDataException">What comes is no reply, or a monstrous one.</exception>
    public ValueTask<RedisReply> ReadReplyAsync(CancellationToken cancellationToken) => ReadAsync(new Budget(), 0, cancellationToken);

    /// <summary>Reads a line without its end. An empty one is a line, too: a master sends them to show that it lives.</summary>
    public async ValueTask<byte[]> ReadLineAsync(CancellationToken cancellationToken)
    {
        byte[]? line;
        while (!TryReadLine(out line))
        {
            await FillAsync(cancellationToken).ConfigureAwait(false);
        }

        return line;
    }

    /// <summary>
    /// Takes bytes that are here already, at most as many as there is room for. 0 = there are none, and what comes next may be read where this reader
    /// reads from, too.
    /// </summary>
    public int TakeBytes(Span<byte> destination)
    {
        int length = (int)Math.Min(destination.Length, _buffer.Length);
        _buffer.Slice(0, length).CopyTo(destination);
        _buffer = _buffer.Slice(length);
        return length;
    }

    /// <summary>Reads bytes as they come, at most as many as there is room for. 0 = the server closed the connection.</summary>
    public async ValueTask<int> ReadBytesAsync(Memory<byte> destination, CancellationToken cancellationToken) =>
        _buffer.IsEmpty && !await TryFillAsync(cancellationToken).ConfigureAwait(false) ? 0 : TakeBytes(destination.Span);

    private async ValueTask<RedisReply> ReadAsync(Budget budget, int depth, CancellationToken cancellationToken)
    {
        while (true)
        {
            byte[] line = await ReadLineAsync(cancellationToken).ConfigureAwait(false);
            if (line.Length == 0)
            {
                throw new InvalidDataException("An empty line came where a reply should begin.");
            }

            ReadOnlyMemory<byte> rest = line.AsMemory(1);
            switch ((char)line[0])
            {
                case '+':
                    return RedisReply.FromStatus(rest.Span);
                case '-':
                    return RedisReply.FromError(rest.ToArray());
                case ':':
                    return RedisReply.FromInteger(ParseInteger(rest.Span));
                case '_':
                    return RedisReply.Null;
                case '#':
                    return rest.Span switch
                    {
                        [(byte)'t'] => RedisReply.FromBoolean(true),
                        [(byte)'f'] => RedisReply.FromBoolean(false),
                        _ => throw new InvalidDataException("A boolean is neither true nor false."),
                    };
                case ',':
                    return RedisReply.FromDouble(ParseDouble(rest.Span));
                case '(':
                    return RedisReply.FromBigNumber(rest.ToArray());
                case '$':
                    return await ReadBulkAsync(rest, budget, cancellationToken).ConfigureAwait(false) is { } text
                        ? RedisReply.FromText(text)
                        : RedisReply.Null;
                case '=':
                    // Three letters for the format, a colon, the text.
                    byte[]? verbatim = await ReadBulkAsync(rest, budget, cancellationToken).ConfigureAwait(false);
                    return verbatim is [_, _, _, (byte)':', ..]
                        ? RedisReply.FromText(verbatim[4..])
                        : throw new InvalidDataException("A verbatim string does not name its format.");
                case '!':
                    return await ReadBulkAsync(rest, budget, cancellationToken).ConfigureAwait(false) is { } error
                        ? RedisReply.FromError(error)
                        : throw new InvalidDataException("An error has no text.");
                case '*':
                    return await ReadItemsAsync(RedisReplyKind.Array, rest, 1, budget, depth, cancellationToken).ConfigureAwait(false);
                case '%':
                    return await ReadItemsAsync(RedisReplyKind.Map, rest, 2, budget, depth, cancellationToken).ConfigureAwait(false);
                case '~':
                    return await ReadItemsAsync(RedisReplyKind.Set, rest, 1, budget, depth, cancellationToken).ConfigureAwait(false);
                case '>':
                    return await ReadItemsAsync(RedisReplyKind.Push, rest, 1, budget, depth, cancellationToken).ConfigureAwait(false);
                case '|':
                    // Attributes say something about the reply that follows. Nobody here asked for them.
                    await ReadItemsAsync(RedisReplyKind.Map, rest, 2, budget, depth, cancellationToken).ConfigureAwait(false);
                    budget.Take(1);
                    break;
                default:
                    throw new InvalidDataException($"A reply begins with the byte 0x{line[0]:x2}.");
            }
        }
    }

    private async ValueTask<byte[]?> ReadBulkAsync(ReadOnlyMemory<byte> length, Budget budget, CancellationToken cancellationToken)
    {
        long stated = ParseInteger(length.Span);
        if (stated == -1)
        {
            return null;
        }

        if (stated < 0 || stated > budget.Bytes)
        {
            throw new InvalidDataException($"A string has {stated} bytes; more than {MaximumBulkLength} in one reply are not taken.");
        }

        budget.Bytes -= stated;
        byte[] bytes = new byte[Math.Min(stated, TrustedLength)];
        int done = 0;
        while (done < stated)
        {
            if (done == bytes.Length)
            {
                Array.Resize(ref bytes, (int)Math.Min(stated, 2L * bytes.Length));
            }

            int read = await ReadBytesAsync(bytes.AsMemory(done), cancellationToken).ConfigureAwait(false);
            done += read > 0 ? read : throw new EndOfStreamException();
        }

        return (await ReadLineAsync(cancellationToken).ConfigureAwait(false)).Length == 0
            ? bytes
            : throw new InvalidDataException("A string is longer than it says.");
    }

    private async ValueTask<RedisReply> ReadItemsAsync(
        RedisReplyKind kind, ReadOnlyMemory<byte> length, int each, Budget budget, int depth, CancellationToken cancellationToken)
    {
        long stated = ParseInteger(length.Span);
        if (stated == -1)
        {
            return RedisReply.Null;
        }

        if (stated < 0 || stated > MaximumItems || depth >= MaximumDepth)
        {
            throw new InvalidDataException($"A reply has {stated} parts at depth {depth}.");
        }

        int count = (int)stated * each;
        budget.Take(count);
        List<RedisReply> items = new(Math.Min(count, 1024));
        for (int i = 0; i < count; i++)
        {
            items.Add(await ReadAsync(budget, depth + 1, cancellationToken).ConfigureAwait(false));
        }

        return RedisReply.FromItems(kind, [.. items]);
    }

    private bool TryReadLine([System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out byte[]? line)
    {
        SequenceReader<byte> reader = new(_buffer);
        if (!reader.TryReadTo(out ReadOnlySequence<byte> found, (byte)'\n'))
        {
            line = null;
            return _buffer.Length <= MaximumLineLength
                ? false
                : throw new InvalidDataException($"A line has more than {MaximumLineLength} bytes.");
        }

        if (found.Length > MaximumLineLength)
        {
            throw new InvalidDataException($"A line has more than {MaximumLineLength} bytes.");
        }

        line = found.ToArray();
        if (line is [.. byte[] content, (byte)'\r'])
        {
            line = content;
        }

        _buffer = _buffer.Slice(reader.Position);
        return true;
    }

    private async ValueTask FillAsync(CancellationToken cancellationToken)
    {
        if (!await TryFillAsync(cancellationToken).ConfigureAwait(false))
        {
            throw new EndOfStreamException();
        }
    }

    /// <summary>Waits for more than there is. False where there is no more.</summary>
    private async ValueTask<bool> TryFillAsync(CancellationToken cancellationToken)
    {
        if (_completed)
        {
            return false;
        }

        long before = _buffer.Length;
        if (_reading)
        {
            input.AdvanceTo(_buffer.Start, _buffer.End);
        }

        // What was given back must not be looked at again, also where the wait is cancelled.
        _reading = false;
        _buffer = default;
        ReadResult result = await input.ReadAsync(cancellationToken).ConfigureAwait(false);
        _reading = true;
        _buffer = result.Buffer;
        _completed = result.IsCompleted && _buffer.Length <= before;
        return _buffer.Length > before;
    }

    private static long ParseInteger(ReadOnlySpan<byte> text)
    {
        ReadOnlySpan<byte> digits = text is [(byte)'+', >= (byte)'0' and <= (byte)'9', ..] ? text[1..] : text;
        return Utf8Parser.TryParse(digits, out long value, out int consumed) && consumed == digits.Length
            ? value
            : throw new InvalidDataException($"'{Encoding.ASCII.GetString(text)}' is no whole number.");
    }

    private static double ParseDouble(ReadOnlySpan<byte> text)
    {
        string value = Encoding.ASCII.GetString(text);
        return value switch
        {
            "inf" or "+inf" => double.PositiveInfinity,
            "-inf" => double.NegativeInfinity,
            // Redis 7.0 and older print NaN as the C library does, with or without its sign.
            "nan" or "-nan" => double.NaN,
            _ => double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
                ? number
                : throw new InvalidDataException($"'{value}' is no number."),
        };
    }

    /// <summary>What one reply may still take.</summary>
    private sealed class Budget
    {
        private int _items = MaximumItems;

        public long Bytes { get; set; } = MaximumBulkLength;

        public void Take(int items)
        {
            _items -= items;
            if (_items < 0)
            {
                throw new InvalidDataException($"A reply has more than {MaximumItems} parts.");
            }
        }
    }
}
