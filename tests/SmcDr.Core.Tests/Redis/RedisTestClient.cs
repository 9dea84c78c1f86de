using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace SmcDr.Core.Tests.Redis;

/// <summary>
/// The tests' own connection, apart from the product's, so that neither can hide the other's mistakes: RESP2, one command at a time
/// or many at once.
/// </summary>
public sealed class RedisTestClient(TcpClient tcp, Stream stream) : IAsyncDisposable
{
    private readonly BufferedStream _input = new(stream, 64 * 1024);

    /// <summary>Sends one command and returns its reply: <c>byte[]</c>, <c>string</c> (a status), <c>long</c>, <c>object?[]</c> or null.</summary>
    /// <exception cref="RedisTestException">The server answered with an error.</exception>
    public async Task<object?> ExecuteAsync(params object[] arguments)
    {
        object? reply = (await ExecuteManyAsync([arguments]))[0];
        return reply is RedisTestException error ? throw error : reply;
    }

    /// <summary>Sends commands at once and returns their replies; an error is a <see cref="RedisTestException"/> among them.</summary>
    public async Task<object?[]> ExecuteManyAsync(IReadOnlyList<object[]> commands)
    {
        using MemoryStream output = new();
        foreach (object[] arguments in commands)
        {
            Write(output, string.Create(CultureInfo.InvariantCulture, $"*{arguments.Length}\r\n"));
            foreach (object argument in arguments)
            {
                byte[] bytes = argument as byte[] ?? Encoding.UTF8.GetBytes(Convert.ToString(argument, CultureInfo.InvariantCulture)!);
                Write(output, string.Create(CultureInfo.InvariantCulture, $"${bytes.Length}\r\n"));
                output.Write(bytes);
                Write(output, "\r\n");
            }
        }

        // Written while the replies are read: a server whose replies nobody takes stops reading.
        Task sending = stream.WriteAsync(output.GetBuffer(), 0, (int)output.Length);
        object?[] replies = new object?[commands.Count];
        for (int i = 0; i < replies.Length; i++)
        {
            replies[i] = await ReadAsync();
        }

        await sending;
        return replies;
    }

    /// <summary>Reads what comes next, such as a message that was not asked for.</summary>
    public async Task<object?> ReadAsync()
    {
        string line = await ReadLineAsync();
        string rest = line[1..];
        switch (line[0])
        {
            case '+':
                return rest;
            case '-':
                return new RedisTestException(rest);
            case ':':
                return long.Parse(rest, CultureInfo.InvariantCulture);
            case '$':
                int length = int.Parse(rest, CultureInfo.InvariantCulture);
                if (length < 0)
                {
                    return null;
                }

                byte[] bytes = new byte[length + 2];
                await _input.ReadExactlyAsync(bytes);
                return bytes[..length];
            case '*':
                int count = int.Parse(rest, CultureInfo.InvariantCulture);
                if (count < 0)
                {
                    return null;
                }

                object?[] items = new object?[count];
                for (int i = 0; i < count; i++)
                {
                    items[i] = await ReadAsync();
                }

                return items;
            default:
                throw new IOException($"A reply begins with '{line[0]}'.");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _input.DisposeAsync();
        tcp.Dispose();
    }

    private static void Write(Stream output, string text) => output.Write(Encoding.ASCII.GetBytes(text));

    private async Task<string> ReadLineAsync()
    {
        StringBuilder line = new();
        byte[] one = new byte[1];
        while (true)
        {
            if (await _input.ReadAsync(one) == 0)
            {
                throw new IOException("The server closed the connection.");
            }

            if (one[0] == '\n')
            {
                return line.ToString().TrimEnd('\r');
            }

            line.Append((char)one[0]);
        }
    }
}
