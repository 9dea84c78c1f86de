using System.Security.Cryptography;

namespace SmcDr.Core.Encryption;

/// <summary>Opens envelopes as another source does, each of them once (<see cref="UnwrappedKeys"/>).</summary>
/// <param name="source">The other source, which is disposed of with this.</param>
/// <param name="keys">What was opened.</param>
internal sealed class RememberingKeySource(RepositoryKeySource source, UnwrappedKeys keys) : RepositoryKeySource
{
    /// <inheritdoc/>
    public override RecipientKind Kind => source.Kind;

    /// <inheritdoc/>
    internal override string? Fingerprint => source.Fingerprint;

    /// <inheritdoc/>
    internal override string DefaultName => source.DefaultName;

    /// <inheritdoc/>
    internal override bool MayOpen(Recipient recipient) => source.MayOpen(recipient);

    /// <inheritdoc/>
    internal override Task<Recipient> WrapAsync(Recipient recipient, RepositoryKey key, CancellationToken cancellationToken) =>
        source.WrapAsync(recipient, key, cancellationToken);

    /// <inheritdoc/>
    internal override void AppendSecret(IncrementalHash digest) => source.AppendSecret(digest);

    /// <inheritdoc/>
    internal override Task<RepositoryKey?> TryUnwrapAsync(Recipient recipient, CancellationToken cancellationToken) =>
        keys.OpenAsync(recipient, source, cancellationToken);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            source.Dispose();
        }
    }
}
