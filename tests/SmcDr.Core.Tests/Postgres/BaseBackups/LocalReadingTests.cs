using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Postgres.BaseBackups;

/// <summary>Reading the data directory without the server: only where it is surely the server's, and only what the server could read.</summary>
public sealed class LocalReadingTests
{
    private const string Said = "its files are read without the server";

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task RunAsync_ServerOfThisHost_IsReadLocallyAndSaysSo_UnlessTold(bool locally)
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: locally);
        RecordingObserver observer = new();

        await lab.BackupAsync(observer: observer);

        Assert.Equal(locally && OperatingSystem.IsLinux(), observer.Verboses.Any(static text => text.Contains(Said, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task FindAsync_AnotherCluster_IsNotTaken()
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions { Fsync = false });
        await using NpgsqlConnection connection = await server.CreateConnector().OpenAsync(CancellationToken.None);
        ulong systemId = await SystemIdAsync(server);

        Assert.NotNull(await LocalDataDirectory.FindAsync(connection, systemId, NullObserver.Instance, CancellationToken.None));
        Assert.Null(await LocalDataDirectory.FindAsync(connection, systemId + 1, NullObserver.Instance, CancellationToken.None));
    }

    [Fact]
    public async Task TryOpen_WhatTheServerCouldNotRead_IsLeftToTheServer()
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions { Fsync = false });
        await using NpgsqlConnection connection = await server.CreateConnector().OpenAsync(CancellationToken.None);
        LocalDataDirectory directory = (await LocalDataDirectory.FindAsync(
            connection, await SystemIdAsync(server), NullObserver.Instance, CancellationToken.None))!;
        Assert.Equal(server.DataDirectory, directory.Path);
        File.CreateSymbolicLink(Path.Combine(server.DataDirectory, "link"), Path.Combine(server.DataDirectory, "PG_VERSION"));
        Directory.CreateSymbolicLink(Path.Combine(server.DataDirectory, "outside"), "/proc/self");

        using (NativeFile? file = directory.TryOpen("PG_VERSION"))
        {
            Assert.NotNull(file);
        }

        Assert.Null(directory.TryOpen("link"));
        Assert.Null(directory.TryOpen("base"));
        Assert.Null(directory.TryOpen("missing"));
        if (Environment.UserName == "root")
        {
            // Of root's, and the server's account is another.
            Assert.Null(directory.TryOpen("outside/environ"));
        }
    }

    /// <summary>Pages that are older than the parent, in a file that the parent knows by the same name: their LSNs alone would hide them.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task RunAsync_DatabaseReplacedByACopyWithOlderPages_IsNotMissed(bool locally)
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: locally);
        PostgresServer server = lab.Server;
        await server.ExecuteAsync("CREATE DATABASE one");
        await server.ExecuteAsync("CREATE TABLE t WITH (fillfactor = 50) AS SELECT i, 'one' AS s, repeat('x', 200) FROM generate_series(1, 20000) i", "one");
        await server.ExecuteAsync("VACUUM FREEZE t", "one");
        await server.ExecuteAsync("CREATE DATABASE two TEMPLATE one STRATEGY file_copy");
        await server.ExecuteAsync("UPDATE t SET s = 'two' WHERE i % 7 = 0", "two");
        await server.ExecuteAsync("VACUUM FREEZE t", "two");
        await server.ExecuteAsync("CREATE DATABASE victim TEMPLATE one STRATEGY file_copy OID 50000");
        await lab.BackupAsync();
        await server.ExecuteAsync("DROP DATABASE victim");
        await server.ExecuteAsync("CREATE DATABASE victim TEMPLATE two STRATEGY file_copy OID 50000");

        BackupInfo info = await lab.BackupAsync();

        Assert.Equal("Incremental", info.Kind);
        await lab.ArchiveAllAsync();
        string target = lab.NewPath();
        await lab.RestoreAsync(info.Id, new BaseRestoreTarget { DataDirectory = target });
        await using PostgresServer restored = await lab.RecoverAsync(target);
        Assert.Equal(2857L, await restored.ScalarAsync<long>("SELECT count(*) FROM t WHERE s = 'two'", "victim"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task RunAsync_PageRottenSinceTheParent_IsNamed(bool locally)
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: locally);
        await lab.Server.ExecuteAsync("CREATE TABLE t AS SELECT i, md5(i::text) AS s FROM generate_series(1, 60000) i");
        await lab.Server.ExecuteAsync("VACUUM FREEZE t");
        string path = await lab.Server.ScalarAsync<string>("SELECT pg_relation_filepath('t')");
        await lab.BackupAsync();
        using (FileStream stream = new(Path.Combine(lab.Server.DataDirectory, path), FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            stream.Position = (7 * 8192) + 4000;
            stream.Write([1, 2, 3]);
        }

        BackupInfo info = await lab.BackupAsync();

        Assert.Equal(("Incremental", 1), (info.Kind, info.PageChecksumErrors));
    }

    private static async Task<ulong> SystemIdAsync(PostgresServer server) =>
        (ulong)await server.ScalarAsync<long>("SELECT system_identifier FROM pg_control_system()");
}
