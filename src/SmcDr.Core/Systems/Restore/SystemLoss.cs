namespace SmcDr.Core.Systems.Restore;

/// <summary>What a restore does not bring back.</summary>
internal static class SystemLoss
{
    /// <summary>The age of the oldest change that is lost, for each part, in seconds by the time at which it was decided.</summary>
    public static IEnumerable<(Component Component, string? Subject, double Seconds, bool IsBound)> Find(SystemRestoreIntent intent) =>
    [
        .. intent.Database is { } database
            ? [(Component.Database, null, database.LossSeconds, database.LossIsBound)]
            : Array.Empty<(Component, string?, double, bool)>(),
        .. new[] { (Component.Redis, intent.Redis?.Backup), (Component.Configuration, intent.Configuration) }
            .Concat(intent.FileStores.Select(static store => (Component.FileStore, (ChosenBackup?)store)))
            .Where(static part => part.Item2 is not null)
            .Select(part => (part.Item1, part.Item2!.Subject, Math.Max(0, (intent.DecidedTime - part.Item2.Time).TotalSeconds), true)),
    ];

    /// <summary>It in words.</summary>
    public static string Describe(SystemRestoreIntent intent) => string.Join(
        ", ", Find(intent).Select(static part => $"{Name(part.Component, part.Subject)} {Describe(part.Seconds, part.IsBound)}"));

    /// <summary>How much of a part is lost, in words.</summary>
    public static string Describe(double seconds, bool isBound) => seconds == 0 ? "nothing" : $"{(isBound ? "up to " : "")}{DisplayText.Seconds(seconds)}";

    public static string Name(Component component, string? subject) => subject is null ? component.ToString() : $"{component} {subject}";
}
