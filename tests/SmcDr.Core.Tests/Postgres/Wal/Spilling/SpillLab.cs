using System.Globalization;
using Npgsql;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Postgres.Wal.Spilling;

/// <summary>A real server, a repository in a store of the test's choice, and a stream between them that may spill.</summary>
public abstract class SpillLab : IAsyncLifetime
{
    protected const int SegmentSize = 1 << 20;
    protected const string Slot = "smcdr";

    protected string LabDirectory { get; } = Directory.CreateTempSubdirectory("smcdr-test-").FullName;

    protected PostgresServer Server { get; private set; } = null!;

    protected Repository Repository { get; set; } = null!;

    protected ulong SystemId { get; private set; }

    protected string Spill => Path.Combine(LabDirectory, "spill");

    internal WalReceiverOptions Options => RunningReceiver.Quick with
    {
        Slot = Slot,
        Exclusive = true,
        SpillDirectory = Spill,
        ClaimInterval = TimeSpan.FromMilliseconds(200),
        SlotCheckInterval = TimeSpan.FromMilliseconds(200),
    };

    public async Task InitializeAsync()
    {
        Server = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            Fsync = false,
            WalSegmentMegabytes = 1,
            Settings = new Dictionary<string, string> { ["wal_keep_size"] = "0", ["max_wal_size"] = "64MB", ["min_wal_size"] = "32MB" },
        });
        SystemId = ulong.Parse(
            await Server.ScalarAsync<string>("SELECT system_identifier::text FROM pg_control_system()"), CultureInfo.InvariantCulture);
        await Server.ExecuteAsync("CREATE TABLE t (id bigserial PRIMARY KEY, v text)");
        Repository = await Repository.OpenOrCreateAsync(await OpenStoreAsync(), CancellationToken.None);
    }

    public virtual async Task DisposeAsync()
    {
        await Server.DisposeAsync();
        Directory.Delete(LabDirectory, recursive: true);
    }

    protected static bool IsWal(string key) =>
        key.StartsWith("wal/", StringComparison.Ordinal) && !key.Contains("/streams/", StringComparison.Ordinal);

    /// <summary>The store of the repository.</summary>
    protected abstract Task<IObjectStore> OpenStoreAsync();

    internal RunningReceiver Start(WalReceiverOptions? options = null) =>
        RunningReceiver.Start(Server.CreateConnector(), Repository, options ?? Options);

    protected string[] Names() => [.. Directory.GetFiles(Spill).Select(Path.GetFileName).Order(StringComparer.Ordinal)!];

    /// <summary>The objects of the spill in their order, by their names in the repository.</summary>
    protected string[] SpilledNames() => Directory.Exists(Spill)
        ? [.. Names().Where(static name => name.Length > 13 && name[12] == '-').Select(static name => name[13..])]
        : [];

    protected async Task InsertAsync(int transactions)
    {
        await using NpgsqlConnection connection = await Server.OpenAsync();
        for (int i = 0; i < transactions; i++)
        {
            await using NpgsqlCommand command = new(
                "INSERT INTO t (v) SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 50) g, generate_series(1, 60) GROUP BY g", connection);
            await command.ExecuteNonQueryAsync();
        }
    }

    protected async Task<Lsn> CurrentLsnAsync() => Lsn.Parse(await Server.ScalarAsync<string>("SELECT pg_current_wal_flush_lsn()::text"));

    protected async Task<Lsn> SlotAsync() =>
        Lsn.Parse(await Server.ScalarAsync<string>($"SELECT restart_lsn::text FROM pg_replication_slots WHERE slot_name = '{Slot}'"));

    /// <summary>Waits until the server was told that everything before a position is durable.</summary>
    protected async Task UntilSlotAsync(Lsn lsn)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
        while (await SlotAsync() < lsn)
        {
            await Task.Delay(20, limit.Token);
        }
    }

    /// <summary>All that the server has written is archived in one piece, byte for byte as far as the server still has it.</summary>
    protected async Task AssertCompleteAsync(Lsn end)
    {
        WalArchive archive = new(Repository, SystemId);
        WalSegmentInfo first = null!;
        await foreach (WalSegmentInfo info in archive.ListAsync(CancellationToken.None))
        {
            first ??= info;
        }

        WalCoverage coverage = await archive.GetCoverageAsync((uint)first.Timeline, Lsn.Parse(first.StartLsn!), null, CancellationToken.None);
        Assert.Null(coverage.Gap);
        Assert.True(coverage.EndLsn >= end, $"The archive ends at {coverage.EndLsn}, before {end}.");
        int compared = 0;
        foreach (WalItem item in coverage.Items)
        {
            byte[] content = await archive.ReadAsync(item, CancellationToken.None);
            string path = Path.Combine(Server.DataDirectory, "pg_wal", item.Name.ToString());
            if (File.Exists(path))
            {
                Assert.True((await File.ReadAllBytesAsync(path)).AsSpan(0, content.Length).SequenceEqual(content), $"{item.Name} differs.");
                compared++;
            }
        }

        Assert.True(compared > 0);
    }
}
