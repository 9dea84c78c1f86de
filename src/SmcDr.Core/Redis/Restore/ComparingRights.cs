namespace SmcDr.Core.Redis.Restore;

/// <summary>Whether a user may read values back, to compare them with the backup, and by which command it learns when a key expires.</summary>
/// <param name="ExpiryCommand"><c>PEXPIRETIME</c>, or <c>PTTL</c> where there is no such.</param>
/// <param name="Refusal">Why values cannot be compared, as a sentence without its end; null where they can.</param>
internal sealed record ComparingRights(string ExpiryCommand, string? Refusal)
{
    /// <summary>Asks the server. A key that the user may not touch is no refusal: there may be others.</summary>
    /// <param name="connection">The connection.</param>
    /// <param name="key">Any key, whether it is there or not.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<ComparingRights> AskAsync(RedisConnection connection, RedisArgument key, CancellationToken cancellationToken)
    {
        RedisReply[] replies = await connection.ExecuteManyAsync(
            [new RedisCommand("DUMP", key), new RedisCommand("PEXPIRETIME", key), new RedisCommand("PTTL", key)],
            cancellationToken).ConfigureAwait(false);
        // PEXPIRETIME came with Redis 7.0.
        bool isOlder = RedisErrors.IsUnknown(replies[1]);
        string? refusal = ((RedisReply[])[replies[0], replies[isOlder ? 2 : 1]])
            .Where(static reply => reply.IsError && !RedisErrors.IsKeyDenied(reply)).Select(static reply => RedisErrors.Clean(reply.Text)).FirstOrDefault();
        return new ComparingRights(
            isOlder ? "PTTL" : "PEXPIRETIME",
            refusal is null ? null : $"{refusal}. For that the user needs +dump {(isOlder ? "+pttl" : "+pexpiretime")}");
    }
}
