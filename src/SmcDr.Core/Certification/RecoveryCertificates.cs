using System.Text.RegularExpressions;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Certification;

/// <summary>The certificates of a site's tests of recovery. Each is an object of its own, which nothing overwrites.</summary>
public static partial class RecoveryCertificates
{
    /// <summary>A site's tests, newest first.</summary>
    /// <param name="repository">The repository.</param>
    /// <param name="site">The site's name.</param>
    /// <param name="count">At most how many.</param>
    /// <param name="observer">Is warned of certificates that cannot be believed; they are left out.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<IReadOnlyList<RecoveryTestResult>> ListAsync(
        Repository repository, string site, int count, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(observer);
        string folder = RepositoryKeys.Certificates(site);
        List<string> keys = [];
        await foreach (ObjectInfo info in repository.Store.ListAsync(folder, cancellationToken).ConfigureAwait(false))
        {
            if (IdPattern().IsMatch(info.Key[folder.Length..]))
            {
                keys.Add(info.Key);
            }
        }

        keys.Sort(static (left, right) => string.CompareOrdinal(right, left));
        List<RecoveryTestResult> results = [];
        foreach (string key in keys)
        {
            if (results.Count == count)
            {
                break;
            }

            if (await TryReadAsync(repository, key, observer, cancellationToken).ConfigureAwait(false) is { } result)
            {
                results.Add(result);
            }
        }

        return results;
    }

    /// <summary>Keeps the result of a test.</summary>
    internal static Task WriteAsync(Repository repository, RecoveryTestResult result, CancellationToken cancellationToken) =>
        Repository.PutDocumentAsync(
            repository.Store,
            RepositoryKeys.Certificates(result.Site) + result.TestId,
            new RecoveryCertificate { RepositoryId = repository.Id, Result = result },
            CertificateJson.Default.RecoveryCertificate,
            cancellationToken);

    private static async Task<RecoveryTestResult?> TryReadAsync(
        Repository repository, string key, IOperationObserver observer, CancellationToken cancellationToken)
    {
        try
        {
            RecoveryCertificate? certificate = await repository
                .TryReadDocumentAsync(key, CertificateJson.Default.RecoveryCertificate, cancellationToken).ConfigureAwait(false);
            if (certificate is null || certificate.Format > Repository.FormatVersion)
            {
                return null;
            }

            if (certificate.RepositoryId == repository.Id && key == RepositoryKeys.Certificates(certificate.Result.Site) + certificate.Result.TestId)
            {
                return certificate.Result;
            }

            observer.Warning($"The certificate '{key}' was not written for this place, and is left out.");
        }
        catch (SmcException e) when (SmcErrors.IsDamage(e.Code))
        {
            observer.Warning($"The certificate '{key}' is left out: {e.Message}");
        }

        return null;
    }

    [GeneratedRegex(@"\A[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}\z", RegexOptions.CultureInvariant)]
    private static partial Regex IdPattern();
}
