using System.Globalization;

namespace SmcDr.Core.Tests.Fixtures;

/// <summary>PostgreSQL's own judgement of a cluster that was restored.</summary>
public static class PostgresServerProof
{
    /// <summary>A directory beside the server's data that its account may write in; removed with the server.</summary>
    public static string CreateDirectory(this PostgresServer server, string name)
    {
        string path = Path.Combine(server.RootDirectory, name);
        Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        PostgresPrograms.GiveToServer(path);
        return path;
    }

    /// <summary>Every page of a stopped cluster has the checksum that it should have.</summary>
    public static async Task AssertChecksumsAsync(string dataDirectory)
    {
        (int exitCode, string output, string error) =
            await PostgresPrograms.TryRunAsync("pg_checksums", ["--check", "-D", dataDirectory]);
        Assert.True(exitCode == 0, $"pg_checksums ended with {exitCode}: {output}{error}");
    }

    /// <summary>Every table and index of a running server is sound, and every row stands in every index.</summary>
    public static async Task AssertSoundAsync(this PostgresServer server)
    {
        (int exitCode, string output, string error) = await PostgresPrograms.TryRunAsync(
            "pg_amcheck",
            [
                "--all", "--install-missing", "--heapallindexed", "--parent-check", "--host", "127.0.0.1",
                "--port", server.Port.ToString(CultureInfo.InvariantCulture), "--username", "postgres",
            ],
            server.Password);
        Assert.True(exitCode == 0, $"pg_amcheck ended with {exitCode}: {output}{error}");
    }
}
