using System.Runtime.InteropServices;
using System.Security;
using SmcDr.Core.Encryption;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Session;

/// <summary>From arguments to what opens a repository.</summary>
internal static class KeyArguments
{
    /// <summary>The site's own key.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.KeyMissing"/>: the site names none.</exception>
    public static async Task<RepositoryKeySource> ResolveSiteKeyAsync(SmcPipeline pipeline, Site site, CancellationToken cancellationToken) =>
        await site.ResolveKeyAsync(SiteArguments.CreateSecrets(pipeline), cancellationToken).ConfigureAwait(false)
            ?? throw new SmcException(
                SmcErrorCode.KeyMissing, $"The site '{site.Name}' names no key: there is no repository.encryptionKey in '{site.Path}'.", target: site.Path);

    /// <summary>A key file.</summary>
    public static async Task<RepositoryKeySource> ReadKeyFileAsync(SmcPipeline pipeline, string path, CancellationToken cancellationToken)
    {
        string full = await FilePaths.ResolveAsync(pipeline, path).ConfigureAwait(false);
        string text = await SiteArguments.CreateSecrets(pipeline).ResolveAsync(
            SecretReference.Parse("file:" + full), cancellationToken).ConfigureAwait(false);
        return KeyFile.IsOne(text)
            ? RepositoryKeySource.FromSecret(text)
            : throw new SmcException(SmcErrorCode.KeyInvalid, $"'{full}' is not a key file.", target: full);
    }

    /// <summary>A passphrase.</summary>
    public static RepositoryKeySource ReadPassphrase(SecureString passphrase)
    {
        nint text = Marshal.SecureStringToGlobalAllocUnicode(passphrase);
        try
        {
            return RepositoryKeySource.FromPassphrase(Marshal.PtrToStringUni(text)!);
        }
        finally
        {
            Marshal.ZeroFreeGlobalAllocUnicode(text);
        }
    }
}
