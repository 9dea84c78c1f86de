using SmcDr.Core.Redis.Rdb;

namespace SmcDr.Core.Redis.Offline;

/// <summary>Which versions of the format a server loads.</summary>
internal static class RdbVersions
{
    /// <summary>The newest that a version of Redis loads (rdb.h of the versions); of one that is not known, the newest there is.</summary>
    public static int NewestOf(string serverVersion) => !Version.TryParse(serverVersion, out Version? version)
        ? RdbReader.MaximumVersion
        : version switch
        {
            { Major: > 7 } or { Major: 7, Minor: >= 4 } => 12,
            { Major: 7, Minor: >= 2 } => 11,
            { Major: 7 } => 10,
            { Major: >= 5 } => 9,
            { Major: 4 } => 8,
            { Major: 3, Minor: >= 2 } => 7,
            _ => 6,
        };
}
