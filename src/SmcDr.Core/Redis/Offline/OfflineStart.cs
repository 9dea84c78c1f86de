namespace SmcDr.Core.Redis.Offline;

/// <summary>How a server of this host is started again. Holds no secret: it is written to the journal.</summary>
internal sealed record OfflineStart
{
    /// <summary>Where a server logs that would log to nowhere when it goes to the background.</summary>
    internal const string LogName = "smcdr-redis.log";

    internal const string PidName = "smcdr-redis.pid";

    /// <summary>The unit of systemd that starts it; null where it is started as a process of its own.</summary>
    public string? Unit { get; init; }

    /// <summary>The program; null where nobody knows how the server is started.</summary>
    public string? Program { get; init; }

    /// <summary>The configuration file.</summary>
    public string? ConfigFile { get; init; }

    /// <summary>The settings that the server had in place of those of its file, as arguments.</summary>
    public IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>Where it logs; null = to its standard output, as a service does.</summary>
    public string? LogFile { get; init; }

    /// <summary>The account that it runs as; null = the present one.</summary>
    public string? Account { get; init; }

    /// <summary>Whether it is started for a look at what it loads alone, and ended again: how it is started in earnest nobody has said.</summary>
    public bool IsTemporary { get; init; }

    /// <summary>Whether the server can be started.</summary>
    public bool IsKnown => Unit is not null || (Program is not null && !IsTemporary);

    /// <summary>What an operator types to start it.</summary>
    public string Command => Unit is not null
        ? $"systemctl start {Unit}"
        : Program is null || IsTemporary
            ? "redis-server with the server's own configuration file"
            : string.Join(' ', [
                .. Account is null ? (string[])[] : ["runuser", "-u", Account, "--"],
                Program,
                .. ConfigFile is null ? (string[])[] : [ConfigFile],
                .. Arguments]);
}
