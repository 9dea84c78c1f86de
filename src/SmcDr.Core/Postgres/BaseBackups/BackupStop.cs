using System.Globalization;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>What <c>pg_backup_stop</c> said.</summary>
/// <param name="StopLsn">Where the backup is consistent.</param>
/// <param name="Label">The content of <c>backup_label</c>.</param>
/// <param name="TablespaceMap">The content of <c>tablespace_map</c>; empty where there are no tablespaces.</param>
/// <param name="ServerTime">The server's clock right after.</param>
/// <param name="LocalTime">This machine's clock at the same moment.</param>
internal sealed record BackupStop(
    Lsn StopLsn, string Label, string TablespaceMap, DateTimeOffset ServerTime, DateTimeOffset LocalTime)
{
    /// <summary>The timeline that recovery begins on, from the label that recovery will read.</summary>
    public uint Timeline => uint.Parse(Value("START TIMELINE: "), CultureInfo.InvariantCulture);

    /// <summary>From where recovery replays.</summary>
    public Lsn StartLsn => Lsn.Parse(Value("START WAL LOCATION: ").Split(' ')[0]);

    private string Value(string name) =>
        Label.Split('\n').FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal))?[name.Length..]
        ?? throw new SmcException(
            SmcErrorCode.BackupInterrupted, $"The server's backup label holds no '{name.TrimEnd(' ', ':')}'.");
}
