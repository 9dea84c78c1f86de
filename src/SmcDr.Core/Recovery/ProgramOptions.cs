namespace SmcDr.Core.Recovery;

/// <summary>How a program of this host is run.</summary>
public sealed record ProgramOptions
{
    /// <summary>The account to run it as; only root may name another than its own.</summary>
    public OsAccount? Account { get; init; }

    /// <summary>How long it may take; null = as long as it likes.</summary>
    public TimeSpan? TimeLimit { get; init; }

    /// <summary>What it reads on standard input.</summary>
    public string? Input { get; init; }

    /// <summary>
    /// Whether nothing of the present environment is handed on but the search path: for a server that goes on, and need not know the secrets of
    /// whoever started it.
    /// </summary>
    public bool IsEnvironmentEmpty { get; init; }

    /// <summary>Variables beyond the cleaned environment. No secret belongs here: others may read a process's environment.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();
}
