using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;
using SmcDr.Core.Encryption;

namespace SmcDr.Core.Sites;

/// <summary>Says what opens a repository: where its key file's text or passphrase is kept, or which KMS key it is. Never the secret itself.</summary>
public sealed record KeyReference
{
    /// <summary>What is accepted, for messages.</summary>
    public const string Expected =
        "a key reference: file:/path, env:NAME, secret:vault/name or k8s:namespace/name/key with a key file's text or a passphrase in it, or awskms:ARN or awskms:alias/NAME";

    internal const string Pattern =
        "^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|secret:[^/]+/[^/].*|k8s:[^/]+/[^/]+/[^/]+|awskms:[A-Za-z0-9][A-Za-z0-9:/_-]*)$";

    private const string KmsScheme = "awskms:";

    private static readonly Regex s_regex = new(Pattern, RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);

    private KeyReference(SecretReference? secret, string? kmsKey)
    {
        Secret = secret;
        KmsKey = kmsKey;
    }

    /// <summary>Where a key file's text or a passphrase is kept; null for a KMS key.</summary>
    public SecretReference? Secret { get; }

    /// <summary>The ARN or alias of a KMS key; null for a secret.</summary>
    public string? KmsKey { get; }

    /// <summary>Parses a reference.</summary>
    /// <param name="text">The text. It is never repeated in an error: it may be a secret that somebody put in the wrong place.</param>
    /// <param name="directory">What a relative file is relative to; the present directory where null.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: the text is no reference.</exception>
    public static KeyReference Parse(string text, string? directory = null) =>
        TryParse(text, directory, out KeyReference? reference)
            ? reference
            : throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "What was given for a key is not a key reference; it is not repeated here, since it may be the secret.",
                recommendation: $"Give {Expected}.");

    /// <summary>Parses a reference.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, string? directory, [NotNullWhen(true)] out KeyReference? reference)
    {
        reference = null;
        if (text is null || text.AsSpan().ContainsAny('\r', '\n', '\0') || !s_regex.IsMatch(text))
        {
            return false;
        }

        if (text.StartsWith(KmsScheme, StringComparison.Ordinal))
        {
            reference = new KeyReference(null, text[KmsScheme.Length..]);
        }
        else if (SecretReference.TryParse(text, directory, out SecretReference? secret))
        {
            reference = new KeyReference(secret, null);
        }

        return reference is not null;
    }

    /// <summary>Gets what opens the repository.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.SecretUnavailable"/> or <see cref="SmcErrorCode.KeyInvalid"/>, naming the reference.</exception>
    public async ValueTask<RepositoryKeySource> ResolveAsync(SecretResolver secrets, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(secrets);
        if (Secret is null)
        {
            return RepositoryKeySource.FromAwsKms(KmsKey!);
        }

        try
        {
            return RepositoryKeySource.FromSecret(await secrets.ResolveAsync(Secret, cancellationToken).ConfigureAwait(false));
        }
        catch (SmcException exception) when (exception.Code == SmcErrorCode.KeyInvalid)
        {
            throw new SmcException(exception.Code, $"'{Secret}': {exception.Message}", exception, exception.Recommendation, Secret.ToString());
        }
    }

    /// <summary>The reference as the site file has it.</summary>
    public override string ToString() => Secret?.ToString() ?? KmsScheme + KmsKey;
}
