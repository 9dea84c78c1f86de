using System.Globalization;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>What a restore of a logical backup would do; everything that can be checked beforehand was.</summary>
public sealed record LogicalRestorePlan
{
    public required string BackupId { get; init; }

    /// <summary>Host and port.</summary>
    public required string Server { get; init; }

    public required IReadOnlyList<LogicalRestoreItem> Items { get; init; }

    public required LogicalRestoreOptions Options { get; init; }

    /// <summary>Whether something that is there is dropped.</summary>
    public bool IsDestructive => Items.Any(item => item.Mode == LogicalRestoreMode.Replace || (item.Mode == LogicalRestoreMode.Merge && Options.Clean));

    internal BackupReader Backup { get; init; } = null!;

    internal ClientPrograms Programs { get; init; } = null!;

    internal IReadOnlyDictionary<string, ManifestEntry> Entries { get; init; } = null!;

    /// <summary>The plan, a line for each step.</summary>
    public IEnumerable<string> Describe()
    {
        if (Options.Globals)
        {
            yield return "Restore roles and tablespaces; roles that exist get the attributes and passwords of the backup.";
        }

        foreach (LogicalRestoreItem item in Items)
        {
            string what = item.Selection is null
                ? string.Create(CultureInfo.InvariantCulture, $"'{item.Source.Name}' ({DisplayText.Size(item.Dump.Size)}, {item.Source.TableCount} tables, {item.Source.RowCount} rows)")
                : string.Create(CultureInfo.InvariantCulture, $"{item.Selection.Count} objects of '{item.Source.Name}'");
            yield return item.Mode switch
            {
                LogicalRestoreMode.Create => $"Create the database '{item.Target}' and restore {what} to it.",
                LogicalRestoreMode.Fill => $"Restore {what} to the empty database '{item.Target}'.",
                LogicalRestoreMode.Replace =>
                    $"Restore {what} beside the database '{item.Target}', then end its sessions, put the new one in its place and drop the old one.",
                _ when Options.Clean => $"Drop what is there of them, and restore {what} to the database '{item.Target}', in one transaction.",
                _ => $"Restore {what} to the database '{item.Target}', in one transaction.",
            };
        }
    }
}
