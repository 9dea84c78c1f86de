namespace SmcDr.Core.Postgres;

/// <summary>The applications that write to a database: stopped before it is recovered, and started again when it is back.</summary>
public interface IDatabaseWriters
{
    /// <summary>Who they are, for the plan, such as <c>deployment/trading-engine</c>.</summary>
    IReadOnlyList<string> Names { get; }

    /// <summary>Stops them; returns when none is at work any more.</summary>
    Task SuspendAsync(CancellationToken cancellationToken);

    /// <summary>Starts what <see cref="SuspendAsync"/> stopped, as it was.</summary>
    Task ResumeAsync(CancellationToken cancellationToken);
}
