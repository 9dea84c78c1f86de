using SmcDr.Core.Recovery;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Recovery;

public sealed class ClusterIntegrityTests
{
    [Fact]
    public async Task AmcheckAsync_MoreRelationsThanTheServerHasLocksFor_ReadsThemAll()
    {
        const int Tables = 2000;
        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            Fsync = false,
            Settings = new Dictionary<string, string>
            {
                ["max_locks_per_transaction"] = "10",
                ["max_connections"] = "10",
                ["max_worker_processes"] = "1",
                ["autovacuum"] = "off",
            },
        });
        await server.ExecuteAsync(
            $"""
            DO $$ BEGIN FOR i IN 1..{Tables} LOOP
                EXECUTE format('CREATE TABLE one_of_many_%s (i int)', i);
                IF i % 50 = 0 THEN COMMIT; END IF;
            END LOOP; END $$
            """);

        (int relations, IReadOnlyList<string> problems) = await ClusterIntegrity.AmcheckAsync(
            server.CreateConnector(), "postgres", TimeSpan.FromMinutes(1), CancellationToken.None);

        Assert.True(relations > Tables);
        Assert.Empty(problems);
    }

    [Fact]
    public async Task AmcheckAsync_ExtensionOfBeforeAnUpgrade_ChecksTablesAsWellAndStaysAsItWas()
    {
        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions { Fsync = false });
        await server.ExecuteAsync("CREATE SCHEMA \"Odd one\"");
        await server.ExecuteAsync("CREATE EXTENSION amcheck SCHEMA \"Odd one\" VERSION '1.2'");
        await server.ExecuteAsync("CREATE TABLE t AS SELECT generate_series(1, 100) AS i");

        (int relations, IReadOnlyList<string> problems) = await ClusterIntegrity.AmcheckAsync(
            server.CreateConnector(), "postgres", TimeSpan.FromMinutes(1), CancellationToken.None);

        Assert.True(relations > 100);
        Assert.Empty(problems);
        Assert.Equal("1.2", await server.ScalarAsync<string>("SELECT extversion FROM pg_extension WHERE extname = 'amcheck'"));
    }
}
