using SmcDr.Core.Operations;

namespace SmcDr.Core.Redis.Restore;

/// <summary>One way of giving a Redis server the data of a backup.</summary>
public interface IRedisRestore
{
    /// <summary>Which way it is.</summary>
    RedisRestoreMethod Method { get; }

    /// <summary>Finds out what would be done and whether it can be. Nothing is changed.</summary>
    /// <param name="observer">Is told decisions; the plan's warnings stand in the plan.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException">The server or the backup stands in the way.</exception>
    Task<RedisRestorePlan> PlanAsync(IOperationObserver observer, CancellationToken cancellationToken);

    /// <summary>Looks at everything once more, and restores.</summary>
    /// <param name="observer">Is told decisions, warnings and progress.</param>
    /// <param name="cancellationToken">Stops the work; a warning then says what the server has of it.</param>
    /// <exception cref="SmcException">Before anything was changed, or with a message that says how much was.</exception>
    Task<RedisRestoreResult> RunAsync(IOperationObserver observer, CancellationToken cancellationToken);
}
