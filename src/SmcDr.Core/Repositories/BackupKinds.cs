namespace SmcDr.Core.Repositories;

/// <summary>The kinds of backups of databases that are no base backups: no WAL belongs to them, and no other backup builds on them.</summary>
internal static class BackupKinds
{
    public const string Logical = "Logical";

    /// <summary>A logical backup of a damaged server. It may show the damage, and is kept until somebody removes it.</summary>
    public const string Emergency = "Emergency";

    /// <summary>Whether a claim is that of a logical or emergency backup.</summary>
    public static bool IsLogical(string? kind) => kind is Logical or Emergency;
}
