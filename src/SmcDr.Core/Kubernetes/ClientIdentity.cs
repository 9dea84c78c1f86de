namespace SmcDr.Core.Kubernetes;

/// <summary>What proves at this moment who the client is.</summary>
/// <param name="Token">A bearer token.</param>
/// <param name="Certificate">A certificate for TLS.</param>
internal sealed record ClientIdentity(string? Token, ClientCertificate? Certificate)
{
    public static ClientIdentity Anonymous { get; } = new(null, null);

    /// <summary>Keeps the token out of messages and logs.</summary>
    public override string ToString() => $"token: {(Token is null ? "none" : "present")}, certificate: {Certificate?.Subject ?? "none"}";
}
