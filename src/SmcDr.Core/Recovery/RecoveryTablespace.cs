namespace SmcDr.Core.Recovery;

/// <summary>Where a tablespace is restored to.</summary>
/// <param name="Oid">Its object id.</param>
/// <param name="Name">Its name.</param>
/// <param name="Location">The directory that it will have.</param>
public sealed record RecoveryTablespace(uint Oid, string Name, string Location)
{
    /// <summary>Where it lies until all is fetched: beside its place, on the same file system.</summary>
    internal string NewLocation => Location + ".smcdr-new";
}
