using System.Net.Sockets;
using System.Text;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Redis;

/// <summary>
/// A server on the loopback interface that reads commands as Redis does and answers what a test tells it to: for what a real server does
/// seldom, such as dying at a certain byte.
/// </summary>
internal sealed class ScriptedServer : IAsyncDisposable
{
    private readonly LoopbackListener _listener;
    private readonly Func<string[], Stream, CancellationToken, Task<bool>> _answer;
    private readonly List<string> _commands = [];

    /// <param name="answer">Takes a command with its arguments and answers it; false = the connection is closed.</param>
    public ScriptedServer(Func<string[], Stream, CancellationToken, Task<bool>> answer)
    {
        _answer = answer;
        _listener = new LoopbackListener(ServeAsync);
    }

    public string Endpoint => _listener.EndPoint.ToString();

    /// <summary>All commands of all connections, arguments separated by blanks.</summary>
    public string[] Commands
    {
        get
        {
            lock (_commands)
            {
                return [.. _commands];
            }
        }
    }

    /// <summary>A server that gives a payload to whoever asks by PSYNC, and else what a Redis 7 says.</summary>
    public static ScriptedServer Master(Func<Stream, CancellationToken, Task> psync) => new(async (command, stream, token) =>
    {
        switch (command[0])
        {
            case "HELLO":
                await SendAsync(stream, "-ERR unknown command 'HELLO', with args beginning with: '3' \r\n", token);
                return true;
            case "INFO":
                string info = "redis_version:7.0.15\r\nredis_mode:standalone\r\nrole:master\r\nloading:0\r\nrdb_bgsave_in_progress:0\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n";
                await SendAsync(stream, $"${info.Length}\r\n{info}\r\n", token);
                return true;
            case "CONFIG":
                await SendAsync(stream, "-NOPERM this user has no permissions to run the 'config|get' command\r\n", token);
                return true;
            case "REPLCONF" when command[1] == "ACK":
                return true;
            case "REPLCONF":
                await SendAsync(stream, "+OK\r\n", token);
                return true;
            default:
                await psync(stream, token);
                return false;
        }
    });

    public static async Task SendAsync(Stream stream, string text, CancellationToken token)
    {
        await stream.WriteAsync(Encoding.Latin1.GetBytes(text), token);
        await stream.FlushAsync(token);
    }

    public ValueTask DisposeAsync() => _listener.DisposeAsync();

    private async Task ServeAsync(TcpClient tcp)
    {
        tcp.NoDelay = true;
        await using RedisTestClient client = new(tcp, tcp.GetStream());
        try
        {
            while (await client.ReadAsync() is object?[] parts)
            {
                string[] command = [.. parts.Select(static part => Encoding.UTF8.GetString((byte[])part!))];
                lock (_commands)
                {
                    _commands.Add(string.Join(' ', command));
                }

                if (!await _answer(command, tcp.GetStream(), _listener.Stop))
                {
                    return;
                }
            }
        }
        catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The client went away, as some tests make it.
        }
    }
}
