namespace SmcDr.Core.Repositories;

/// <summary>The document that makes a location a repository.</summary>
/// <param name="Format">The format that this and everything below it is written in.</param>
/// <param name="Id">The repository's identity, which every manifest repeats.</param>
/// <param name="CreatedTime">When it was created.</param>
/// <param name="Tool">The version of SmcDr that created it.</param>
/// <param name="Encryption">How its objects are encrypted; null where they are not.</param>
/// <param name="KeyId">The first key of an encrypted repository. Later ones are endorsed by it.</param>
internal sealed record RepositoryRoot(
    int Format, Guid Id, DateTimeOffset CreatedTime, string Tool, string? Encryption = null, string? KeyId = null)
{
    /// <summary>The one way of encryption that there is.</summary>
    public const string FrameEncryption = "aes-256-gcm-frames";
}
