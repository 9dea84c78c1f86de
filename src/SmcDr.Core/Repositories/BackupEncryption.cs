namespace SmcDr.Core.Repositories;

/// <summary>How a backup is encrypted. Its fields are reserved by the format; this version writes none and refuses any.</summary>
/// <param name="Algorithm">Such as <c>aes-256-gcm-frames</c>.</param>
/// <param name="KeyId">The repository key that wraps the backup's own key.</param>
/// <param name="WrappedKey">The backup's key, wrapped, in Base64.</param>
public sealed record BackupEncryption(string Algorithm, string KeyId, string WrappedKey);
