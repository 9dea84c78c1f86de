using SmcDr.Core.Postgres.Wal.Searching;

namespace SmcDr.Core.Tests.Postgres.Wal.Searching;

/// <summary>A real server does what operators regret, and much that looks alike; each is told by its right name.</summary>
public sealed class TransactionSearchTests
{
    private const int Rows = 3000;

    private static readonly string s_fill = $"SELECT g, repeat('x', g % 50) FROM generate_series(1, {Rows}) g";

    [Theory]
    [InlineData("replica", "off")]
    [InlineData("logical", "off")]
    [InlineData("replica", "pglz")]
    [InlineData("replica", "lz4")]
    [InlineData("logical", "zstd")]
    public async Task FindAsync_EverythingThatRemovesOrRewrites_IsToldApart(string level, string compression)
    {
        await using SearchLab lab = await SearchLab.StartAsync(("wal_level", level), ("wal_compression", compression));
        string Create(string name) => $"CREATE TABLE {name} (id int PRIMARY KEY, v text); INSERT INTO {name} {s_fill};";
        await lab.Server.ExecuteAsync("CREATE SCHEMA shop");
        foreach (string table in (string[])["shop.dropped", "emptied", "reloaded", "deleted", "updated", "full_vacuum", "retyped", "clustered",
            "reindexed", "replaced", "kept", "partly", "prepared", "moved", "few", "indexed"])
        {
            await lab.Server.ExecuteAsync(Create(table));
        }

        await lab.Server.ExecuteAsync($"CREATE TABLE noindex (id int, v text); INSERT INTO noindex {s_fill}");
        await lab.Server.ExecuteAsync("CREATE MATERIALIZED VIEW seen AS SELECT * FROM kept; CREATE INDEX indexed_v ON indexed (v)");
        await lab.Server.ExecuteAsync("CREATE TABLESPACE side LOCATION ''");
        await lab.Server.ExecuteAsync("CREATE DATABASE gone");
        await lab.Server.ExecuteAsync("CHECKPOINT");

        List<(string What, (Lsn From, Lsn To) At, TransactionKinds Kind, string? Name)> steps = [];
        async Task StepAsync(string what, TransactionKinds kind, string? name, params string[] statements) =>
            steps.Add((what, await lab.RunAsync(statements), kind, name));

        await StepAsync("drop", TransactionKinds.Drop, "shop.dropped", "DROP TABLE shop.dropped");
        await StepAsync("truncate", TransactionKinds.Truncate, "public.emptied", "TRUNCATE emptied");
        await StepAsync("truncate and load", TransactionKinds.Truncate, "public.reloaded",
            $"BEGIN; TRUNCATE reloaded; SAVEPOINT s; INSERT INTO reloaded {s_fill}; RELEASE s; COMMIT");
        await StepAsync("delete with an index", TransactionKinds.Delete, "public.deleted", "DELETE FROM deleted");
        await StepAsync("delete without an index", TransactionKinds.Delete, "public.noindex", "DELETE FROM noindex");
        await StepAsync("update", TransactionKinds.Update, "public.updated", "UPDATE updated SET v = v || 'y'");
        await StepAsync("vacuum full", TransactionKinds.Rewrite, "public.full_vacuum", "VACUUM FULL full_vacuum");
        await StepAsync("alter type", TransactionKinds.Rewrite, "public.retyped", "ALTER TABLE retyped ALTER id TYPE bigint");
        await StepAsync("cluster", TransactionKinds.Rewrite, "public.clustered", "CLUSTER clustered USING clustered_pkey");
        await StepAsync("reindex", TransactionKinds.Rewrite, "public.reindexed_pkey", "REINDEX TABLE reindexed");
        await StepAsync("refresh", TransactionKinds.Rewrite, "public.seen", "REFRESH MATERIALIZED VIEW seen");
        await StepAsync("move", TransactionKinds.Rewrite, "public.moved", "ALTER TABLE moved SET TABLESPACE side");
        await StepAsync("drop and create", TransactionKinds.Drop, "public.replaced",
            "BEGIN; DROP TABLE replaced; CREATE TABLE replaced (id int PRIMARY KEY, v text); COMMIT");
        await StepAsync("drop an index", TransactionKinds.Drop, "public.indexed_v", "DROP INDEX indexed_v");
        await StepAsync("subtransactions", TransactionKinds.Delete, "public.partly",
            "BEGIN; SAVEPOINT a; DELETE FROM kept; ROLLBACK TO a; SAVEPOINT b; DELETE FROM partly WHERE id <= 2000; RELEASE b; COMMIT");
        await StepAsync("prepared", TransactionKinds.Drop, "public.prepared",
            "BEGIN; DROP TABLE prepared; PREPARE TRANSACTION 'one'", "COMMIT PREPARED 'one'");
        await StepAsync("drop database", TransactionKinds.DropDatabase, null, "DROP DATABASE gone");

        await StepAsync("rolled back", TransactionKinds.None, null, "BEGIN; DROP TABLE kept CASCADE; ROLLBACK", "BEGIN; DELETE FROM kept; ROLLBACK");
        await StepAsync("rolled back in a prepared one", TransactionKinds.None, null,
            "BEGIN; TRUNCATE kept; PREPARE TRANSACTION 'two'", "ROLLBACK PREPARED 'two'");
        await StepAsync("few rows", TransactionKinds.None, null, "DELETE FROM few WHERE id <= 5");
        await StepAsync("its own table", TransactionKinds.None, null,
            $"BEGIN; CREATE TABLE own (id int PRIMARY KEY, v text); INSERT INTO own {s_fill}; DELETE FROM own; DROP TABLE own; COMMIT");
        await StepAsync("a temporary table", TransactionKinds.None, null,
            $"CREATE TEMPORARY TABLE own (id int PRIMARY KEY, v text); INSERT INTO own {s_fill}; DROP TABLE own");
        await StepAsync("vacuum", TransactionKinds.None, null, "VACUUM deleted");
        await StepAsync("no row in the end", TransactionKinds.None, null,
            $"INSERT INTO kept {s_fill} ON CONFLICT DO NOTHING");
        await lab.ArchivedAsync();

        List<TransactionInfo> found = await lab.FindAsync();

        Assert.Empty(lab.Warnings);
        foreach ((string what, (Lsn from, Lsn to), TransactionKinds kind, string? name) in steps)
        {
            TransactionInfo[] here = [.. found.Where(t => Lsn.Parse(t.CommitLsn) >= from && Lsn.Parse(t.CommitLsn) < to)];
            Assert.True(
                here.Length == (kind == TransactionKinds.None ? 0 : 1) && here.All(t => t.Kind == kind),
                $"{what}: {string.Join("; ", here.Select(static t => $"{t.Kind} {string.Join(", ", t.Relations.Select(static r => $"{r.Name}({r.FileNode}) {r.Change}"))}"))}");
            if (here is [{ } one])
            {
                if (name is not null)
                {
                    Assert.True(one.Relations.Any(r => r.Name == name), $"{what}: {one.RelationNames} / {string.Join(", ", one.Relations)}");
                    Assert.Contains(name, one.RelationNames, StringComparison.Ordinal);
                    Assert.Equal("postgres", one.Database);
                }

                Assert.Equal(what == "prepared", one.IsPrepared);
                Assert.False(one.IsPartlySeen);
                Assert.Equal(what == "drop database" ? one.FirstLsn : one.CommitLsn, one.RecoveryLsn);
                Assert.True(Lsn.Parse(one.EndLsn) > Lsn.Parse(one.CommitLsn));
                Assert.InRange(one.CommitTime, DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow);
            }
        }

        Assert.Equal(steps.Count(static step => step.Kind != TransactionKinds.None), found.Count(t => Lsn.Parse(t.CommitLsn) >= steps[0].At.From));
        TransactionInfo Of(string what) => found.Single(t =>
            Lsn.Parse(t.CommitLsn) >= steps.Single(step => step.What == what).At.From && Lsn.Parse(t.CommitLsn) < steps.Single(step => step.What == what).At.To);
        Assert.Equal(Rows, Of("delete with an index").DeletedRows);
        Assert.Equal(Rows, Of("delete without an index").DeletedRows);
        Assert.Equal(Rows, Of("update").UpdatedRows);
        Assert.Equal(2000, Of("subtransactions").DeletedRows);
        Assert.Equal(0, Of("vacuum full").DeletedRows);
        Assert.Equal("Index", Assert.Single(Of("drop an index").Relations).Type);
        Assert.Equal("Table", Of("drop").Relations[0].Type);

        // Without a server: what is dropped is known by the WAL all the same, and its schema by its name where it is the usual one.
        List<TransactionInfo> alone = await lab.FindAsync(asksServer: false);
        Assert.Equal(found.Select(static t => (t.Xid, t.Kind, t.CommitLsn)), alone.Select(static t => (t.Xid, t.Kind, t.CommitLsn)));
        Assert.Contains(alone, static t => t.RelationNames == "dropped");
        Assert.Contains(alone, static t => t.RelationNames == "public.replaced");
    }

    [Fact]
    public async Task FindAsync_Filters_SelectByTimePlaceKindRelationAndRows()
    {
        await using SearchLab lab = await SearchLab.StartAsync();
        await lab.Server.ExecuteAsync($"CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a {s_fill}; CREATE TABLE b AS TABLE a; CREATE TABLE c AS TABLE a");
        await lab.Server.ExecuteAsync("CREATE DATABASE other");
        await lab.Server.ExecuteAsync("CREATE TABLE a AS SELECT g FROM generate_series(1, 5000) g", "other");
        await lab.Server.ExecuteAsync("CHECKPOINT");
        await lab.Server.ExecuteAsync("DELETE FROM a WHERE id <= 1500");
        DateTimeOffset middle = await NowAsync();
        Lsn position = await lab.PositionAsync();
        await lab.Server.ExecuteAsync("DROP TABLE b");
        await lab.Server.ExecuteAsync("DELETE FROM a WHERE id <= 1510");
        await lab.Server.ExecuteAsync("DELETE FROM a", "other");
        await lab.ArchivedAsync();

        async Task<string> FindAsync(TransactionSearchOptions options, bool asksServer = true) =>
            string.Join(" ", (await lab.FindAsync(options, asksServer)).Select(static t => $"{t.Database}:{t.Kind}:{t.RelationNames}:{t.DeletedRows}"));
        async Task<DateTimeOffset> NowAsync() => new(await lab.Server.ScalarAsync<DateTime>("SELECT clock_timestamp()"));

        const string First = "postgres:Delete:public.a:1500", Dropped = "postgres:Drop:public.b:0", Few = "postgres:Delete:public.a:10",
            Other = "other:Delete:public.a:5000";
        Assert.Equal($"{First} {Dropped} {Other}", await FindAsync(new()));
        Assert.Equal($"{First} {Dropped} {Few} {Other}", await FindAsync(new() { MinimumRows = 1 }));
        Assert.Equal($"{Dropped} {Other}", await FindAsync(new() { From = middle }));
        Assert.Equal(First, await FindAsync(new() { To = middle }));
        Assert.Equal($"{Dropped} {Other}", await FindAsync(new() { FromLsn = position }));
        Assert.Equal(First, await FindAsync(new() { ToLsn = position }));
        Assert.Equal(Dropped, await FindAsync(new() { Kinds = TransactionKinds.Drop | TransactionKinds.Truncate }));
        Assert.Equal(Other, await FindAsync(new() { Database = "other" }));
        Assert.Equal($"{First} {Other}", await FindAsync(new() { Relation = "a" }));
        Assert.Equal(Dropped, await FindAsync(new() { Relation = "public.b" }));
        uint oid = await lab.Server.ScalarAsync<uint>("SELECT 'a'::regclass::oid");
        Assert.Equal(First, await FindAsync(new() { Relation = oid.ToString(System.Globalization.CultureInfo.InvariantCulture) }));
        uint other = await lab.Server.ScalarAsync<uint>("SELECT oid FROM pg_database WHERE datname = 'other'");
        Assert.Equal(Other, await FindAsync(new() { Database = other.ToString(System.Globalization.CultureInfo.InvariantCulture) }));

        SmcException unknown = await Assert.ThrowsAsync<SmcException>(() => FindAsync(new() { Database = "none" }));
        Assert.Equal(SmcErrorCode.ArgumentInvalid, unknown.Code);
        SmcException backwards = await Assert.ThrowsAsync<SmcException>(() => FindAsync(new() { From = middle, To = middle.AddHours(-1) }));
        Assert.Equal(SmcErrorCode.ArgumentInvalid, backwards.Code);
        SmcException timeline = await Assert.ThrowsAsync<SmcException>(() => FindAsync(new() { Timeline = 9 }));
        Assert.Equal(SmcErrorCode.TimelineMismatch, timeline.Code);
    }

    [Fact]
    public async Task FindAsync_SegmentMissingAndSegmentDamaged_WarnsAndFindsTheRest()
    {
        await using SearchLab lab = await SearchLab.StartAsync();
        await lab.Server.ExecuteAsync($"CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t {s_fill}");
        await lab.Server.ExecuteAsync("SELECT pg_switch_wal()");
        List<string> segments = [];
        for (int i = 0; i < 3; i++)
        {
            segments.Add(await lab.Server.ScalarAsync<string>("SELECT pg_walfile_name(pg_current_wal_insert_lsn())"));
            await lab.Server.ExecuteAsync($"CREATE TABLE t{i} (id int)");
            await lab.Server.ExecuteAsync($"DROP TABLE t{i}");
            await lab.Server.ExecuteAsync("SELECT pg_switch_wal()");
        }

        await lab.Server.ExecuteAsync("DELETE FROM t");
        await lab.ArchivedAsync();
        await lab.StopStreamAsync();
        string folder = Directory.GetDirectories(Path.Combine(lab.RepositoryPath, "wal"), "00000001", SearchOption.AllDirectories).Single();
        List<TransactionInfo> all = await lab.FindAsync();
        File.Delete(Path.Combine(folder, segments[0]));
        string damaged = Path.Combine(folder, segments[2]);
        byte[] bytes = File.ReadAllBytes(damaged);
        bytes[^10] ^= 1;
        File.SetUnixFileMode(damaged, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.WriteAllBytes(damaged, bytes);

        List<TransactionInfo> rest = await lab.FindAsync();

        Assert.Equal(4, all.Count);
        Assert.Equal([all[1].Xid, all[3].Xid], rest.Select(static t => t.Xid));
        Assert.Equal(2, lab.Warnings.Count);
        Assert.Contains("missing", lab.Warnings[0], StringComparison.Ordinal);
        Assert.Contains(segments[2], lab.Warnings[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task FindAsync_ServerOfAnotherCluster_IsNotBelieved()
    {
        await using SearchLab lab = await SearchLab.StartAsync();
        await using SearchLab other = await SearchLab.StartAsync();
        await lab.Server.ExecuteAsync($"CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t {s_fill}");
        await lab.Server.ExecuteAsync("DELETE FROM t");
        await lab.ArchivedAsync();

        List<TransactionInfo> found = [];
        await foreach (TransactionInfo one in TransactionSearch.FindAsync(lab.Archive, new(), other.Server.CreateConnector(), lab, default))
        {
            found.Add(one);
        }

        Assert.Null(Assert.Single(found).Database);
        Assert.Contains("belongs to the database cluster", Assert.Single(lab.Warnings), StringComparison.Ordinal);
    }
}
