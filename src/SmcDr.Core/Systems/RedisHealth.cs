using System.Runtime.CompilerServices;
using SmcDr.Core.Redis;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Systems;

/// <summary>Whether Redis serves: it answers, takes a write and gives it back, and those that follow it are in step.</summary>
internal sealed class RedisHealth(Site site, SecretResolver secrets, TimeProvider clock)
{
    private const int ProbeSeconds = 30;

    private readonly RedisConnector _connector = site.CreateRedisConnector(secrets);

    public async IAsyncEnumerable<CheckResult> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        CheckRun run = new(_connector.Display, clock);
        RedisConnection? connection = null;
        try
        {
            CheckResult answers = await run.CheckAsync("Redis", async () =>
            {
                connection = await _connector.OpenAsync(cancellationToken).ConfigureAwait(false);
                await connection.ExecuteAsync(new RedisCommand("PING"), cancellationToken).ConfigureAwait(false);
                return CheckFinding.Passed("It answers.");
            }).ConfigureAwait(false);
            yield return answers;
            bool isUp = answers.Outcome == CheckOutcomes.Passed;
            yield return isUp
                ? await run.CheckAsync("RedisWrite", () => ProbeAsync(connection!, cancellationToken)).ConfigureAwait(false)
                : run.Skip("RedisWrite", "Redis did not pass.");
            yield return isUp
                ? await run.CheckAsync("RedisReplication", () => CheckReplicationAsync(connection!, cancellationToken)).ConfigureAwait(false)
                : run.Skip("RedisReplication", "Redis did not pass.");
        }
        finally
        {
            if (connection is not null)
            {
                await connection.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>Writes a key that nobody else has, reads it and removes it. It has a time to live, should this be killed between.</summary>
    private static async Task<CheckFinding> ProbeAsync(RedisConnection connection, CancellationToken cancellationToken)
    {
        string key = $"smcdr:probe:{Guid.NewGuid():N}";
        string value = Guid.NewGuid().ToString("N");
        RedisReply written = await connection.TryExecuteAsync(
            new RedisCommand("SET", key, value, "EX", ProbeSeconds, "NX"), cancellationToken).ConfigureAwait(false);
        if (written.IsError && written.Text.StartsWith("MOVED ", StringComparison.Ordinal))
        {
            return CheckFinding.Skipped("The server is a node of a cluster, and the key would be another's.");
        }

        if (written.IsError)
        {
            SmcException refused = connection.Translate(written, "SET");
            return refused.Code == SmcErrorCode.PrivilegeMissing
                ? CheckFinding.Warning($"The user may not try a write: {refused.Message}", "Allow it: ACL SETUSER <user> ~smcdr:probe:* +set +get +del")
                : CheckFinding.Failed(refused.Message, refused.Recommendation);
        }

        RedisReply read = await connection.ExecuteAsync(new RedisCommand("GET", key), cancellationToken).ConfigureAwait(false);
        await connection.ExecuteAsync(new RedisCommand("DEL", key), cancellationToken).ConfigureAwait(false);
        return read.Text == value
            ? CheckFinding.Passed("It takes a write and gives it back.")
            : CheckFinding.Failed("What was written is not what is read.", "Look at the server's memory and its maxmemory-policy: it removes keys at once.");
    }

    private static async Task<CheckFinding> CheckReplicationAsync(RedisConnection connection, CancellationToken cancellationToken)
    {
        RedisInfo info = await RedisSource.ReadInfoAsync(connection, cancellationToken).ConfigureAwait(false);
        return info.IsMaster
            ? CheckFinding.Passed(FormattableString.Invariant($"The server is a master with {info.Replicas.Count} replicas."))
            : info.IsLinkUp
                ? CheckFinding.Warning("The server is a replica.", "Name the master in the site file, which is what the system writes to.")
                : CheckFinding.Failed("The server is a replica that does not hear its master.", "Repair the replica's link (INFO replication).");
    }
}
