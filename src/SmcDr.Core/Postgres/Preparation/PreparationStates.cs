namespace SmcDr.Core.Postgres.Preparation;

/// <summary>The values of <see cref="PreparationItem.State"/>.</summary>
public static class PreparationStates
{
    /// <summary>As it has to be.</summary>
    public const string Right = "Right";

    /// <summary>Changed to what it has to be.</summary>
    public const string Changed = "Changed";

    /// <summary>Set, and taken when the server starts again.</summary>
    public const string NeedsRestart = "NeedsRestart";

    /// <summary>Not as it has to be.</summary>
    public const string Missing = "Missing";

    /// <summary>Could be better; backups work without it.</summary>
    public const string Advice = "Advice";
}
