using SmcDr.Core.Sites;

namespace SmcDr.Core.Retention;

/// <summary>Which backups are kept. Each rule keeps what it names, on its own; what no rule names goes.</summary>
public sealed record RetentionPolicy
{
    /// <summary>How many of the newest.</summary>
    public int Last { get; init; }

    /// <summary>All that are younger than this.</summary>
    public TimeSpan? Within { get; init; }

    /// <summary>The newest of each of so many days that have one, in UTC.</summary>
    public int Daily { get; init; }

    /// <summary>The newest of each of so many weeks that have one, from Monday on.</summary>
    public int Weekly { get; init; }

    /// <summary>The newest of each of so many months that have one.</summary>
    public int Monthly { get; init; }

    /// <summary>The newest of each of so many years that have one.</summary>
    public int Yearly { get; init; }

    /// <summary>Within which every instant can be recovered to: all backups of it, the last one before it, and the WAL from there on.</summary>
    public TimeSpan? RecoveryWindow { get; init; }

    /// <summary>What a site file asks for.</summary>
    public static RetentionPolicy From(RetentionSettings settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        return new RetentionPolicy
        {
            Last = settings.Last,
            Within = settings.Within,
            Daily = settings.Daily,
            Weekly = settings.Weekly,
            Monthly = settings.Monthly,
            Yearly = settings.Yearly,
            RecoveryWindow = settings.RecoveryWindow,
        };
    }
}
