using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace SmcDr.Core.Notifications;

/// <summary>Whose certificates are accepted, and why one was not.</summary>
internal sealed class CertificateRule
{
    private const string Remedy =
        "Renew the receiver's certificate, or name the PEM file of the authority that signed it by caFile of the channel in the site file.";

    private readonly X509Certificate2Collection? _authorities;

    /// <param name="authorityFile">A PEM file of the authorities that alone count; null = those of the system.</param>
    /// <exception cref="DeliveryException">The file cannot be read or holds no certificate.</exception>
    public CertificateRule(string? authorityFile)
    {
        if (authorityFile is null)
        {
            return;
        }

        _authorities = [];
        try
        {
            _authorities.ImportFromPemFile(authorityFile);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw Unusable(authorityFile, e.Message);
        }

        if (_authorities.Count == 0)
        {
            throw Unusable(authorityFile, "there is no certificate in it.");
        }
    }

    /// <summary>Why the last certificate was refused; null where it was not.</summary>
    public string? Refusal { get; private set; }

    /// <summary>What to throw after a certificate was refused.</summary>
    public DeliveryException Refused() => new($"The receiver's certificate is not to be trusted: {Refusal}.", mayPass: false, Remedy);

    public bool Accept(X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        Refusal = Find(certificate, chain, errors);
        return Refusal is null;
    }

    private string? Find(X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (certificate is null || errors.HasFlag(SslPolicyErrors.RemoteCertificateNotAvailable))
        {
            return "there is none";
        }

        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch))
        {
            return "it is for another host";
        }

        if (_authorities is null)
        {
            return errors == SslPolicyErrors.None ? null : Describe(chain);
        }

        using X509Chain own = new();
        own.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        own.ChainPolicy.CustomTrustStore.AddRange(_authorities);
        // Asking for revocations would make an alert depend on one more server; browsers and HttpClient do not ask either.
        own.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        own.ChainPolicy.ApplicationPolicy.Add(new Oid("1.3.6.1.5.5.7.3.1"));
        foreach (X509ChainElement element in chain?.ChainElements ?? Enumerable.Empty<X509ChainElement>())
        {
            own.ChainPolicy.ExtraStore.Add(element.Certificate);
        }

        using X509Certificate2 copy = X509CertificateLoader.LoadCertificate(certificate.GetRawCertData());
        return own.Build(copy) ? null : Describe(own);
    }

    private static string Describe(X509Chain? chain)
    {
        X509ChainStatusFlags all = (chain?.ChainStatus ?? []).Aggregate(X509ChainStatusFlags.NoError, static (flags, status) => flags | status.Status);
        return all.HasFlag(X509ChainStatusFlags.NotTimeValid) ? "it has expired, or is not valid yet"
            : (all & (X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.PartialChain)) != 0 ? "no authority that is trusted here has signed it"
            : all == X509ChainStatusFlags.NoError ? "it was refused"
            : $"it was refused ({all})";
    }

    private static DeliveryException Unusable(string path, string why) => new(
        $"The authorities in '{path}' cannot be read: {why}", mayPass: false, "Correct caFile of the channel in the site file.");
}
