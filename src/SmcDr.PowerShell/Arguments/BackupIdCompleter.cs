using System.Collections;
using System.Collections.Concurrent;
using System.Management.Automation;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Completes the ids of the backups in the site's repository, newest first.</summary>
public sealed class BackupIdCompleter : SmcCompleter
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan s_listingLimit = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan s_freshness = TimeSpan.FromSeconds(15);
    private static readonly ConcurrentDictionary<string, Listing> s_listings = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    protected override IEnumerable<(string Value, string ToolTip)> Find(IDictionary boundParameters)
    {
        string path = LocateSite(boundParameters["Site"]);
        Listing listing = s_listings.AddOrUpdate(
            path, Listing.Start, static (path, known) => known.IsFresh ? known : Listing.Start(path));

        // A slow store is asked once, and its answer is there for the next press of the key.
        return Await(listing.Backups, s_patience) is { } backups
            ? backups.Select(static backup => (backup.Id, Describe(backup)))
            : [];
    }

    private static string Describe(BackupInfo backup)
    {
        string age = DisplayText.Duration(DateTimeOffset.UtcNow - backup.StartTime);
        string size = backup.SizeBytes is { } bytes ? $", {DisplayText.Size(bytes)}" : "";
        string label = backup.Label is { Length: > 0 } text ? $", {text}" : "";
        return $"{backup.Component}, {backup.Kind}, {backup.State}, {age} old{size}{label}";
    }

    private sealed record Listing(Task<IReadOnlyList<BackupInfo>> Backups, long StartTime)
    {
        public bool IsFresh => TimeSpan.FromMilliseconds(Environment.TickCount64 - StartTime) < s_freshness;

        public static Listing Start(string path) => new(Task.Run(() => ListAsync(path)), Environment.TickCount64);

        private static async Task<IReadOnlyList<BackupInfo>> ListAsync(string path)
        {
            using CancellationTokenSource limit = new(s_listingLimit);
            Repository repository = await SiteFile.Load(path).OpenRepositoryAsync(new SecretResolver(), limit.Token).ConfigureAwait(false);
            List<BackupInfo> backups = [];
            foreach (Component component in Enum.GetValues<Component>())
            {
                await foreach (BackupEntry entry in repository.ListBackupsAsync(component, limit.Token).ConfigureAwait(false))
                {
                    backups.Add(entry.ToInfo(repository.Location));
                }
            }

            return [.. backups.OrderByDescending(static backup => backup.StartTime)];
        }
    }
}
