using System.Collections;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Schedules;

/// <summary>The secrets that a site file refers to: what scheduled work must find where it runs.</summary>
internal static class SiteSecrets
{
    /// <summary>All references of a site, each once.</summary>
    public static IReadOnlyList<SecretReference> Of(Site site) => [.. Find(site).Distinct()];

    /// <summary>The environment variables among them.</summary>
    public static IReadOnlyList<string> VariablesOf(Site site) =>
        [.. Of(site).Where(static one => one.Scheme == SecretScheme.Environment).Select(static one => one.Name)];

    /// <summary>Refuses a site whose secrets are in a vault, which only PowerShell opens.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ScheduleUnsuitable"/>.</exception>
    public static void RefuseVaults(Site site)
    {
        if (Of(site).FirstOrDefault(static one => one.Scheme == SecretScheme.Vault) is { } vault)
        {
            throw new SmcException(
                SmcErrorCode.ScheduleUnsuitable,
                $"The secret '{vault}' is in a vault of SecretManagement, which the program that a schedule runs cannot open.",
                recommendation: "Keep the secret in a file or an environment variable, or in a Secret of the cluster (k8s:namespace/name/key).",
                target: vault.ToString());
        }
    }

    private static IEnumerable<SecretReference> Find(object? value) => value switch
    {
        null or string => [],
        SecretReference secret => [secret],
        KeyReference key => Find(key.Secret),
        IDictionary entries => entries.Values.Cast<object?>().SelectMany(Find),
        IEnumerable items => items.Cast<object?>().SelectMany(Find),
        _ => SiteModel.KeysOf(value.GetType()).SelectMany(key => Find(key.Property.GetValue(value))),
    };
}
