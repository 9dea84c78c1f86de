namespace SmcDr;

/// <summary>A key file that was made.</summary>
public sealed record KeyFileInfo
{
    /// <summary>Its full path.</summary>
    public required string Path { get; init; }

    /// <summary>What tells it from other key files, and says nothing of the key.</summary>
    public required string Fingerprint { get; init; }
}
