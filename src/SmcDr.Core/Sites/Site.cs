using SmcDr.Core.Dns;
using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Sites;

/// <summary>A system that is protected, as its site file describes it. <see cref="SiteFile.Load"/> makes one.</summary>
public sealed record Site : ISiteRules
{
    [SiteKey("The site's name, such as smc-trading.", Kind = SiteValueKind.Name)]
    public required string Name { get; init; }

    [SiteKey("Where backups are kept.")]
    public required RepositorySettings Repository { get; init; }

    [SiteKey("How fast each component must be back, and how much of it may be lost.")]
    public ObjectivesSettings Objectives { get; init; } = new();

    [SiteKey("The places that the system runs in, by name; exactly one is primary.")]
    public required IReadOnlyDictionary<string, RegionSettings> Regions { get; init; }

    [SiteKey("How the WAL stream works.")]
    public WalStreamSettings WalStream { get; init; } = new();

    [SiteKey("The workloads that write to the database, stopped before a restore in this order.", Kind = SiteValueKind.Workload)]
    public IReadOnlyList<string> Writers { get; init; } = [];

    [SiteKey("Directory trees that are backed up.")]
    public IReadOnlyList<FileStoreSettings> FileStores { get; init; } = [];

    [SiteKey("The DNS record that leads clients to the primary region.")]
    public DnsSettings? Dns { get; init; }

    [SiteKey("What must hold for the system to be well, checked after a recovery.")]
    public CheckSettings Checks { get; init; } = new();

    [SiteKey("Who is told of failures.")]
    public IReadOnlyList<NotificationSettings> Notifications { get; init; } = [];

    [SiteKey("How alerts are sent.")]
    public AlertSettings Alerts { get; init; } = new();

    [SiteKey("The people who are called in an incident.")]
    public IReadOnlyList<ContactSettings> Contacts { get; init; } = [];

    [SiteKey("When backups are taken, verified, tested and thinned out.")]
    public ScheduleSettings Schedules { get; init; } = new();

    /// <summary>The full path of the site file.</summary>
    public string Path { get; init; } = "";

    /// <summary>
    /// The region that the site was led to, by what its repository says; null where it was never led anywhere, or nobody has looked
    /// (<see cref="SiteLeadership"/>).
    /// </summary>
    public string? Leader { get; init; }

    /// <summary>The keys of its repository that were unwrapped: whoever has this site, or one that was made of it, does that once.</summary>
    internal UnwrappedKeys Keys { get; } = new();

    /// <summary>The region that leads: the one that the site was led to, and at first the one whose role is primary in the site file.</summary>
    public RegionSettings PrimaryRegion => Leader is { } leader && Regions.TryGetValue(leader, out RegionSettings? led) ? led : HomeRegion;

    /// <summary>The region whose role is primary in the site file: where the site is led back to.</summary>
    public RegionSettings HomeRegion => Regions.Values.First(static region => region.Role == RegionRole.Primary);

    /// <summary>The region of a name, or the primary one where null.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: there is none of this name.</exception>
    public RegionSettings GetRegion(string? name)
    {
        if (name is null)
        {
            return PrimaryRegion;
        }

        return Regions.TryGetValue(name, out RegionSettings? region)
            ? region
            : throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"The site '{Name}' has no region '{name}'.",
                recommendation: $"Give one of its regions: {string.Join(", ", Regions.Keys)}.",
                target: name);
    }

    /// <summary>The site as <c>Get-SmcSite</c> shows it.</summary>
    public SiteInfo ToInfo(bool isCurrent = false) => new()
    {
        Name = Name,
        Path = Path,
        Repository = Repository.Location,
        PrimaryRegion = PrimaryRegion.Name,
        Regions = [.. Regions.Keys],
        DatabaseRto = Objectives.Database?.Rto,
        DatabaseRpo = Objectives.Database?.Rpo,
        IsCurrent = isCurrent,
    };

    IEnumerable<(string Key, string Problem)> ISiteRules.FindProblems()
    {
        int primaries = Regions.Values.Count(static region => region.Role == RegionRole.Primary);
        if (primaries != 1)
        {
            yield return ("regions", $"must have exactly one region whose role is primary, and has {primaries}");
        }

        if (WalStream.SpillDirectory is { } spill)
        {
            IEnumerable<(string What, string Path)> others =
            [
                .. new[] { Repository.Location }.Concat(Repository.Copies).Select(ObjectStoreLocation.Parse).OfType<DirectoryLocation>()
                    .Select(static location => ("a repository's", location.Path)),
                .. Regions.Values.Where(static region => region.Database?.DataDirectory is not null)
                    .Select(static region => ("a database's", region.Database!.DataDirectory!)),
            ];
            foreach ((string what, string path) in others.Where(other => PathText.IsWithin(spill, other.Path) || PathText.IsWithin(other.Path, spill)))
            {
                yield return ("walStream", $"has a spillDirectory, '{spill}', that is {what} directory, '{path}', or within it, or around it");
            }
        }

        if (Dns is { } dns)
        {
            DnsName record = DnsName.Parse(dns.Record);
            foreach ((string name, RegionSettings region) in Regions.Where(region => DnsName.TryParse(region.Value.Endpoint, out DnsName? endpoint) && endpoint == record))
            {
                yield return ("dns", $"has the record '{dns.Record}', which is the endpoint of the region '{name}' itself, and a record cannot lead to itself");
            }
        }

        foreach (IGrouping<string, NotificationSettings> same in Notifications.Where(static one => one.Name is not null)
            .GroupBy(static one => one.Name!).Where(static g => g.Count() > 1))
        {
            yield return ("notifications", $"has {same.Count()} entries of the name '{same.Key}'");
        }

        foreach (IGrouping<string, FileStoreSettings> same in FileStores.GroupBy(static store => store.Name).Where(static g => g.Count() > 1))
        {
            yield return ("fileStores", $"has {same.Count()} entries of the name '{same.Key}'");
        }
    }
}
