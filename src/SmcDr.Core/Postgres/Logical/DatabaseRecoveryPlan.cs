namespace SmcDr.Core.Postgres.Logical;

/// <summary>What recovering a database would do.</summary>
public sealed record DatabaseRecoveryPlan
{
    public required DatabaseRecoveryOptions Options { get; init; }

    public required LogicalRestorePlan Restore { get; init; }

    /// <summary>What the present database will be called; null where there is none.</summary>
    public required string? PreviousDatabase { get; init; }

    /// <summary>The plan, a line for each step.</summary>
    public IEnumerable<string> Describe()
    {
        string database = Options.Database;
        if (Options.Writers is { } writers)
        {
            yield return $"Stop the writers: {string.Join(", ", writers.Names)}.";
        }

        if (PreviousDatabase is not null)
        {
            if (!Options.SkipEmergencyBackup)
            {
                yield return $"Take an emergency backup of the present '{database}'.";
            }

            yield return $"Let nobody into '{database}' any more, and end its sessions.";
            yield return $"Rename it to '{PreviousDatabase}'. It is not dropped.";
        }

        yield return $"Create '{database}' anew and restore it from '{Restore.BackupId}', as of {DisplayText.Time(Restore.Items[0].Source.SnapshotTime)}.";
        yield return "Count the rows of every table and compare them with the backup.";
        yield return $"Let sessions into '{database}'.";
        if (Options.Writers is not null)
        {
            yield return "Start the writers.";
        }
    }
}
