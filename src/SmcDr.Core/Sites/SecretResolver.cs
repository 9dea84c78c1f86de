using System.Text;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Sites;

/// <summary>
/// Gets secrets from where references point. Nothing is kept: a rotated secret is seen the next time. Environment and files are
/// read here; vaults and Kubernetes through what the host registers.
/// </summary>
public sealed class SecretResolver
{
    private const int MaximumLength = 64 * 1024;
    private static readonly UTF8Encoding s_utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Creates a resolver.</summary>
    /// <param name="observer">Hears of secret files that other accounts can read.</param>
    public SecretResolver(IOperationObserver? observer = null) => Observer = observer ?? NullObserver.Instance;

    /// <summary>Hears of secret files that other accounts can read, and of what is wrong with what the secrets open.</summary>
    internal IOperationObserver Observer { get; }

    /// <summary>Resolves <c>secret:vault/name</c>; returns null where the vault has no such secret.</summary>
    public Func<SecretReference, CancellationToken, ValueTask<string?>>? Vault { get; init; }

    /// <summary>Resolves <c>k8s:namespace/name/key</c>; returns null where there is no such key.</summary>
    public Func<SecretReference, CancellationToken, ValueTask<string?>>? Kubernetes { get; init; }

    /// <summary>The same, with what resolves secrets of a cluster, unless the host has registered something else.</summary>
    internal SecretResolver WithKubernetes(Func<SecretReference, CancellationToken, ValueTask<string?>> kubernetes) =>
        Kubernetes is not null ? this : new SecretResolver(Observer) { Vault = Vault, Kubernetes = kubernetes };

    /// <summary>Gets the secret.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.SecretUnavailable"/>, naming the reference.</exception>
    public async ValueTask<string> ResolveAsync(SecretReference reference, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(reference);
        string? value = reference.Scheme switch
        {
            SecretScheme.Environment => Environment.GetEnvironmentVariable(reference.Name)
                ?? throw Unavailable(reference, "the environment variable is not set."),
            SecretScheme.File => await ReadFileAsync(reference, cancellationToken).ConfigureAwait(false),
            SecretScheme.Vault => await AskAsync(
                Vault, reference, "secret vaults are only open to SmcDr's cmdlets in PowerShell.", cancellationToken).ConfigureAwait(false),
            _ => await AskAsync(
                Kubernetes, reference, "no Kubernetes cluster is connected.", cancellationToken).ConfigureAwait(false),
        };
        return value.Length > 0 ? value : throw Unavailable(reference, "it is empty.");
    }

    private static async ValueTask<string> AskAsync(
        Func<SecretReference, CancellationToken, ValueTask<string?>>? source,
        SecretReference reference,
        string without,
        CancellationToken cancellationToken)
    {
        if (source is null)
        {
            throw Unavailable(reference, without);
        }

        try
        {
            return await source(reference, cancellationToken).ConfigureAwait(false)
                ?? throw Unavailable(reference, "there is no such secret.");
        }
        catch (SmcException e) when (e.Code is not SmcErrorCode.SecretUnavailable)
        {
            throw Unavailable(reference, e.Message, e, e.Recommendation);
        }
    }

    private async ValueTask<string> ReadFileAsync(SecretReference reference, CancellationToken cancellationToken)
    {
        byte[] content = new byte[MaximumLength + 1];
        try
        {
            int length = 0;
            FileStream file = new(reference.Name, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, 0, useAsync: true);
            await using (file.ConfigureAwait(false))
            {
                // The mode of the very file that was opened: the path may lead elsewhere a moment later.
                if (!OperatingSystem.IsWindows())
                {
                    WarnOfReaders(reference, File.GetUnixFileMode(file.SafeFileHandle));
                }

                int read;
                while (length < content.Length &&
                    (read = await file.ReadAsync(content.AsMemory(length), cancellationToken).ConfigureAwait(false)) > 0)
                {
                    length += read;
                }
            }

            if (length > MaximumLength)
            {
                throw Unavailable(reference, "the file is larger than 64 KiB, so it is not a secret.");
            }

            ReadOnlyMemory<byte> text = content.AsMemory(0, length);
            if (text.Span.StartsWith(Encoding.UTF8.Preamble))
            {
                text = text[Encoding.UTF8.Preamble.Length..];
            }

            // One line end belongs to the editor or to echo; more would be a strange, but possible, part of the secret.
            string value = s_utf8.GetString(text.Span);
            return value.EndsWith("\r\n", StringComparison.Ordinal) ? value[..^2] : value.EndsWith('\n') ? value[..^1] : value;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Unavailable(reference, e.Message, e);
        }
        catch (DecoderFallbackException e)
        {
            throw Unavailable(reference, "the file is not UTF-8 text.", e);
        }
        finally
        {
            Array.Clear(content);
        }
    }

    private void WarnOfReaders(SecretReference reference, UnixFileMode mode)
    {
        if ((mode & (UnixFileMode.OtherRead | UnixFileMode.OtherWrite)) != 0)
        {
            Observer.Warning($"Every account on this machine can read or write the secret file '{reference.Name}'; 'chmod 600' closes it.");
        }
        else if ((mode & (UnixFileMode.GroupRead | UnixFileMode.GroupWrite)) != 0)
        {
            Observer.Verbose($"The group of the secret file '{reference.Name}' can read or write it.");
        }
    }

    private static SmcException Unavailable(
        SecretReference reference, string why, Exception? inner = null, string? recommendation = null) => new(
        SmcErrorCode.SecretUnavailable, $"The secret '{reference}' is not available: {why}", inner, recommendation, reference.ToString());
}
