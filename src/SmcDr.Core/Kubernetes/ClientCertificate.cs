using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace SmcDr.Core.Kubernetes;

/// <summary>A client certificate with its key, and with what leads from it to its authority.</summary>
internal sealed class ClientCertificate
{
    private readonly X509Certificate2 _certificate;

    private ClientCertificate(X509Certificate2 certificate, X509Certificate2Collection chain)
    {
        _certificate = certificate;
        Context = SslStreamCertificateContext.Create(certificate, chain, offline: true);
    }

    public SslStreamCertificateContext Context { get; }

    public string Subject => _certificate.Subject;

    public string Thumbprint => _certificate.Thumbprint;

    public DateTimeOffset NotAfter => new(_certificate.NotAfter.ToUniversalTime(), TimeSpan.Zero);

    public DateTimeOffset NotBefore => new(_certificate.NotBefore.ToUniversalTime(), TimeSpan.Zero);

    /// <summary>Reads a certificate and its key.</summary>
    /// <param name="certificates">PEM: the certificate, then those that it was issued by.</param>
    /// <param name="key">PEM: the key, not encrypted.</param>
    /// <param name="source">Where they come from, for messages.</param>
    public static ClientCertificate FromPem(string certificates, string key, string source)
    {
        try
        {
            X509Certificate2Collection all = [];
            all.ImportFromPem(certificates);
            X509Certificate2 own = X509Certificate2.CreateFromPem(certificates, key);
            if (OperatingSystem.IsWindows())
            {
                // Schannel takes no key that lives in memory only (dotnet/runtime issue 23749).
                using X509Certificate2 ephemeral = own;
                own = X509CertificateLoader.LoadPkcs12(ephemeral.Export(X509ContentType.Pkcs12), null);
            }

            X509Certificate2Collection chain = [.. all.Where(each => each.Thumbprint != own.Thumbprint)];
            return new ClientCertificate(own, chain);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            // The library's messages tell of the format, never of the content.
            throw new SmcException(
                SmcErrorCode.KubeconfigInvalid,
                $"The client certificate of {source} cannot be read: {e.Message.TrimEnd('.')}.",
                e,
                "Give certificate and key as PEM that belong together; an encrypted key must be decrypted first.");
        }
    }
}
