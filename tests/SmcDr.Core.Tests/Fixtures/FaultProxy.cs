using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace SmcDr.Core.Tests.Fixtures;

/// <summary>What a client asked for, as the proxy saw it.</summary>
public sealed record ProxiedRequest(string Method, string Target, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    public string? Header(string name) => Headers.GetValueOrDefault(name);
}

/// <summary>The answer of the server behind the proxy.</summary>
public sealed record ProxiedResponse(string Head, byte[] Body);

/// <summary>What the proxy does with a request instead of passing it on faithfully.</summary>
public sealed record Fault
{
    /// <summary>Headers that the server is not to see.</summary>
    public string[] WithoutHeaders { get; init; } = [];

    /// <summary>Answers without asking the server: status line, headers and body.</summary>
    public string? Answer { get; init; }

    /// <summary>Asks the server and then closes the connection without a word.</summary>
    public bool LoseResponse { get; init; }

    /// <summary>Sends so many bytes of the body and closes the connection.</summary>
    public int? CutAfter { get; init; }

    /// <summary>Sends so many bytes of the body (none, not even the head, where negative) and then nothing until the client gives up.</summary>
    public int? SilentAfter { get; init; }

    /// <summary>Asks the server twice, as where a request is repeated on its way, and passes on the second answer.</summary>
    public bool Twice { get; init; }

    /// <summary>The server is asked when this is over, whether the client still waits or not: a request that is late on its way.</summary>
    public Task? Until { get; init; }

    /// <summary>Changes the server's answer.</summary>
    public Func<ProxiedResponse, ProxiedResponse>? Change { get; init; }

    public static Fault AnswerXml(int status, string reason, string body) => new()
    {
        Answer = string.Create(
            CultureInfo.InvariantCulture,
            $"HTTP/1.1 {status} {reason}\r\nContent-Type: application/xml\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\nConnection: close\r\n\r\n{body}"),
    };

    public static Fault AnswerError(int status, string code) => AnswerXml(
        status,
        code,
        $"<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>Injected.</Message><RequestId>1</RequestId></Error>");
}

/// <summary>
/// A proxy on the loopback interface in front of a real server, one request to a connection, that breaks what a test tells it to break.
/// </summary>
public sealed class FaultProxy : IAsyncDisposable
{
    private readonly int _serverPort;
    private readonly Func<ProxiedRequest, Fault?> _decide;
    private readonly LoopbackListener _listener;
    private readonly List<ProxiedRequest> _requests = [];

    public FaultProxy(int serverPort, Func<ProxiedRequest, Fault?> decide)
    {
        _serverPort = serverPort;
        _decide = decide;
        _listener = new LoopbackListener(ServeAsync);
    }

    public int Port => _listener.EndPoint.Port;

    public IReadOnlyList<ProxiedRequest> Requests
    {
        get
        {
            lock (_requests)
            {
                return [.. _requests];
            }
        }
    }

    public ValueTask DisposeAsync() => _listener.DisposeAsync();

    private async Task ServeAsync(TcpClient client)
    {
        using (client)
        {
            try
            {
                NetworkStream stream = client.GetStream();
                if (await ReadRequestAsync(stream) is { } request)
                {
                    await HandleAsync(client, stream, request);
                }
            }
            catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException)
            {
                // The client went away, as some tests make it.
            }
        }
    }

    private async Task HandleAsync(TcpClient client, NetworkStream stream, ProxiedRequest request)
    {
        Fault fault;
        lock (_requests)
        {
            _requests.Add(request);
            fault = _decide(request) ?? new Fault();
        }

        if (fault.Answer is not null)
        {
            await stream.WriteAsync(Encoding.UTF8.GetBytes(fault.Answer), _listener.Stop);
            client.Client.Shutdown(SocketShutdown.Send);
            return;
        }

        if (fault.Until is not null)
        {
            await fault.Until.WaitAsync(_listener.Stop);
        }

        if (fault.Twice)
        {
            await ForwardAsync(request, fault.WithoutHeaders);
        }

        ProxiedResponse response = await ForwardAsync(request, fault.WithoutHeaders);
        response = fault.Change?.Invoke(response) ?? response;
        if (fault.LoseResponse)
        {
            client.Client.LingerState = new LingerOption(true, 0);
            return;
        }

        int? part = fault.CutAfter ?? fault.SilentAfter;
        if (part is not < 0)
        {
            await stream.WriteAsync(Encoding.Latin1.GetBytes(response.Head), _listener.Stop);
            await stream.WriteAsync(response.Body.AsMemory(0, Math.Min(part ?? int.MaxValue, response.Body.Length)), _listener.Stop);
        }

        if (fault.SilentAfter is not null)
        {
            await stream.ReadAtLeastAsync(new byte[1], 1, throwOnEndOfStream: false, _listener.Stop);
        }

        client.Client.Shutdown(SocketShutdown.Send);
    }

    private async Task<ProxiedRequest?> ReadRequestAsync(NetworkStream stream)
    {
        string? head = await ReadHeadAsync(stream);
        if (head is null)
        {
            return null;
        }

        string[] lines = head.Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        string[] first = lines[0].Split(' ');
        Dictionary<string, string> headers = new(StringComparer.OrdinalIgnoreCase);
        foreach (string line in lines.Skip(1))
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            headers[line[..colon]] = line[(colon + 1)..].Trim();
        }

        if (headers.ContainsKey("Transfer-Encoding"))
        {
            throw new InvalidOperationException("The proxy knows bodies by their Content-Length only.");
        }

        if (headers.Remove("Expect"))
        {
            await stream.WriteAsync("HTTP/1.1 100 Continue\r\n\r\n"u8.ToArray(), _listener.Stop);
        }

        byte[] body = new byte[int.Parse(headers.GetValueOrDefault("Content-Length", "0"), CultureInfo.InvariantCulture)];
        await stream.ReadExactlyAsync(body, _listener.Stop);
        return new ProxiedRequest(first[0], first[1], headers, body);
    }

    private async Task<ProxiedResponse> ForwardAsync(ProxiedRequest request, string[] without)
    {
        using TcpClient server = new();
        await server.ConnectAsync(IPAddress.Loopback, _serverPort, _listener.Stop);
        NetworkStream stream = server.GetStream();
        StringBuilder head = new();
        head.Append(CultureInfo.InvariantCulture, $"{request.Method} {request.Target} HTTP/1.1\r\nConnection: close\r\n");
        foreach ((string name, string value) in request.Headers)
        {
            if (!name.Equals("Connection", StringComparison.OrdinalIgnoreCase)
                && !without.Contains(name, StringComparer.OrdinalIgnoreCase))
            {
                head.Append(CultureInfo.InvariantCulture, $"{name}: {value}\r\n");
            }
        }

        head.Append("\r\n");
        await stream.WriteAsync(Encoding.Latin1.GetBytes(head.ToString()), _listener.Stop);
        await stream.WriteAsync(request.Body, _listener.Stop);
        string responseHead = await ReadHeadAsync(stream) ?? throw new IOException("The server gave no answer.");
        using MemoryStream responseBody = new();
        await stream.CopyToAsync(responseBody, _listener.Stop);
        return new ProxiedResponse(responseHead, responseBody.ToArray());
    }

    private async Task<string?> ReadHeadAsync(NetworkStream stream)
    {
        // Byte by byte, so that nothing of the body is taken along.
        StringBuilder head = new();
        byte[] one = new byte[1];
        while (!(head.Length >= 4 && head.ToString(head.Length - 4, 4) == "\r\n\r\n"))
        {
            if (await stream.ReadAsync(one, _listener.Stop) == 0)
            {
                return null;
            }

            head.Append((char)one[0]);
        }

        return head.ToString();
    }
}
