using Npgsql;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Regions.Failover;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Regions;

/// <summary>What the promoted standby's WAL says of how its primary ended.</summary>
public sealed class ShutdownCheckpointTests : IDisposable
{
    private const int PageSize = 8192;

    private readonly string _place = PostgresPrograms.CreateDirectory();

    public void Dispose() => Directory.Delete(_place, recursive: true);

    [Theory]
    [InlineData("fast", true)]
    [InlineData("immediate", false)]
    [InlineData(null, false)]
    public async Task IsBefore_PrimaryThatEnded_SaysWhetherItWasShutDown(string? mode, bool isClean)
    {
        await using PostgresServer primary = await PostgresServer.StartAsync();
        await primary.ExecuteAsync("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id");
        await using PostgresServer standby = await PostgresStandby.FollowAsync(primary, Path.Combine(_place, "standby"));
        await primary.ExecuteAsync("INSERT INTO t VALUES (0)");
        if (mode is null)
        {
            await primary.KillAsync();
        }
        else
        {
            await primary.StopAsync(mode);
        }

        Assert.True(await standby.ScalarAsync<bool>("SELECT pg_promote()"));
        await using NpgsqlConnection connection = await standby.OpenAsync();
        ServerPosition position = await ServerPosition.ReadAsync(connection, default);
        TimelineBranch branch = position.History!.Branches[^1];

        Assert.Equal(isClean, await ShutdownCheckpoint.IsBeforeAsync(connection, position.Timeline, branch.Timeline, branch.SwitchLsn, default));
        if (isClean)
        {
            // Wherever a page ends within the record; and no other bytes pass for it.
            byte[] record = await ReadRecordAsync(connection, position.Timeline, branch.SwitchLsn);
            byte[] damaged = [.. record];
            damaged[60] ^= 1;
            for (int split = 8; split < record.Length; split += 8)
            {
                Assert.True(EndsWithShutdown(record, split));
                Assert.False(EndsWithShutdown(damaged, split));
            }
        }
    }

    private static bool EndsWithShutdown(byte[] record, int split) => ShutdownCheckpoint.EndsWithShutdown(
        [.. new byte[300], .. record[..split], .. new byte[24], .. record[split..]], (3 * PageSize) - 300 - split, PageSize);

    private static async Task<byte[]> ReadRecordAsync(NpgsqlConnection connection, uint timeline, Lsn end)
    {
        const int SegmentSize = 16 << 20;
        const int RecordSize = 120;
        await using NpgsqlCommand command = new(
            $"SELECT pg_read_binary_file('pg_wal/{WalSegmentName.ContainingEnd(end, timeline, SegmentSize)}', {(end.Value - RecordSize) % SegmentSize}, {RecordSize})",
            connection);
        return (byte[])(await command.ExecuteScalarAsync())!;
    }
}
