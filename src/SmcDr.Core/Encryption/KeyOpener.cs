namespace SmcDr.Core.Encryption;

/// <summary>Tries envelopes with one recipient's secret, and no more often than is reasonable.</summary>
internal sealed class KeyOpener(RepositoryKeySource source)
{
    private const int MaximumRequests = 64;

    private string? _name;
    private long _iterations;
    private int _requests;

    /// <summary>The key and the name of the envelope that it was in; null where none is for this recipient.</summary>
    public async Task<(RepositoryKey Key, string Name)?> TryOpenAsync(IReadOnlyList<Recipient> recipients, CancellationToken cancellationToken)
    {
        // Who opened one key has the same name with the next.
        foreach (Recipient recipient in recipients.Where(source.MayOpen).OrderByDescending(recipient => recipient.Name == _name))
        {
            _iterations += recipient.Iterations ?? 0;
            _requests += recipient.Kind == RecipientKind.AwsKms ? 1 : 0;
            if (_iterations > RepositoryKeySource.MaximumTotalIterations || _requests > MaximumRequests)
            {
                throw new SmcException(
                    SmcErrorCode.KeyWrong,
                    "The repository has so many key envelopes that trying them all would take too long.",
                    recommendation: "Use a key file, which finds its envelope at once, and look with Get-SmcRepositoryKey who has added envelopes.");
            }

            RepositoryKey? key = await source.TryUnwrapAsync(recipient, cancellationToken).ConfigureAwait(false);
            if (key is not null && key.Id == recipient.KeyId)
            {
                _name = recipient.Name;
                return (key, recipient.Name);
            }

            key?.Dispose();
        }

        return null;
    }
}
