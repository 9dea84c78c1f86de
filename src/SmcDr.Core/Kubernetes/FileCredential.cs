namespace SmcDr.Core.Kubernetes;

/// <summary>
/// Token and certificate as a kubeconfig has them, written down or in files. Files are read again while they are used: a kubelet replaces a
/// pod's token about every 50 minutes, and other programs renew certificates.
/// </summary>
internal sealed class FileCredential : ClusterCredential, IDisposable
{
    /// <summary>How long something read from a file is used before the file is looked at again.</summary>
    public static readonly TimeSpan Freshness = TimeSpan.FromSeconds(10);

    private readonly string _source;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _gate = new(1, 1);
    private ClientIdentity? _identity;
    private long _readAt;
    private (string Certificate, string Key)? _lastPem;

    public FileCredential(string source, TimeProvider time)
    {
        _source = source;
        _time = time;
    }

    public string? Token { get; init; }

    public string? TokenFile { get; init; }

    /// <summary>PEM of the certificate, where it is written down.</summary>
    public string? Certificate { get; init; }

    public string? CertificateFile { get; init; }

    /// <summary>PEM of the key, where it is written down.</summary>
    public string? Key { get; init; }

    public string? KeyFile { get; init; }

    public override string Display =>
        TokenFile is not null ? $"the token file {TokenFile}"
        : Token is not null ? $"the token of {_source}"
        : CertificateFile is not null ? $"the client certificate {CertificateFile}"
        : $"the client certificate of {_source}";

    public override string Recommendation =>
        TokenFile is not null ? "Have the token file renewed; a service account's token is renewed by the kubelet, and is void when the account was deleted."
        : Token is not null ? "Get a new token and put it into the kubeconfig: this one has expired, was revoked, or is for another cluster."
        : "Get a new client certificate: this one is not, or no longer, of an authority that the cluster trusts.";

    private bool HasFiles => TokenFile is not null || CertificateFile is not null || KeyFile is not null;

    public override async ValueTask<ClientIdentity> GetAsync(ClientIdentity? refused, CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            bool isFresh = _identity is not null
                && (!HasFiles || (_time.GetElapsedTime(_readAt) < Freshness && !ReferenceEquals(refused, _identity)));
            if (!isFresh)
            {
                string? token = TokenFile is null ? Token : await ReadTokenAsync(TokenFile, cancellationToken).ConfigureAwait(false);
                ClientCertificate? certificate = await ReadCertificateAsync(cancellationToken).ConfigureAwait(false);
                // The same identity stays the same object, so that whoever was refused sees that there is no other one.
                if (_identity is null || _identity.Token != token || !ReferenceEquals(_identity.Certificate, certificate))
                {
                    _identity = new ClientIdentity(token, certificate);
                }

                _readAt = _time.GetTimestamp();
            }

            CheckValidity(_identity!.Certificate);
            return _identity;
        }
        finally
        {
            _gate.Release();
        }
    }

    public void Dispose() => _gate.Dispose();

    private static async Task<string> ReadAsync(string path, string what, CancellationToken cancellationToken)
    {
        try
        {
            return await File.ReadAllTextAsync(path, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SmcException(
                SmcErrorCode.KubeconfigInvalid,
                e is FileNotFoundException or DirectoryNotFoundException
                    ? $"The {what} {path} that the kubeconfig names is not there."
                    : $"The {what} {path} that the kubeconfig names cannot be read.",
                e,
                target: path);
        }
    }

    private async Task<string> ReadTokenAsync(string path, CancellationToken cancellationToken)
    {
        string token;
        try
        {
            token = (await ReadAsync(path, "token file", cancellationToken).ConfigureAwait(false)).Trim();
        }
        catch (SmcException) when (_identity?.Token is not null)
        {
            // While a file is replaced the last one read is still good (client-go does the same).
            return _identity.Token;
        }

        return token.Length > 0
            ? token
            : Token ?? throw new SmcException(SmcErrorCode.KubeconfigInvalid, $"The token file {path} is empty.", target: path);
    }

    private async Task<ClientCertificate?> ReadCertificateAsync(CancellationToken cancellationToken)
    {
        if (Certificate is null && CertificateFile is null)
        {
            return null;
        }

        string certificate = Certificate
            ?? await ReadAsync(CertificateFile!, "client certificate", cancellationToken).ConfigureAwait(false);
        string key = Key
            ?? (KeyFile is null
                ? throw new SmcException(SmcErrorCode.KubeconfigInvalid, $"The client certificate of {_source} has no key.")
                : await ReadAsync(KeyFile, "client key", cancellationToken).ConfigureAwait(false));
        if (_lastPem == (certificate, key))
        {
            return _identity?.Certificate ?? ClientCertificate.FromPem(certificate, key, _source);
        }

        ClientCertificate result = ClientCertificate.FromPem(certificate, key, CertificateFile ?? _source);
        _lastPem = (certificate, key);
        return result;
    }

    private void CheckValidity(ClientCertificate? certificate)
    {
        if (certificate is null)
        {
            return;
        }

        DateTimeOffset now = _time.GetUtcNow();
        if (certificate.NotAfter < now)
        {
            throw new SmcException(
                SmcErrorCode.ClusterAuthenticationFailed,
                $"The client certificate of {_source} ({certificate.Subject}) expired at {KubeText.Time(certificate.NotAfter)}.",
                recommendation: "Get a new certificate and put it where the kubeconfig names it; on a kubeadm cluster: kubeadm certs renew admin.conf.",
                target: CertificateFile);
        }

        if (certificate.NotBefore > now.AddMinutes(5))
        {
            throw new SmcException(
                SmcErrorCode.ClusterAuthenticationFailed,
                $"The client certificate of {_source} ({certificate.Subject}) is valid from {KubeText.Time(certificate.NotBefore)} on only.",
                recommendation: "Check the clock of this machine.",
                target: CertificateFile);
        }
    }
}
