namespace SmcDr.Core.Redis.Offline;

/// <summary>Where the server is on this host that a backup is restored to by its files, and how it is stopped and started.</summary>
public sealed record RedisOfflineOptions
{
    /// <summary>The server's data directory; null = as the running server or its configuration says. Where both are known they must agree.</summary>
    public string? DataDirectory { get; init; }

    /// <summary>The configuration file that it is started with; null = the one that the running server names.</summary>
    public string? ConfigFile { get; init; }

    /// <summary>The unit of systemd that it runs as; null = the one that its process belongs to.</summary>
    public string? Service { get; init; }

    /// <summary>The directory of <c>redis-server</c>; null = the running server's program, else the search path.</summary>
    public string? BinDirectory { get; init; }

    /// <summary>The account to start a server as that does not run; null = the owner of its data directory.</summary>
    public string? OsUser { get; init; }

    /// <summary>How long the server may take to stop.</summary>
    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>How long loading may stand still. However long it takes, as long as it goes on.</summary>
    public TimeSpan LoadingTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How many keys, chosen by chance, are compared afterwards; 0 = none.</summary>
    public int SampleSize { get; init; } = 1000;

    /// <summary>The program that speaks to systemd.</summary>
    internal string Systemctl { get; init; } = "systemctl";

    /// <summary>Called after each phase, and after each step within one that could be its last.</summary>
    internal Action<string>? AfterStep { get; init; }

    /// <summary>Another major version than the program's, for files of versions that are not on this host.</summary>
    internal int? MajorVersion { get; init; }
}
