using System.Globalization;

namespace SmcDr.Cli.Output;

/// <summary>What restoring databases did, for people.</summary>
internal static class DatabaseRestoreDisplay
{
    public static void Write(TextWriter writer, DatabaseRestoreResult result)
    {
        TableIntegrity[] wrong = [.. result.Tables.Where(static table => table.Outcome == "Failed")];
        TableOutput.WriteProperties(
            writer,
            ("Database", ErrorText.OneLine(result.TargetDatabase)),
            ("State", result.State),
            ("As of", DisplayText.Time(result.RecoveredTime)),
            ("Backup", result.BackupId),
            ("Tables", result.TableCount.ToString(CultureInfo.InvariantCulture)),
            ("Rows", result.RowCount.ToString(CultureInfo.InvariantCulture)),
            ("Different", wrong.Length > 0 ? string.Join(", ", wrong.Select(static table => ErrorText.OneLine($"{table.Schema}.{table.Table}"))) : null),
            ("Previous one", result.PreviousDatabase is null ? null : ErrorText.OneLine(result.PreviousDatabase)),
            ("Emergency backup", result.EmergencyBackupId),
            ("Took", DisplayText.Duration(result.Duration)));
    }
}
