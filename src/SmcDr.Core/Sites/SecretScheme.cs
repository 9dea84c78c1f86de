namespace SmcDr.Core.Sites;

/// <summary>Where a secret is kept.</summary>
public enum SecretScheme
{
    /// <summary>An environment variable: <c>env:NAME</c>.</summary>
    Environment,

    /// <summary>A file: <c>file:/path</c>.</summary>
    File,

    /// <summary>A vault of PowerShell's SecretManagement: <c>secret:vault/name</c>.</summary>
    Vault,

    /// <summary>A Kubernetes Secret: <c>k8s:namespace/name/key</c>.</summary>
    Kubernetes,
}
