using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Recovery;

/// <summary>Text that was sorted by other libraries than the host's (trap 13).</summary>
public sealed class CollationTests(RecoveryWorld world) : IClassFixture<RecoveryWorld>
{
    [Fact]
    public async Task ExecuteAsync_TextWasSortedByOtherLibraries_IsToldWithTheIndexesToCheck_Trap13()
    {
        await using RecoveryPlace place = world.NewPlace();
        RecordingObserver observer = new();
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(place.Request(), NullObserver.Instance, default);

        RecoveryResult result = await DatabaseRecovery.ExecuteAsync(plan, observer, default);

        string actual = await ActualVersionAsync(place);
        CollationChange database = new()
        {
            Database = RecoveryWorld.OddDatabase,
            Provider = "icu",
            RecordedVersion = RecoveryWorld.OddVersion,
            ActualVersion = actual,
            // That of the words, and not that of the column with a collation of its own.
            IndexCount = 1,
        };
        Assert.Equal(
            [database, database with { Collation = "public.\"Odd one\"", RecordedVersion = "153.14", IndexCount = 2 }],
            result.CollationChanges.OrderBy(static c => c.Collation is not null));
        string warning = Assert.Single(observer.Warnings, static w => w.Contains("sort text", StringComparison.Ordinal));
        Assert.Contains($"database 'odd name's' (icu {RecoveryWorld.OddVersion}, here {actual}; 1 index)", warning, StringComparison.Ordinal);
        Assert.Contains("collation public.\"Odd one\" in database 'odd name's' (icu 153.14, ", warning, StringComparison.Ordinal);
        foreach (string advice in new[] { "bt_index_check", "REINDEX", "REFRESH COLLATION VERSION" })
        {
            Assert.Contains(advice, warning, StringComparison.Ordinal);
        }

        // Asked again, the journal still tells.
        plan = await DatabaseRecovery.PlanAsync(place.Request(), NullObserver.Instance, default);
        Assert.Equal(result.CollationChanges, (await DatabaseRecovery.ExecuteAsync(plan, NullObserver.Instance, default)).CollationChanges);
    }

    [Fact]
    public async Task ExecuteAsync_InterruptedOnceRecovered_TellsOfTheLibrariesAllTheSame_Trap13()
    {
        await using RecoveryPlace place = world.NewPlace();
        await Assert.ThrowsAsync<OperationCanceledException>(() => RecoveryPlace.RecoverAsync(
            place.Request(), Interrupt));
        RecordingObserver observer = new();
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(place.Request(), NullObserver.Instance, default);

        RecoveryResult result = await DatabaseRecovery.ExecuteAsync(plan, observer, default);

        Assert.True(result.Resumed);
        Assert.Equal(2, result.CollationChanges.Count);
        Assert.Contains(observer.Warnings, static w => w.Contains("sort text", StringComparison.Ordinal));
    }

    [Fact]
    public async Task RunAsync_Databases_RecordsTheLibraryBesideTheVersionThatTheCatalogHas_Trap13()
    {
        await using RecoveryPlace place = world.NewPlace();
        await RecoveryPlace.RecoverAsync(place.Request());
        DatabaseBackupDetails details = world.Backup.Database!;

        Assert.EndsWith(" " + RecoveryWorld.OddVersion, details.CollationVersions[RecoveryWorld.OddDatabase], StringComparison.Ordinal);
        // The locale C changes with no library.
        Assert.Equal(
            new KeyValuePair<string, string>(RecoveryWorld.OddDatabase, "icu " + await ActualVersionAsync(place)), Assert.Single(details.CollationLibraries!));
    }

    [Fact]
    public async Task ReadDatabasesAsync_CatalogHasNoVersion_GoesByWhatTheBackupHas_Trap13()
    {
        await using RecoveryPlace place = world.NewPlace();
        await RecoveryPlace.RecoverAsync(place.Request());
        await using NpgsqlConnection connection = await place.OpenAsync();
        // As after pg_upgrade from before 15.
        await using NpgsqlCommand command = new("UPDATE pg_database SET datcollversion = NULL", connection);
        await command.ExecuteNonQueryAsync();
        string actual = await ActualVersionAsync(place);
        DatabaseBackupDetails details = world.Backup.Database!;

        Assert.Empty(await CollationComparison.ReadDatabasesAsync(connection, details, default));
        Assert.Empty(await CollationComparison.ReadDatabasesAsync(connection, details with { CollationLibraries = null }, default));
        Assert.Equal("63.2", Assert.Single(await CollationComparison.ReadDatabasesAsync(connection, Libraries("icu 63.2"), default)).RecordedVersion);
        // musl, which tells no version, has been left for a library that does.
        CollationChange change = Assert.Single(await CollationComparison.ReadDatabasesAsync(
            connection, details with { CollationLibraries = new Dictionary<string, string>() }, default));
        Assert.Equal((null, actual), (change.RecordedVersion, change.ActualVersion));
    }

    [Theory]
    [InlineData("libc 2.31", "2.36", true)]
    [InlineData("libc 2.31", null, true)]
    [InlineData("libc 2.36", "2.36", false)]
    [InlineData("icu 63.2", "2.36", false)]
    public void Foresee_CLibraryOfAnotherVersion_IsToldBeforeAnythingIsRestored_Trap13(string recorded, string? host, bool isTold)
    {
        string? warning = CollationComparison.Foresee(Libraries(recorded), host);

        Assert.Equal(isTold, warning is not null);
        Assert.True(!isTold || warning!.Contains($"'{RecoveryWorld.OddDatabase}' ({recorded})", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("libc xx_NONE.UTF-8 2.36", "'xx_NONE.UTF-8' (of 'odd name's')")]
    [InlineData("libc C.UTF-8", null)]
    [InlineData("libc POSIX", null)]
    [InlineData("icu xx_NONE.UTF-8 153.120", null)]
    public void ForeseeMissing_LocaleThatTheHostLacks_IsToldBeforeAnythingIsRestored_Trap13(string recorded, string? told)
    {
        string? warning = CollationComparison.ForeseeMissing(
            world.Backup.Database! with { CollationVersions = new Dictionary<string, string> { [RecoveryWorld.OddDatabase] = recorded } },
            CollationComparison.HasLocale);

        Assert.Equal(told is not null, warning is not null);
        Assert.Contains(told ?? "", warning ?? "", StringComparison.Ordinal);
    }

    [Fact]
    public void Foresee_BackupThatDidNotAsk_TellsNothing() =>
        Assert.Null(CollationComparison.Foresee(world.Backup.Database! with { CollationLibraries = null }, "2.36"));

    private static void Interrupt(RecoveryPhase phase)
    {
        if (phase == RecoveryPhase.Recovered)
        {
            throw new OperationCanceledException();
        }
    }

    private DatabaseBackupDetails Libraries(string library) => world.Backup.Database! with
    {
        CollationLibraries = new Dictionary<string, string> { [RecoveryWorld.OddDatabase] = library },
    };

    private static async Task<string> ActualVersionAsync(RecoveryPlace place)
    {
        await using NpgsqlConnection connection = await place.OpenAsync();
        await using NpgsqlCommand command = new("SELECT pg_database_collation_actual_version(oid) FROM pg_database WHERE datname = $1", connection)
        {
            Parameters = { new() { Value = RecoveryWorld.OddDatabase } },
        };
        return (string)(await command.ExecuteScalarAsync())!;
    }
}
