using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;

namespace SmcDr.Core.Tests.Kubernetes.Configuration;

/// <summary>An admission webhook on the loopback interface, which an API server of this host asks over TLS with an authority of its own.</summary>
internal sealed class AdmissionWebhook : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly X509Certificate2 _certificate;
    private readonly Func<string, string?> _judge;
    private readonly List<Task> _work = [];
    private readonly Task _accepting;
    private int _unavailable;
    private int _asked;

    /// <param name="judge">Why an object of a name is refused; null = it is allowed.</param>
    public AdmissionWebhook(Func<string, string?> judge)
    {
        _judge = judge;
        using RSA key = RSA.Create(2048);
        CertificateRequest request = new("CN=smcdr test webhook", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        SubjectAlternativeNameBuilder names = new();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using X509Certificate2 made = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddDays(1));
        _certificate = X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pfx), null);
        _listener.Start();
        _accepting = AcceptAsync();
    }

    /// <summary>How often it was asked, also where it did not answer.</summary>
    public int Asked => Volatile.Read(ref _asked);

    /// <summary>What <c>clientConfig</c> of a webhook's configuration says.</summary>
    public string ClientConfig =>
        $$"""{"url":"https://127.0.0.1:{{((IPEndPoint)_listener.LocalEndpoint).Port}}/","caBundle":"{{Convert.ToBase64String(Encoding.ASCII.GetBytes(_certificate.ExportCertificatePem()))}}"}""";

    /// <summary>Has the next requests fail, as those to a service whose pods do not run yet.</summary>
    public void BeAway(int requests) => Volatile.Write(ref _unavailable, requests);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting;
        Task[] left;
        lock (_work)
        {
            left = [.. _work];
        }

        await Task.WhenAll(left);
        _certificate.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                Socket client = await _listener.AcceptSocketAsync(_stop.Token);
                lock (_work)
                {
                    _work.Add(Task.Run(() => ServeAsync(client)));
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // Stopped.
        }
    }

    private async Task ServeAsync(Socket client)
    {
        try
        {
            using NetworkStream network = new(client, ownsSocket: true);
            using SslStream stream = new(network);
            await stream.AuthenticateAsServerAsync(
                new SslServerAuthenticationOptions { ServerCertificate = _certificate }, _stop.Token);
            while (await ReadBodyAsync(stream) is JsonNode review)
            {
                Interlocked.Increment(ref _asked);
                bool isAway = Interlocked.Decrement(ref _unavailable) >= 0;
                string? refusal = isAway ? null : _judge((string)review["request"]!["name"]!);
                JsonObject answer = new()
                {
                    ["apiVersion"] = (string)review["apiVersion"]!,
                    ["kind"] = "AdmissionReview",
                    ["response"] = new JsonObject
                    {
                        ["uid"] = (string)review["request"]!["uid"]!,
                        ["allowed"] = refusal is null,
                        ["status"] = new JsonObject { ["message"] = refusal ?? "" },
                    },
                };
                byte[] body = Encoding.UTF8.GetBytes(isAway ? "no endpoints" : answer.ToJsonString());
                string head = $"HTTP/1.1 {(isAway ? "503 Service Unavailable" : "200 OK")}\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n";
                await stream.WriteAsync((byte[])[.. Encoding.ASCII.GetBytes(head), .. body], _stop.Token);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or SocketException or ObjectDisposedException)
        {
            // The API server closes what it does not need any more.
        }
    }

    /// <summary>The body of the next request; null at the end of the connection.</summary>
    private async Task<JsonNode?> ReadBodyAsync(SslStream stream)
    {
        List<byte> head = [];
        byte[] one = new byte[1];
        while (!head.TakeLast(4).SequenceEqual("\r\n\r\n"u8.ToArray()))
        {
            if (await stream.ReadAsync(one, _stop.Token) == 0)
            {
                return null;
            }

            head.Add(one[0]);
        }

        string length = Encoding.ASCII.GetString([.. head]).Split("\r\n")
            .First(static line => line.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase)).Split(':')[1];
        byte[] body = new byte[int.Parse(length, System.Globalization.CultureInfo.InvariantCulture)];
        await stream.ReadExactlyAsync(body, _stop.Token);
        return JsonNode.Parse(body);
    }
}
