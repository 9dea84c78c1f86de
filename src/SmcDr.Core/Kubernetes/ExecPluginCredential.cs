using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes;

/// <summary>Credentials that a program gives, as the managed clusters of the large clouds have it.</summary>
internal sealed class ExecPluginCredential(ExecPluginSettings settings, TimeProvider time) : ClusterCredential, IDisposable
{
    private const int MaximumOutput = 1 << 20;

    /// <summary>An identity is renewed this long before it expires: a request that is on its way takes a while.</summary>
    private static readonly TimeSpan s_margin = TimeSpan.FromSeconds(10);

    private readonly SemaphoreSlim _gate = new(1, 1);
    private ClientIdentity? _identity;
    private DateTimeOffset? _expires;

    public override string Display => $"the credentials that {settings.Command} gave";

    public override string Recommendation =>
        $"Run {settings.Command} by hand and look at what it says: log in again where it asks for that, and check that its account may use this cluster.";

    public override async ValueTask<ClientIdentity> GetAsync(ClientIdentity? refused, CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            bool isGood = _identity is not null && !ReferenceEquals(refused, _identity)
                && (_expires is not DateTimeOffset expires || time.GetUtcNow() < expires - s_margin);
            if (!isGood)
            {
                (_identity, _expires) = Read(await RunAsync(cancellationToken).ConfigureAwait(false));
            }

            return _identity!;
        }
        finally
        {
            _gate.Release();
        }
    }

    public void Dispose() => _gate.Dispose();

    private async Task<string> RunAsync(CancellationToken cancellationToken)
    {
        ProcessStartInfo start = new(settings.Command)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
        };
        foreach (string argument in settings.Arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach ((string name, string value) in settings.Environment)
        {
            start.Environment[name] = value;
        }

        JsonObject spec = new() { ["interactive"] = false };
        if (settings.ClusterInfo is not null)
        {
            spec["cluster"] = settings.ClusterInfo.DeepClone();
        }

        start.Environment["KUBERNETES_EXEC_INFO"] = new JsonObject
        {
            ["apiVersion"] = settings.ApiVersion,
            ["kind"] = "ExecCredential",
            ["spec"] = spec,
        }.ToJsonString();

        using Process process = new() { StartInfo = start };
        try
        {
            process.Start();
        }
        catch (Win32Exception e)
        {
            string hint = KubeText.Clean(settings.InstallHint);
            throw Failure(
                $"The program '{settings.Command}' that gives the credentials of user '{settings.User}' cannot be started: {e.Message.TrimEnd('.')}.",
                e,
                hint.Length > 0 ? hint + "." : "Install the program, or name it by its full path in the kubeconfig.");
        }

        using CancellationTokenSource timer = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timer.CancelAfter(settings.Timeout);
        try
        {
            process.StandardInput.Close();
            Task<string> output = ReadAsync(process.StandardOutput, timer.Token);
            Task<string> errors = ReadAsync(process.StandardError, timer.Token);
            await Task.WhenAll(output, errors, process.WaitForExitAsync(timer.Token)).ConfigureAwait(false);
            if (process.ExitCode != 0)
            {
                string said = KubeText.Clean(await errors.ConfigureAwait(false));
                throw Failure(string.Create(
                    CultureInfo.InvariantCulture,
                    $"The program '{settings.Command}' gave no credentials for user '{settings.User}': it ended with exit code {process.ExitCode}{(said.Length > 0 ? " and said: " + said : "")}."));
            }

            return await output.ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new SmcException(
                SmcErrorCode.ClusterAuthenticationFailed,
                string.Create(CultureInfo.InvariantCulture, $"The program '{settings.Command}' gave no credentials for user '{settings.User}' within {settings.Timeout.TotalSeconds:0} seconds."),
                recommendation: "Run it by hand: it may wait for a login, which it cannot ask for here.");
        }
        finally
        {
            End(process);
        }
    }

    private static void End(Process process)
    {
        try
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
        catch (Exception e) when (e is InvalidOperationException or Win32Exception)
        {
            // It has ended by itself.
        }
    }

    private static async Task<string> ReadAsync(StreamReader reader, CancellationToken cancellationToken)
    {
        StringBuilder text = new();
        char[] buffer = new char[4096];
        int length;
        while ((length = await reader.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
        {
            // The rest is read and dropped: a program that cannot write would never end.
            text.Append(buffer, 0, Math.Min(length, Math.Max(0, MaximumOutput - text.Length)));
        }

        return text.ToString();
    }

    private (ClientIdentity Identity, DateTimeOffset? Expires) Read(string output)
    {
        JsonObject? status;
        string? kind, version;
        try
        {
            JsonObject? root = JsonNode.Parse(output) as JsonObject;
            (kind, version, status) = ((string?)root?["kind"], (string?)root?["apiVersion"], root?["status"] as JsonObject);
            if (kind != "ExecCredential" || version != settings.ApiVersion)
            {
                throw Failure(
                    $"The program '{settings.Command}' answered with '{KubeText.Clean(version, 80)} {KubeText.Clean(kind, 80)}', and the kubeconfig asks it for '{settings.ApiVersion} ExecCredential'.",
                    recommendation: "Update the program, or write the kubeconfig anew with its own tool: both must be of one version.");
            }

            string? token = (string?)status?["token"];
            string? certificate = (string?)status?["clientCertificateData"];
            string? key = (string?)status?["clientKeyData"];
            string? expires = (string?)status?["expirationTimestamp"];
            if (string.IsNullOrEmpty(token) && string.IsNullOrEmpty(certificate))
            {
                throw Failure($"The program '{settings.Command}' gave neither a token nor a certificate for user '{settings.User}'.");
            }

            if (string.IsNullOrEmpty(certificate) != string.IsNullOrEmpty(key))
            {
                throw Failure($"The program '{settings.Command}' gave a certificate without its key, or a key alone.");
            }

            ClientIdentity identity = new(
                string.IsNullOrEmpty(token) ? null : token,
                string.IsNullOrEmpty(certificate)
                    ? null
                    : ClientCertificate.FromPem(certificate, key!, $"user '{settings.User}', given by {settings.Command}"));
            DateTimeOffset? until = expires is null
                ? null
                : DateTimeOffset.Parse(expires, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal);
            return (identity, until);
        }
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException)
        {
            // Without the library's exception: its message may quote what was read, which is a secret.
            throw Failure($"The program '{settings.Command}' answered with what is no ExecCredential in JSON.");
        }
    }

    private SmcException Failure(string message, Exception? inner = null, string? recommendation = null) =>
        new(SmcErrorCode.ClusterAuthenticationFailed, message, inner, recommendation ?? Recommendation, settings.Command);
}
