using System.Globalization;

namespace SmcDr.Core.Tests.Fixtures;

/// <summary>Standbys that stream from a test's server, copied by PostgreSQL's own means.</summary>
internal static class PostgresStandby
{
    /// <summary>Copies a server's cluster to a directory that does not exist yet, and has the copy follow it.</summary>
    public static async Task<PostgresServer> FollowAsync(PostgresServer primary, string directory)
    {
        await PostgresPrograms.RunAsync(
            "pg_basebackup",
            [
                "-D", directory, "-R", "-c", "fast", "-X", "stream",
                "-d", $"host=127.0.0.1 port={primary.Port.ToString(CultureInfo.InvariantCulture)} user=postgres password={primary.Password} sslmode=disable",
            ]);
        PostgresServer standby = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            ExistingDataDirectory = directory,
            Password = primary.Password,
            Fsync = false,
            Settings = new Dictionary<string, string> { ["archive_mode"] = "off" },
        });
        Assert.True(await standby.ScalarAsync<bool>("SELECT pg_is_in_recovery()"));
        return standby;
    }
}
