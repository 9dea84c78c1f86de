using SmcDr.Core.Redis.Rdb;

namespace SmcDr.Core.Redis.Restore;

/// <summary>
/// Finds out which versions of dumps a server takes, without changing anything: it looks at the version and the checksum of a dump first, and
/// then refuses the number 8, which is no type in any version. The time to live has passed, so that no key would come of it in any case.
/// </summary>
internal static class DumpProbe
{
    private const int OldestVersion = 5;
    private const byte NoType = 8;

    /// <summary>Asks whether dumps of a version are taken.</summary>
    /// <param name="key">A key that nobody has.</param>
    /// <param name="version">The version.</param>
    public static RedisCommand Command(string key, int version)
    {
        byte[] payload = new byte[1 + RdbDump.FooterLength];
        payload[0] = NoType;
        RdbDump.WriteFooter(payload.AsSpan(1), RedisCrc64.Append(0, payload.AsSpan(0, 1)), version);
        return new RedisCommand("RESTORE", key, 1, payload, "ABSTTL");
    }

    /// <summary>What the answer says: true or false, or null where it is about something else.</summary>
    public static bool? Read(RedisReply reply) =>
        !reply.IsError ? null
        : reply.Text.Contains("Bad data format", StringComparison.OrdinalIgnoreCase) ? true
        : reply.Text.Contains("DUMP payload version", StringComparison.OrdinalIgnoreCase) ? false
        : null;

    /// <summary>The newest version below one that was refused that the server takes; 0 where there is none.</summary>
    public static async Task<int> FindOlderAsync(RedisConnection connection, string key, int refused, CancellationToken cancellationToken)
    {
        int[] versions = [.. Enumerable.Range(OldestVersion, Math.Max(0, refused - OldestVersion)).Reverse()];
        RedisReply[] replies = await connection.ExecuteManyAsync(
            [.. versions.Select(version => Command(key, version))], cancellationToken).ConfigureAwait(false);
        return versions.Zip(replies).FirstOrDefault(static pair => Read(pair.Second) == true).First;
    }

    /// <summary>What a server of a version takes, for where it cannot be asked (rdb.h of the versions).</summary>
    public static int Guess(string serverVersion) => Version.TryParse(serverVersion, out Version? version)
        ? version switch
        {
            { Major: > 7 } or { Major: 7, Minor: >= 4 } => 12,
            { Major: 7, Minor: >= 2 } => 11,
            { Major: 7 } => 10,
            { Major: >= 5 } => 9,
            { Major: 4 } => 8,
            { Major: 3, Minor: >= 2 } => 7,
            _ => 6,
        }
        : RdbReader.MaximumVersion;
}
