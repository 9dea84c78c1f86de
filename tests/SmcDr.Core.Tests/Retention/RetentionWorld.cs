using System.Globalization;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Tests.Repositories;

namespace SmcDr.Core.Tests.Retention;

/// <summary>Makes repositories with a past, and looks at what retention leaves of it.</summary>
internal static class RetentionWorld
{
    public const ulong SystemId = 7_000_000_000_000_000_001;
    public const int SegmentSize = 1 << 20;

    /// <summary>A clock two days ahead: to it everything is older than the grace time.</summary>
    public static TimeProvider Later { get; } = new ShiftedClock(TimeSpan.FromDays(2));

    public static BackupRetention Open(Repository repository, TimeProvider? time = null, IOperationObserver? observer = null) =>
        new(repository, new RetentionOptions { Time = time ?? Later, Parallelism = 3 }, observer ?? NullObserver.Instance);

    public static async Task<IReadOnlyList<RetentionResult>> RunAsync(IObjectStore store, RetentionPolicy? policy, TimeProvider? time = null)
    {
        Repository repository = await Repository.OpenAsync(store, CancellationToken.None);
        BackupRetention retention = Open(repository, time);
        return await retention.ExecuteAsync(await retention.PlanAsync(policy, CancellationToken.None), CancellationToken.None);
    }

    /// <summary>A backup of a file store that takes every other file of its parent over and adds some of its own.</summary>
    public static async Task<string> WriteAsync(Repository repository, string name, string? parent, int seed, string site = "site")
    {
        await using BackupWriter writer = await BeginAsync(repository, parent, site);
        await FillAsync(repository, writer, parent, seed);
        return await CompleteAsync(writer, name);
    }

    public static Task<BackupWriter> BeginAsync(Repository repository, string? parent, string site = "site") => repository.BeginBackupAsync(
        Component.FileStore, "Full", null, site, null, SampleBackup.SmallPacks with { Parent = parent }, CancellationToken.None);

    public static async Task FillAsync(Repository repository, BackupWriter writer, string? parent, int seed)
    {
        if (parent is not null)
        {
            BackupReader reader = await repository.OpenBackupAsync(Component.FileStore, parent, CancellationToken.None);
            Manifest manifest = await reader.ReadManifestAsync(CancellationToken.None);
            int index = 0;
            foreach (ManifestEntry entry in manifest.Entries.Where(_ => index++ % 2 == 0))
            {
                writer.Add(entry);
            }
        }

        await using PackLane lane = writer.OpenLane();
        Random random = new(seed);
        for (int i = 0; i < 4; i++)
        {
            byte[] content = new byte[600];
            random.NextBytes(content);
            FileExtent extent = await lane.WriteAsync(content, CancellationToken.None);
            writer.Add(new ManifestEntry
            {
                Kind = ManifestEntryKind.File,
                Path = string.Create(CultureInfo.InvariantCulture, $"own/{seed}-{i}"),
                Mode = 0x180,
                Size = content.Length,
                Extents = [extent],
            });
        }

        await lane.FinishAsync(CancellationToken.None);
    }

    public static async Task<string> CompleteAsync(BackupWriter writer, string name) => (await writer.CompleteAsync(
        "Full",
        header => header with
        {
            FileStore = new FileStoreBackupDetails
            {
                Name = name,
                Path = "/srv",
                RootMode = "755",
                Root = new FileNode { UserId = 0, GroupId = 0, Modified = default },
                ScanStart = default,
                OneFileSystem = false,
            },
        },
        CancellationToken.None)).Id;

    /// <summary>A base backup of nothing, between two positions.</summary>
    public static async Task<string> WriteDatabaseAsync(
        Repository repository, int startSegment, DateTimeOffset? time = null, uint timeline = 1, string site = "site")
    {
        await using BackupWriter writer = await repository.BeginBackupAsync(
            Component.Database, "Full", null, site, Text(SystemId), null, CancellationToken.None);
        DateTimeOffset stop = time ?? DateTimeOffset.UtcNow;
        Lsn start = WalSegmentName.FromNumber(timeline, (ulong)startSegment, SegmentSize).StartLsn(SegmentSize) + 0x28;
        return (await writer.CompleteAsync(
            "Full",
            header => header with
            {
                StartTime = time ?? header.StartTime,
                StopTime = stop,
                Database = new DatabaseBackupDetails
                {
                    SystemId = Text(SystemId),
                    ServerVersion = "15.8",
                    ServerVersionNumber = 150008,
                    Timeline = timeline,
                    StartLsn = start,
                    StopLsn = start + 0x100,
                    StopTime = stop,
                    StopTimeHere = stop,
                    WalSegmentSize = SegmentSize,
                    BlockSize = 8192,
                    WalBlockSize = 8192,
                    RelationSegmentBlocks = 131072,
                    DataChecksums = false,
                    DirectoryMode = 448,
                    DataDirectory = "/var/lib/postgresql",
                },
            },
            CancellationToken.None)).Id;
    }

    /// <summary>A logical or emergency backup of one database, of the same cluster.</summary>
    public static async Task<string> WriteLogicalAsync(
        Repository repository,
        DateTimeOffset? time = null,
        string kind = BackupKinds.Logical,
        string[]? selected = null,
        string[]? excludedTables = null,
        ulong systemId = SystemId)
    {
        await using BackupWriter writer = await repository.BeginBackupAsync(
            Component.Database, kind, null, "site", Text(systemId), null, CancellationToken.None);
        DateTimeOffset start = time ?? DateTimeOffset.UtcNow;
        byte[] content = new byte[3_000];
        new Random(7).NextBytes(content);
        await using PackLane lane = writer.OpenLane();
        FileExtent extent = await lane.WriteAsync(content, CancellationToken.None);
        await lane.FinishAsync(CancellationToken.None);
        writer.Add(new ManifestEntry
        {
            Kind = ManifestEntryKind.File,
            Path = "dumps/orders.dump",
            Mode = 0x180,
            Size = content.Length,
            Extents = [extent],
            Hash = Hash256.Compute(content),
        });
        return (await writer.CompleteAsync(
            kind,
            header => header with
            {
                StartTime = start,
                StopTime = start,
                Logical = new LogicalBackupDetails
                {
                    SystemId = Text(systemId),
                    ServerVersion = "15.8",
                    ServerVersionNumber = 150008,
                    ProgramVersion = "15.8",
                    Selected = selected ?? [],
                    Databases =
                    [
                        new LogicalDatabaseDetails
                        {
                            Name = "orders",
                            Path = "dumps/orders.dump",
                            ExcludedTables = excludedTables ?? [],
                            TableCount = 1,
                            RowCount = 10,
                            LargeObjectCount = 0,
                            Owner = "postgres",
                            Encoding = "UTF8",
                            Collate = "C",
                            CharacterType = "C",
                            LocaleProvider = "c",
                        },
                    ],
                },
            },
            CancellationToken.None)).Id;
    }

    public static Task PutSegmentAsync(Repository repository, int number, uint timeline = 1) =>
        new WalArchive(repository, SystemId).PutSegmentAsync(
            WalSegmentName.FromNumber(timeline, (ulong)number, SegmentSize), new byte[SegmentSize], Facts, CancellationToken.None);

    public static Task PutPieceAsync(Repository repository, int number, int start, int length) =>
        new WalArchive(repository, SystemId).PutPieceAsync(
            WalSegmentName.FromNumber(1, (ulong)number, SegmentSize), SegmentSize, start, new byte[length], Facts, CancellationToken.None);

    /// <summary>The complete backups of file stores, each read to its last byte.</summary>
    public static async Task<List<string>> ReadAllAsync(IObjectStore store)
    {
        Repository repository = await Repository.OpenAsync(store, CancellationToken.None);
        List<string> ids = [];
        await foreach (BackupEntry entry in repository.ListBackupsAsync(Component.FileStore, CancellationToken.None))
        {
            if (entry.IsComplete)
            {
                ids.Add(entry.Id);
                _ = await SampleBackup.ReadAsync(store, entry.Id);
            }
        }

        return ids;
    }

    public static async Task<List<string>> KeysAsync(IObjectStore store, string prefix = "")
    {
        List<string> keys = [];
        await foreach (ObjectInfo info in store.ListAsync(prefix, CancellationToken.None))
        {
            keys.Add(info.Key);
        }

        return keys;
    }

    private static WalFacts Facts => new() { LastRecordEnd = Lsn.Zero, Index = WalIndex.Empty, ServerVersionNumber = 150008 };

    private static string Text(ulong number) => number.ToString(CultureInfo.InvariantCulture);

    private sealed class ShiftedClock(TimeSpan shift) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + shift;
    }
}
