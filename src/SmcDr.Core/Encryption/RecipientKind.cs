namespace SmcDr.Core.Encryption;

/// <summary>What a repository key is wrapped with.</summary>
public enum RecipientKind
{
    /// <summary>32 random bytes in a file.</summary>
    KeyFile,

    /// <summary>A passphrase.</summary>
    Passphrase,

    /// <summary>A key that does not leave the AWS Key Management Service.</summary>
    AwsKms,
}
