namespace SmcDr.Core.Redis;

/// <summary>How a connection to Redis is encrypted. Certificate and host name are always checked.</summary>
public sealed record RedisTlsOptions
{
    /// <summary>A PEM file with the authorities that are trusted; null = those of this machine.</summary>
    public string? CaFile { get; init; }

    /// <summary>A PEM file with the certificate that the server may ask for, and what leads from it to its authority.</summary>
    public string? CertificateFile { get; init; }

    /// <summary>A PEM file with the certificate's key; null = it is in the file of the certificate.</summary>
    public string? KeyFile { get; init; }

    /// <summary>The name that the server's certificate must be for; null = the host that is connected to.</summary>
    public string? ServerName { get; init; }
}
