using System.Buffers.Binary;
using System.Globalization;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Postgres.BaseBackups;

/// <summary>What we read of PostgreSQL's own formats, against what PostgreSQL writes.</summary>
public sealed class DataDirectoryFormatTests(PostgresServerFixture fixture) : IClassFixture<PostgresServerFixture>
{
    [Fact]
    public async Task PageChecksum_EveryPageOfARealCluster_IsValidAndNoOtherBlockFits()
    {
        PostgresServer server = fixture.Server;
        await server.ExecuteAsync("CREATE TABLE IF NOT EXISTS p AS SELECT i, md5(i::text) FROM generate_series(1, 20000) i; CHECKPOINT");
        int pages = 0;
        int fitsElsewhere = 0;
        foreach (string path in Directory.EnumerateFiles(Path.Combine(server.DataDirectory, "base"), "*", SearchOption.AllDirectories))
        {
            if (!BackupFileRules.IsPaged(Path.GetRelativePath(server.DataDirectory, path), out _))
            {
                continue;
            }

            byte[] content = await File.ReadAllBytesAsync(path);
            for (int at = 0; at < content.Length; at += 8192, pages++)
            {
                ReadOnlySpan<byte> page = content.AsSpan(at, 8192);
                Assert.True(PageChecksum.IsValid(page, (uint)(at / 8192)), $"{path} block {at / 8192}");
                fitsElsewhere += page.ContainsAnyExcept((byte)0) && PageChecksum.IsValid(page, (uint)((at / 8192) + 1)) ? 1 : 0;
            }
        }

        Assert.True(pages > 2000);
        Assert.Equal(0, fitsElsewhere);
    }

    [Fact]
    public async Task ControlFile_OfARealCluster_SaysWhatPgControldataSays()
    {
        PostgresServer server = fixture.Server;
        await server.ExecuteAsync("CHECKPOINT");
        ControlFile control = await ControlFile.ReadAsync(server.DataDirectory, CancellationToken.None);
        Dictionary<string, string> said = (await PostgresPrograms.RunAsync("pg_controldata", ["-D", server.DataDirectory]))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(static line => line.Split(':', 2))
            .ToDictionary(static parts => parts[0], static parts => parts[1].Trim());

        Assert.Equal(said["Database system identifier"], Text(control.SystemId));
        Assert.Equal(said["pg_control version number"], Text(control.FormatVersion));
        Assert.Equal(said["Catalog version number"], Text(control.CatalogVersion));
        Assert.Equal(DatabaseState.InProduction, control.State);
        Assert.Equal(said["Latest checkpoint location"], control.CheckpointLsn.ToString());
        Assert.Equal(said["Latest checkpoint's REDO location"], control.RedoLsn.ToString());
        Assert.Equal(said["Latest checkpoint's TimeLineID"], Text(control.Timeline));
        Assert.Equal(said["Latest checkpoint's PrevTimeLineID"], Text(control.PreviousTimeline));
        Assert.Equal(said["Latest checkpoint's NextXID"], $"{control.NextTransactionId >> 32}:{(uint)control.NextTransactionId}");
        Assert.Equal(said["Minimum recovery ending location"], control.MinimumRecoveryLsn.ToString());
        Assert.Equal(said["Backup start location"], control.BackupStartLsn.ToString());
        Assert.Equal(said["End-of-backup record required"], control.BackupEndRequired ? "yes" : "no");
        Assert.Equal(1, control.WalLevel);
        Assert.Equal(said["max_connections setting"], Text(control.MaxConnections));
        Assert.Equal(said["max_worker_processes setting"], Text(control.MaxWorkerProcesses));
        Assert.Equal(said["max_wal_senders setting"], Text(control.MaxWalSenders));
        Assert.Equal(said["max_prepared_xacts setting"], Text(control.MaxPreparedTransactions));
        Assert.Equal(said["max_locks_per_xact setting"], Text(control.MaxLocksPerTransaction));
        Assert.Equal(said["Database block size"], Text(control.BlockSize));
        Assert.Equal(said["Blocks per segment of large relation"], Text(control.RelationSegmentBlocks));
        Assert.Equal(said["WAL block size"], Text(control.WalBlockSize));
        Assert.Equal(said["Bytes per WAL segment"], Text(control.WalSegmentSize));
        Assert.Equal(said["Data page checksum version"], Text(control.ChecksumVersion));
        Assert.InRange(control.CheckpointTime, DateTimeOffset.UtcNow.AddMinutes(-10), DateTimeOffset.UtcNow);
        Assert.InRange(control.Time, DateTimeOffset.UtcNow.AddMinutes(-10), DateTimeOffset.UtcNow);

        static string Text<T>(T value)
            where T : IFormattable => value.ToString(null, CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task ControlFile_AnyChangedByte_IsSeen()
    {
        byte[] content = await File.ReadAllBytesAsync(Path.Combine(fixture.Server.DataDirectory, "global", "pg_control"));
        for (int i = 0; i < 292; i++)
        {
            byte[] changed = [.. content];
            changed[i] ^= 0x10;
            SmcException e = Assert.Throws<SmcException>(() => ControlFile.Parse(changed));
            Assert.Equal(i is >= 8 and < 12 ? SmcErrorCode.VersionUnsupported : SmcErrorCode.ChecksumMismatch, e.Code);
        }

        Assert.Throws<SmcException>(() => ControlFile.Parse(content.AsSpan(0, 200)));
        Assert.Throws<SmcException>(() => ControlFile.Parse([]));
    }

    [Theory]
    [InlineData(1700, 288)]
    [InlineData(1800, 292)]
    public async Task ControlFile_LaterFormats_AreReadByTheirLayout(int format, int crcOffset)
    {
        // No such server is here: a file of 15 with the later version's number, and the checksum where that version has it.
        byte[] content = await File.ReadAllBytesAsync(Path.Combine(fixture.Server.DataDirectory, "global", "pg_control"));
        ControlFile real = ControlFile.Parse(content);
        BinaryPrimitives.WriteInt32LittleEndian(content.AsSpan(8), format);
        Assert.Throws<SmcException>(() => ControlFile.Parse(content));
        BinaryPrimitives.WriteUInt32LittleEndian(content.AsSpan(crcOffset), Crc32C.Compute(content.AsSpan(0, crcOffset)));

        Assert.Equal(real with { FormatVersion = format }, ControlFile.Parse(content));
    }

    [Theory]
    [InlineData("postmaster.pid", true)]
    [InlineData("base/5/postmaster.pid", false)]
    [InlineData("backup_label", true)]
    [InlineData("recovery.signal", true)]
    [InlineData("postgresql.auto.conf", false)]
    [InlineData("postgresql.auto.conf.tmp", true)]
    [InlineData("base/pgsql_tmp", true)]
    [InlineData("base/pgsql_tmp/pgsql_tmp123.0", true)]
    [InlineData("base/5/pg_internal.init", true)]
    [InlineData("global/pg_internal.init.4711", true)]
    [InlineData("base/5/t12_16384", true)]
    [InlineData("base/5/t12_16384_fsm.1", true)]
    [InlineData("base/5/16384", false)]
    [InlineData("t12_16384", false)]
    [InlineData("pg_tblspc/16385/PG_15_202209061/5/t3_16400", true)]
    [InlineData("pg_xact/0000", false)]
    [InlineData("pg_multixact/members/0000", false)]
    [InlineData("global/pg_control", false)]
    public void IsExcluded_Path_FollowsPostgres_Trap5(string path, bool excluded) =>
        Assert.Equal(excluded, BackupFileRules.IsExcluded(path));

    [Theory]
    [InlineData("base/5/16384", true, 0)]
    [InlineData("base/5/16384_vm", true, 0)]
    [InlineData("base/5/16384.17", true, 17)]
    [InlineData("base/5/16384_init", true, 0)]
    [InlineData("global/1262", true, 0)]
    [InlineData("pg_tblspc/1/PG_15_202209061/5/16384.2", true, 2)]
    [InlineData("global/pg_filenode.map", false, 0)]
    [InlineData("base/5/PG_VERSION", false, 0)]
    [InlineData("pg_xact/0000", false, 0)]
    [InlineData("16384", false, 0)]
    public void IsPaged_Path_KnowsRelations(string path, bool paged, int segment)
    {
        Assert.Equal(paged, BackupFileRules.IsPaged(path, out uint actual));
        Assert.Equal((uint)segment, actual);
    }

    [Fact]
    public void TablespaceMap_WithEscapedLineEnds_IsTakenApartAndRewritten()
    {
        string map = "16385 /data/with space\n16386 /data/line\\\nend\n16387 /data/back\\\\slash\n";

        Assert.Equal([16385U, 16386U, 16387U], TablespaceMapFile.Parse(map).Select(static line => line.Oid));
        Assert.Equal(
            "16385 /data/with space\n16386 /new\n16387 /data/back\\\\slash\n",
            TablespaceMapFile.Rewrite(map, new Dictionary<uint, string> { [16386] = "/new" }));
        Assert.Throws<SmcException>(() => TablespaceMapFile.Parse("16385 /cut off"));
        Assert.Throws<SmcException>(() => TablespaceMapFile.Parse("x /y\n"));
    }

    [Theory]
    [InlineData(1, 1 << 20)]
    [InlineData((64 << 20) - 1, 1 << 20)]
    [InlineData(1L << 30, 4 << 20)]
    [InlineData(1L << 40, 4 << 20)]
    public void BlockSizeOf_FileSize_IsAMultipleOf64KiBAndGrows(long size, int expected)
    {
        Assert.Equal(expected, FileCopier.BlockSizeOf(size));
        Assert.Equal(0, expected % (64 << 10));
    }
}
