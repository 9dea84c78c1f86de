using System.Net;
using System.Net.Sockets;
using System.Text;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Kubernetes;

/// <summary>An API server that answers what a test tells it to: for what a real one does seldom.</summary>
internal sealed class FakeApiServer : IAsyncDisposable
{
    private const int PortAttempts = 20;

    private readonly HttpListener _listener;
    private readonly Func<HttpListenerContext, string, Task> _answer;
    private readonly List<string> _requests = [];
    private readonly List<Task> _work = [];
    private readonly Task _serving;

    /// <param name="answer">Takes a request and its body, and answers it.</param>
    public FakeApiServer(Func<HttpListenerContext, string, Task> answer)
    {
        _answer = answer;
        (_listener, Port) = Listen();
        _serving = ServeAsync();
    }

    public int Port { get; }

    /// <summary>Method and address of every request, in order.</summary>
    public string[] Requests
    {
        get
        {
            lock (_requests)
            {
                return [.. _requests];
            }
        }
    }

    public ClusterAccess Access => new() { Server = new Uri($"http://127.0.0.1:{Port}"), Display = "fake", User = "alice", Namespace = "apps" };

    public KubernetesClient Client(ClusterCredential? credential = null, KubernetesClientOptions? options = null) => new(
        credential is null ? Access : Access with { Credential = credential },
        options ?? new KubernetesClientOptions { RetryDelay = TimeSpan.FromMilliseconds(5), RetryTime = TimeSpan.FromSeconds(20) });

    public static async Task SendAsync(HttpListenerContext context, int status, string json, string contentType = "application/json")
    {
        byte[] body = Encoding.UTF8.GetBytes(json);
        context.Response.StatusCode = status;
        context.Response.ContentType = contentType;
        context.Response.ContentLength64 = body.Length;
        await context.Response.OutputStream.WriteAsync(body);
        context.Response.Close();
    }

    public static Task FailAsync(HttpListenerContext context, int code, string reason, string message, string details = "{}") => SendAsync(
        context, code, $$$"""{"kind":"Status","apiVersion":"v1","status":"Failure","code":{{{code}}},"reason":"{{{reason}}}","message":"{{{message}}}","details":{{{details}}}}""");

    public async ValueTask DisposeAsync()
    {
        _listener.Stop();
        await _serving;
        Task[] left;
        lock (_work)
        {
            left = [.. _work];
        }

        await Task.WhenAll(left);
        // Or Close would bind the address once more to take it out again (HttpEndPointManager.GetEPListener), and by now it may be another test's.
        _listener.Prefixes.Clear();
        _listener.Close();
    }

    private static (HttpListener Listener, int Port) Listen()
    {
        for (int attempt = 1; ; attempt++)
        {
            int port = PostgresServer.FreePort();
            HttpListener listener = new();
            listener.Prefixes.Add($"http://127.0.0.1:{port}/");
            try
            {
                listener.Start();
                return (listener, port);
            }
            catch (Exception e) when ((e is HttpListenerException or SocketException) && attempt < PortAttempts)
            {
                // Between choosing the port and the bind somebody else may have taken it.
                listener.Close();
            }
        }
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                HttpListenerContext context = await _listener.GetContextAsync();
                lock (_work)
                {
                    _work.Add(Task.Run(() => AnswerAsync(context)));
                }
            }
        }
        catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
        {
            // Stopped.
        }
    }

    private async Task AnswerAsync(HttpListenerContext context)
    {
        try
        {
            string body = "";
            if (context.Request.HasEntityBody)
            {
                using StreamReader reader = new(context.Request.InputStream);
                body = await reader.ReadToEndAsync();
            }

            lock (_requests)
            {
                _requests.Add($"{context.Request.HttpMethod} {context.Request.RawUrl}");
            }

            await _answer(context, body);
        }
        catch (Exception e) when (e is HttpListenerException or ObjectDisposedException or IOException)
        {
            // The client was quicker.
        }
    }
}
