namespace SmcDr.Core.Drills;

/// <summary>How a drill is run.</summary>
public sealed record DrillOptions
{
    /// <summary>How much data is loaded, in bytes, indexes included.</summary>
    public long SizeBytes { get; init; } = 200_000_000;

    /// <summary>The directory below which the drill works in one of its own; null = the temporary directory.</summary>
    public string? WorkDirectory { get; init; }

    /// <summary>Whether the drill's files stay. Its processes never do.</summary>
    public bool Keep { get; init; }

    /// <summary>Where to write the report; null = no report.</summary>
    public string? ReportPath { get; init; }

    /// <summary>The directory of PostgreSQL's programs; null = look for them.</summary>
    public string? BinDirectory { get; init; }

    /// <summary>The directory of Redis' server program; null = look for it, and leave Redis out where there is none.</summary>
    public string? RedisBinDirectory { get; init; }

    /// <summary>How many writers commit at the same time.</summary>
    public int Writers { get; init; } = 4;

    /// <summary>How much acknowledged work may be missing after the server was destroyed. What the WAL stream promises.</summary>
    public TimeSpan LossAllowance { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>The objective for data loss.</summary>
    public TimeSpan RpoObjective { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>The objective for time to recover.</summary>
    public TimeSpan RtoObjective { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>The objective for what Redis loses.</summary>
    public TimeSpan RedisRpoObjective { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>The objective for time to restore Redis.</summary>
    public TimeSpan RedisRtoObjective { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Where programs are looked for.</summary>
    internal string? SearchPath { get; init; } = Environment.GetEnvironmentVariable("PATH");
}
