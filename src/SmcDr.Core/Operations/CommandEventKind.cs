namespace SmcDr.Core.Operations;

/// <summary>What a <see cref="CommandEvent"/> tells.</summary>
public enum CommandEventKind
{
    /// <summary>How far an activity is.</summary>
    Progress,

    /// <summary>A decision and its reason.</summary>
    Verbose,

    /// <summary>Something is degraded, and the command goes on.</summary>
    Warning,

    /// <summary>One result.</summary>
    Result,

    /// <summary>What ended the command.</summary>
    Error,

    /// <summary>The command is over; nothing comes behind it.</summary>
    Exit,
}
