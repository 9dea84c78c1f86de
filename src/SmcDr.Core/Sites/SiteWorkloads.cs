using System.IO.Enumeration;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres;

namespace SmcDr.Core.Sites;

/// <summary>From the writers that a site file names to what stops and starts them.</summary>
public static class SiteWorkloads
{
    /// <summary>The site's writers, in its order.</summary>
    /// <param name="site">The site.</param>
    /// <param name="names">Kind and name, the name alone, or patterns of them with <c>*</c> and <c>?</c>; none = all.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: a name without a pattern is none of them.</exception>
    public static IReadOnlyList<WorkloadName> SelectWriters(this Site site, IReadOnlyList<string> names)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(names);
        WorkloadName[] all = [.. site.Writers.Select(WorkloadName.Parse)];
        if (all.Length == 0)
        {
            throw new SmcException(
                SmcErrorCode.SiteInvalid,
                $"The site '{site.Name}' names no writers.",
                recommendation: $"Add 'writers' to '{site.Path}', such as: writers: [ deployment/api ].",
                target: site.Name);
        }

        foreach (string name in names.Where(name => !name.AsSpan().ContainsAny('*', '?') && !all.Any(each => Matches(each, name))))
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"'{name}' is no writer of the site '{site.Name}'.",
                recommendation: $"Give one of its writers: {string.Join(", ", all.Select(static each => each.ToString()))}.",
                target: name);
        }

        return names.Count == 0 ? all : [.. all.Where(each => names.Any(name => Matches(each, name)))];
    }

    /// <summary>What stops and starts workloads of a region.</summary>
    /// <param name="site">The site.</param>
    /// <param name="client">The region's cluster.</param>
    /// <param name="region">The region; null = the primary one.</param>
    /// <param name="timeout">How long each may take; null = as by default.</param>
    /// <param name="observer">Hears what is waited for.</param>
    public static ClusterWorkloads CreateWorkloads(
        this Site site, KubernetesClient client, string? region, TimeSpan? timeout, IOperationObserver observer)
    {
        ArgumentNullException.ThrowIfNull(site);
        WorkloadOptions options = new() { Site = site.Name, Region = site.GetRegion(region).Name };
        return new ClusterWorkloads(
            client, site.GetKubernetes(region).Namespace, timeout is { } given ? options with { Timeout = given } : options, observer);
    }

    /// <summary>
    /// The writers of a region as a recovery of its database needs them; null where the site names none, or the region has no cluster that they
    /// would be in.
    /// </summary>
    public static IDatabaseWriters? CreateWriters(this Site site, IOperationObserver observer, string? region = null)
    {
        ArgumentNullException.ThrowIfNull(site);
        return site.Writers.Count == 0 || site.GetRegion(region).Kubernetes is not { } settings
            ? null
            : new ClusterWriters(
                site.SelectWriters([]),
                settings.Namespace,
                token => settings.ConnectAsync(observer, token),
                new WorkloadOptions { Site = site.Name, Region = site.GetRegion(region).Name, Reason = Suspension.ByRecovery },
                observer);
    }

    /// <summary>The writers of the database in a directory; null where that is another one than the site's, as of a copy beside it.</summary>
    /// <param name="site">The site.</param>
    /// <param name="dataDirectory">The directory; null = the site's.</param>
    /// <param name="observer">Hears what is waited for.</param>
    public static IDatabaseWriters? CreateWritersOf(this Site site, string? dataDirectory, IOperationObserver observer)
    {
        ArgumentNullException.ThrowIfNull(site);
        return dataDirectory is null || (site.GetDatabase().DataDirectory is { } own && DirectoryPath.IsSame(dataDirectory, own))
            ? site.CreateWriters(observer)
            : null;
    }

    private static bool Matches(WorkloadName workload, string pattern) =>
        FileSystemName.MatchesSimpleExpression(pattern, workload.Name, ignoreCase: true) ||
        FileSystemName.MatchesSimpleExpression(pattern, workload.ToString(), ignoreCase: true);
}
