using System.Security.Cryptography;
using System.Text;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Schedules;

/// <summary>Names under which schedules are registered.</summary>
internal static class ScheduleNames
{
    // A CronJob's name may have 52 characters: its jobs add 11 to it (Kubernetes, "CronJob", "Job creation").
    private const int MaximumSite = 30;

    /// <summary>
    /// The site's name in the form that labels and names of objects allow; one that had to be changed ends with a digest, so that two sites never
    /// share one.
    /// </summary>
    public static string OfSite(Site site)
    {
        ArgumentNullException.ThrowIfNull(site);
        string name = string.Concat(site.Name.ToLowerInvariant().Select(static c => char.IsAsciiLetterOrDigit(c) ? c : '-')).Trim('-');
        return name == site.Name && name.Length <= MaximumSite
            ? name
            : $"{name[..Math.Min(name.Length, MaximumSite - 9)].TrimEnd('-')}-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(site.Name)))[..8]}";
    }

    /// <summary>The name of all that belongs to a site.</summary>
    public static string Prefix(Site site) => $"smcdr-{OfSite(site)}";

    /// <summary>The name of a task.</summary>
    public static string Of(Site site, string task) => $"{Prefix(site)}-{task.ToLowerInvariant()}";
}
