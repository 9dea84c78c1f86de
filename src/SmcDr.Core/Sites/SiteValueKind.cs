namespace SmcDr.Core.Sites;

/// <summary>What a text in the site file must be. <see cref="SiteValueRule"/> has the rule of each.</summary>
internal enum SiteValueKind
{
    Text,
    Name,
    Path,
    Location,
    Connection,
    Slot,
    Workload,
    Endpoint,
    HostName,
    Url,
    Expectation,
    Schedule,
    Service,
    Command,
    RecordType,
    HostedZone,
    EmailAddress,
    Image,
    ObjectName,
    CpuQuantity,
}
