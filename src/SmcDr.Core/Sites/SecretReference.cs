using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;

namespace SmcDr.Core.Sites;

/// <summary>Says where a secret is kept. Never the secret itself, so it may be printed.</summary>
public sealed record SecretReference
{
    /// <summary>What is accepted, for messages.</summary>
    public const string Expected = "a secret reference: env:NAME, file:/path, secret:vault/name or k8s:namespace/name/key";

    internal const string Pattern =
        "^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|secret:[^/]+/[^/].*|k8s:[^/]+/[^/]+/[^/]+)$";

    private static readonly Regex s_regex = new(Pattern, RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);

    private SecretReference(SecretScheme scheme, string name)
    {
        Scheme = scheme;
        Name = name;
    }

    /// <summary>Where the secret is kept.</summary>
    public SecretScheme Scheme { get; }

    /// <summary>What is behind the scheme: the variable's name, the full path, <c>vault/name</c>, <c>namespace/name/key</c>.</summary>
    public string Name { get; }

    /// <summary>Parses a reference.</summary>
    /// <param name="text">The text. It is never repeated in an error: it may be a secret that somebody put in the wrong place.</param>
    /// <param name="directory">What a relative file is relative to; the present directory where null.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: the text is no reference.</exception>
    public static SecretReference Parse(string text, string? directory = null) =>
        TryParse(text, directory, out SecretReference? reference)
            ? reference
            : throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "What was given for a secret is not a secret reference; it is not repeated here, since it may be the secret.",
                recommendation: $"Give {Expected}.");

    /// <summary>Parses a reference.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, string? directory, [NotNullWhen(true)] out SecretReference? reference)
    {
        reference = null;
        if (text is null || text.AsSpan().ContainsAny('\r', '\n', '\0') || !s_regex.IsMatch(text))
        {
            return false;
        }

        int colon = text.IndexOf(':', StringComparison.Ordinal);
        string name = text[(colon + 1)..];
        reference = text[..colon] switch
        {
            "env" => new SecretReference(SecretScheme.Environment, name),
            "file" => new SecretReference(SecretScheme.File, PathText.Resolve(name, directory)),
            "secret" => new SecretReference(SecretScheme.Vault, name),
            _ => new SecretReference(SecretScheme.Kubernetes, name),
        };
        return true;
    }

    /// <summary>The reference as the site file has it.</summary>
    public override string ToString() => Scheme switch
    {
        SecretScheme.Environment => $"env:{Name}",
        SecretScheme.File => $"file:{Name}",
        SecretScheme.Vault => $"secret:{Name}",
        _ => $"k8s:{Name}",
    };
}
