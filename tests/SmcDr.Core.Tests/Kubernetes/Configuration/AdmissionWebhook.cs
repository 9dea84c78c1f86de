using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;

namespace SmcDr.Core.Tests.Kubernetes.Configuration;

/// <summary>
/// An admission webhook that an API server asks over TLS, with an authority of its own. It listens in a pod, which the API server of any cluster reaches: what comes
/// there is brought here by exec, one connection after the other. Who asks meanwhile is refused, as by a service whose pods do not run.
/// </summary>
internal sealed class AdmissionWebhook : IAsyncDisposable
{
    private const int Port = 8443;
    private readonly CancellationTokenSource _stop = new();
    private readonly KubernetesClient _client;
    private readonly PodTarget _pod;
    private readonly string _address;
    private readonly X509Certificate2 _certificate;
    private readonly Func<string, string?> _judge;
    private readonly Task _serving;
    private int _unavailable;
    private int _asked;

    /// <param name="client">The cluster.</param>
    /// <param name="pod">A pod with a shell and nc.</param>
    /// <param name="address">The pod's address.</param>
    /// <param name="judge">Why an object of a name is refused; null = it is allowed.</param>
    public AdmissionWebhook(KubernetesClient client, PodTarget pod, string address, Func<string, string?> judge)
    {
        _client = client;
        _pod = pod;
        _address = address;
        _judge = judge;
        using RSA key = RSA.Create(2048);
        CertificateRequest request = new("CN=smcdr test webhook", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        SubjectAlternativeNameBuilder names = new();
        names.AddIpAddress(IPAddress.Parse(address));
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using X509Certificate2 made = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddDays(1));
        _certificate = X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pfx), null);
        _serving = Task.Run(ServeAsync);
    }

    /// <summary>How often it was asked, also where it did not answer.</summary>
    public int Asked => Volatile.Read(ref _asked);

    /// <summary>What <c>clientConfig</c> of a webhook's configuration says.</summary>
    public string ClientConfig =>
        $$"""{"url":"https://{{_address}}:{{Port}}/","caBundle":"{{Convert.ToBase64String(Encoding.ASCII.GetBytes(_certificate.ExportCertificatePem()))}}"}""";

    /// <summary>Has the next requests fail, as those to a service whose pods do not run yet.</summary>
    public void BeAway(int requests) => Volatile.Write(ref _unavailable, requests);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _serving;
        _certificate.Dispose();
        _stop.Dispose();
    }

    private async Task ServeAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            await ServeOneAsync();
        }
    }

    private async Task ServeOneAsync()
    {
        try
        {
            await using PodProcess process = await _client.ExecAsync(
                _pod, ["nc", "-l", "-p", Port.ToString(CultureInfo.InvariantCulture)], new ExecOptions { Input = true }, _stop.Token);
            using SslStream stream = new(new PipedStream(process.StandardOutput, process.StandardInput));
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
        catch (Exception e) when (e is OperationCanceledException or IOException or SmcException or AuthenticationException or ObjectDisposedException)
        {
            // The API server closes what it does not need any more, and a port may still be held by the connection before.
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
        byte[] body = new byte[int.Parse(length, CultureInfo.InvariantCulture)];
        await stream.ReadExactlyAsync(body, _stop.Token);
        return JsonNode.Parse(body);
    }

    /// <summary>A program's output and input as what is read and written.</summary>
    private sealed class PipedStream(Stream output, Stream input) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Flush()
        {
        }

        public override Task FlushAsync(CancellationToken cancellationToken) => input.FlushAsync(cancellationToken);

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            output.ReadAsync(buffer, cancellationToken);

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            input.WriteAsync(buffer, cancellationToken);
    }
}
