using System.Text.RegularExpressions;
using Npgsql;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Regions;
using SmcDr.Core.Sites;
using SmcDr.Core.Tests.EndToEnd;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Regions;

/// <summary>Standbys that have fallen behind: what they stream, and what they fetch from the repository, as a program between tells.</summary>
public sealed partial class RegionCatchUpTests
{
    [Fact]
    public async Task CatchUp_PrimaryKeepsWhatIsMissingAndIsWrittenTo_ItIsStreamedAndNotFetched()
    {
        await using RegionLab lab = await RegionLab.StartAsync();
        string log = await StartWithProgramAsync(lab);
        await PostgresPrograms.RunAsync("pg_ctl", ["stop", "-w", "-D", lab.WestDirectory, "-m", "fast"]);
        await lab.Primary.ExecuteAsync("INSERT INTO t (v) SELECT repeat(md5(i::text), 10) FROM generate_series(1, 40000) i");
        await lab.UntilArchivedAsync();
        LoadOfWrites load = new(lab.Primary);
        await load.UntilAsync(50);
        int before = ReadFetched(log).Count;
        // As if a while had passed: on its first way through the repository it does not look at the primary for each segment.
        File.Delete(Path.Combine(lab.WestDirectory, "pg_wal", StreamNotes.FileName));

        await lab.StartWestAsync();
        await lab.UntilWestStreamsAsync("it streams");
        await load.UntilAsync(load.Acknowledged.Count + 50);
        await load.EndAsync();

        await RegionLab.UntilSameAsync(lab.EastConnection, lab.WestConnection);
        // More than a dozen segments were missing, and the repository has them.
        Assert.True(ReadFetched(log).Count == before, await lab.DescribeWestAsync());
    }

    [Fact]
    public async Task CatchUp_StreamFailsAlthoughThePrimaryLetsIn_IsFetchedAfterAll()
    {
        await using RegionLab lab = await RegionLab.StartAsync();
        string log = await StartWithProgramAsync(lab);
        await PostgresPrograms.RunAsync("pg_ctl", ["stop", "-w", "-D", lab.WestDirectory, "-m", "fast"]);
        await lab.Primary.ExecuteAsync("INSERT INTO t (v) SELECT repeat(md5(i::text), 10) FROM generate_series(1, 10000) i");
        await lab.UntilArchivedAsync();
        int before = ReadFetched(log).Count;
        File.Delete(Path.Combine(lab.WestDirectory, "pg_wal", StreamNotes.FileName));
        // The standby alone has a wrong address, as after a change that was made by hand.
        await File.AppendAllTextAsync(
            Path.Combine(lab.WestDirectory, "postgresql.auto.conf"),
            $"\nprimary_conninfo = 'host=127.0.0.1 port={PostgresServer.FreePort()}'\nwal_retrieve_retry_interval = '200ms'\n");

        await lab.StartWestAsync();

        await lab.UntilWestHasAsync(12000);
        Assert.NotEmpty(ReadFetched(log)[before..]);
        Assert.Equal("Archive", (await lab.LookAsync("west")).GetProperty("replication").GetString());
    }

    [Fact]
    public async Task CatchUp_WalThatTheStandbyHasReceived_IsReadWithoutTheProgram()
    {
        await using RegionLab lab = await RegionLab.StartAsync();
        string log = await StartWithProgramAsync(lab);
        // Behind its last restartpoint, in more segments than one.
        await lab.Primary.ExecuteAsync("INSERT INTO t (v) SELECT repeat(md5(i::text), 10) FROM generate_series(1, 7000) i");
        await lab.UntilWestHasAsync(9000);
        await PostgresPrograms.RunAsync("pg_ctl", ["stop", "-w", "-D", lab.WestDirectory, "-m", "immediate"]);
        ControlFile control = await ControlFile.ReadAsync(lab.WestDirectory, default);
        int before = ReadAsked(log).Count;

        await lab.StartWestAsync();
        await lab.Primary.ExecuteAsync("INSERT INTO t (v) VALUES ('after')");
        await lab.UntilWestHasAsync(9001);

        string[] own = await File.ReadAllLinesAsync(Path.Combine(lab.WestDirectory, "pg_wal", StandbyOwnWal.FileName));
        Assert.True(own.Length >= 2, $"{own.Length} segments of its own");
        // That of the checkpoint may be asked for once more, on the way to it.
        Assert.Empty(ReadAsked(log)[before..].Intersect(own).Except([SegmentOf(control.CheckpointLsn, control)]));
    }

    [Fact]
    public async Task CatchUp_StandbyBeginsInASegmentBeforeThatOfItsCheckpoint_IsStreamedAndNotFetched()
    {
        await using RegionLab lab = await RegionLab.StartAsync();
        string log = await StartWithProgramAsync(lab);
        // A checkpoint that takes its time, while the server is written to.
        await lab.Primary.ExecuteAsync("UPDATE t SET v = v || '.'");
        await using NpgsqlConnection backup = await lab.Primary.OpenAsync();
        await using NpgsqlCommand begin = new("SELECT pg_backup_start('a checkpoint', false)::text", backup);
        Task checkpoint = begin.ExecuteScalarAsync();
        do
        {
            await lab.Primary.ExecuteAsync("INSERT INTO t (v) SELECT repeat(md5(i::text), 10) FROM generate_series(1, 300) i");
        }
        while (!checkpoint.IsCompleted);

        await checkpoint;
        await lab.Primary.ExecuteAsync("INSERT INTO t (v) VALUES ('behind it')");
        await RegionLab.UntilSameAsync(lab.EastConnection, lab.WestConnection);
        await PostgresPrograms.RunAsync("pg_ctl", ["stop", "-w", "-D", lab.WestDirectory, "-m", "fast"]);
        ControlFile control = await ControlFile.ReadAsync(lab.WestDirectory, default);
        Assert.NotEqual(SegmentOf(control.CheckpointLsn, control), SegmentOf(control.RedoLsn, control));
        await lab.Primary.ExecuteAsync("INSERT INTO t (v) SELECT repeat(md5(i::text), 10) FROM generate_series(1, 20000) i");
        await lab.UntilArchivedAsync();
        int before = ReadFetched(log).Count;
        File.Delete(Path.Combine(lab.WestDirectory, "pg_wal", StreamNotes.FileName));

        await lab.StartWestAsync();

        await RegionLab.UntilSameAsync(lab.EastConnection, lab.WestConnection);
        Assert.True(ReadFetched(log).Count == before, await lab.DescribeWestAsync());
    }

    [Fact]
    public async Task Fetch_SegmentThatIsReadAheadAndAskedForAgain_IsLeftToTheStreamBothTimes()
    {
        await using RegionLab lab = await RegionLab.StartWithStandbyAsync();
        await PostgresPrograms.RunAsync("pg_ctl", ["stop", "-w", "-D", lab.WestDirectory, "-m", "fast"]);
        await lab.Primary.ExecuteAsync("INSERT INTO t (v) SELECT repeat(md5(i::text), 10) FROM generate_series(1, 10000) i");
        ControlFile control = await ControlFile.ReadAsync(lab.WestDirectory, default);
        string segment = await lab.Primary.ScalarAsync<string>("SELECT pg_walfile_name(pg_current_wal_flush_lsn())");
        Site site = SiteFile.Load(lab.SitePath);
        List<string> told = [];
        Task<bool> AskAsync() => StandbyFetch.IsStreamedAsync(
            site,
            new SecretResolver(),
            "east",
            "smcdr_regions_west",
            control.SystemId,
            segment,
            Path.Combine(lab.WestDirectory, "pg_wal", "RECOVERYXLOG"),
            told.Add,
            default);

        Assert.True(await AskAsync());
        Assert.True(await AskAsync());
        Assert.Empty(told);
        // The third time it has tried to stream.
        Assert.False(await AskAsync());
        Assert.Contains("the log says why the stream failed", Assert.Single(told), StringComparison.Ordinal);
        // For a minute nobody is asked.
        Assert.False(await AskAsync());
        Assert.Single(told);
    }

    /// <summary>Makes the standby with a program of its own in the restore_command, which writes down how each call ended.</summary>
    private static async Task<string> StartWithProgramAsync(RegionLab lab)
    {
        string log = Path.Combine(lab.Root, "fetched.log");
        string program = Path.Combine(lab.Root, "fetch.sh");
        await File.WriteAllTextAsync(
            program, $"#!/bin/sh\ndotnet '{SmcdrProcess.CreateStart().ArgumentList[0]}' \"$@\"\ncode=$?\necho \"$code $*\" >> '{log}'\nexit $code\n");
        File.SetUnixFileMode(program, (UnixFileMode)0b111_101_101);
        await lab.SucceedAsync("backup", "database");
        lab.StartStream();
        await lab.SucceedAsync(lab.InitArguments("--program", program));
        await lab.UntilWestStreamsAsync("it streams at first");
        return log;
    }

    /// <summary>The segments that were brought to the standby.</summary>
    private static List<string> ReadFetched(string log) =>
        [.. File.ReadLines(log).Select(static line => FetchedPattern().Match(line)).Where(static match => match.Success).Select(static match => match.Value)];

    private static string SegmentOf(Lsn place, ControlFile control) => WalSegmentName.Containing(place, control.Timeline, control.WalSegmentSize).ToString();

    /// <summary>The segments that the program was asked for by the server.</summary>
    private static List<string> ReadAsked(string log) =>
        [.. File.ReadLines(log).Select(static line => AskedPattern().Match(line)).Where(static match => match.Success).Select(static match => match.Groups[1].Value)];

    [GeneratedRegex(" wal fetch .* ([0-9A-F]{24}) .*RECOVERYXLOG$")]
    private static partial Regex AskedPattern();

    [GeneratedRegex("^0 .* wal fetch .* [0-9A-F]{24} .*RECOVERYXLOG$")]
    private static partial Regex FetchedPattern();
}
