using System.Diagnostics;
using SmcDr.Core.Schedules;
using SmcDr.Core.Sites;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Schedules;

public sealed class SchedulerTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly RecordingObserver _observer = new();

    private string Units => Path.Combine(_directory.Path, "units");

    private string Calls => Path.Combine(_directory.Path, "calls");

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Systemd_RegisteredTwiceChangedAndRemoved_LeavesNothingBehindAndOthersAlone()
    {
        string systemctl = WriteProgram("systemctl", $"echo \"$*\" >> '{Calls}'");
        Site site = WriteSite("database: '0 */6 * * *', monitor: '0 8 * * *', logical: '30 2 * * *'");
        SystemdScheduler scheduler = Systemd(site, systemctl);
        Directory.CreateDirectory(Units);
        string foreign = Path.Combine(Units, "smcdr-orders-own.timer");
        await File.WriteAllTextAsync(foreign, "[Timer]\nOnCalendar=daily\n");

        IReadOnlyList<ScheduleInfo> first = await RegisterAsync(site, scheduler);
        IReadOnlyList<ScheduleInfo> second = await RegisterAsync(site, scheduler);
        Site changed = WriteSite("database: '0 */4 * * *', monitor: '0 8 * * *'");
        IReadOnlyList<ScheduleInfo> third = await RegisterAsync(changed, Systemd(changed, systemctl));
        string[] calls = await File.ReadAllLinesAsync(Calls);
        IReadOnlyList<ScheduleInfo> removed = await SiteSchedules.RegisterAsync(changed, Systemd(changed, systemctl), [], _observer, default);

        Assert.All(first, static one => Assert.Equal("Created", one.State));
        Assert.All(second, static one => Assert.Equal("Same", one.State));
        Assert.Equal(
            ["database Changed", "logical Removed", "monitor Same"], third.Select(static one => $"{one.Task} {one.State}").Order(StringComparer.Ordinal));
        // What is registered again is made sure of, and systemd reads its files again only where they changed.
        Assert.Equal(["daemon-reload", "enable", "enable", "disable", "daemon-reload", "enable"], calls.Select(static call => call.Replace("--user ", "", StringComparison.Ordinal).Split(' ')[0]));
        Assert.Contains("smcdr-orders-logical.timer", calls[3], StringComparison.Ordinal);
        Assert.Equal(["Removed", "Removed"], removed.Select(static one => one.State));
        Assert.Equal([foreign], Directory.GetFiles(Units));
    }

    [Fact]
    public async Task Systemd_UnitOfAnother_IsNotOverwritten()
    {
        Site site = WriteSite("database: '0 */6 * * *'");
        Directory.CreateDirectory(Units);
        string foreign = Path.Combine(Units, "smcdr-orders-database.service");
        await File.WriteAllTextAsync(foreign, "[Service]\nExecStart=/bin/true\n");

        SmcException e = await Assert.ThrowsAsync<SmcException>(() => RegisterAsync(site, Systemd(site, "/bin/true")));

        Assert.Equal(SmcErrorCode.ScheduleUnsuitable, e.Code);
        Assert.Contains("/bin/true", await File.ReadAllTextAsync(foreign), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Systemd_NotRunning_IsSaidWithWhatIsLeftToDo()
    {
        Site site = WriteSite("database: '0 */6 * * *'");

        IReadOnlyList<ScheduleInfo> results = await RegisterAsync(site, new SystemdScheduler(site, Host(site), Units, "/bin/false", isRunning: false));

        Assert.Equal("Created", Assert.Single(results).State);
        Assert.Contains(_observer.Warnings, static warning => warning.Contains("enable --now smcdr-orders-database.timer", StringComparison.Ordinal));
    }

    [SystemdTheory]
    [InlineData("plain.yaml")]
    [InlineData("a 100% \"odd\" $name.yaml")]
    public async Task Systemd_Units_AreUnderstoodBySystemd(string file)
    {
        Site site = WriteSite("database: '0 3 13 * 5', recoveryTest: '*/20 9-17 * * mon-fri', timeZone: Europe/Berlin", file, "password: env:PGPASSWORD");
        SystemdScheduler scheduler = new(site, new HostSchedule(site, "/bin/true", "/etc/smcdr/orders.env"), Units, "/bin/true", isRunning: true);
        await RegisterAsync(site, scheduler);

        ProcessStartInfo info = new("systemd-analyze") { RedirectStandardError = true, RedirectStandardOutput = true };
        info.ArgumentList.Add("verify");
        foreach (string unit in Directory.GetFiles(Units))
        {
            info.ArgumentList.Add(unit);
        }

        using Process process = Process.Start(info)!;
        string said = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        string service = await File.ReadAllTextAsync(Path.Combine(Units, "smcdr-orders-database.service"));
        string timer = await File.ReadAllTextAsync(Path.Combine(Units, "smcdr-orders-database.timer"));

        Assert.DoesNotContain(said.Split('\n'), static line => line.Contains("smcdr-", StringComparison.Ordinal));
        Assert.Equal(0, process.ExitCode);
        Assert.Contains("EnvironmentFile=/etc/smcdr/orders.env\n", service, StringComparison.Ordinal);
        Assert.Contains("schedule run database\n", service, StringComparison.Ordinal);
        Assert.Contains("OnCalendar=*-*-13 03:00:00 Europe/Berlin\nOnCalendar=Fri *-*-* 03:00:00 Europe/Berlin\nPersistent=true\n", timer, StringComparison.Ordinal);
    }

    /// <summary>The crontab of a test is a file that a script stands in for crontab(1) with: the real one changes that of the account.</summary>
    [Fact]
    public async Task Crontab_RegisteredTwiceChangedAndRemoved_LeavesOtherLinesAsTheyWere()
    {
        string table = Path.Combine(_directory.Path, "table");
        string crontab = WriteProgram("crontab", $"""
            echo "$*" >> '{Calls}'
            case "$1" in
              -l) cat '{table}' 2>/dev/null || {"{"} echo "no crontab for root" >&2; exit 1; {"}"} ;;
              -) cat > '{table}.new' && mv '{table}.new' '{table}' ;;
            esac
            """);
        Site site = WriteSite($"database: '0 */6 * * *', monitor: '0 8 * * 7', timeZone: {TimeZoneInfo.Local.Id}", "a 100% 'odd' one.yaml", "password: env:PGPASSWORD");
        CrontabScheduler scheduler = new(site, Host(site), crontab);

        IReadOnlyList<ScheduleInfo> first = await RegisterAsync(site, scheduler);
        await File.WriteAllTextAsync(table, "MAILTO=dba\n" + await File.ReadAllTextAsync(table) + "5 4 * * * /usr/local/bin/own");
        IReadOnlyList<ScheduleInfo> second = await RegisterAsync(site, scheduler);
        string registered = await File.ReadAllTextAsync(table);
        Site changed = WriteSite($"database: '0 */4 * * *', timeZone: {TimeZoneInfo.Local.Id}", "a 100% 'odd' one.yaml", "password: env:PGPASSWORD");
        IReadOnlyList<ScheduleInfo> third = await RegisterAsync(changed, new CrontabScheduler(changed, Host(changed), crontab));
        IReadOnlyList<string> listed = await new CrontabScheduler(changed, Host(changed), crontab).ListAsync(default);
        await SiteSchedules.RegisterAsync(changed, new CrontabScheduler(changed, Host(changed), crontab), [], _observer, default);

        Assert.All(first, static one => Assert.Equal("Created", one.State));
        Assert.All(second, static one => Assert.Equal("Same", one.State));
        Assert.Contains(
            $"0 */6 * * * set -a; . '/etc/smcdr/or ders.env'; set +a; /usr/bin/smcdr --site '{site.Path.Replace("'", "'\\''", StringComparison.Ordinal).Replace("%", "\\%", StringComparison.Ordinal)}' schedule run database --quiet\n",
            registered,
            StringComparison.Ordinal);
        Assert.Contains("\n0 8 * * 0 ", registered, StringComparison.Ordinal);
        Assert.Equal(["monitor Removed", "database Changed"], third.Select(static one => $"{one.Task} {one.State}"));
        Assert.Equal(["smcdr-orders-database"], listed);
        Assert.Equal("MAILTO=dba\n5 4 * * * /usr/local/bin/own", await File.ReadAllTextAsync(table));
        Assert.Equal(3, (await File.ReadAllLinesAsync(Calls)).Count(static call => call == "-"));
    }

    [Fact]
    public async Task Crontab_BlockWithoutEnd_IsNotGuessedAt()
    {
        string crontab = WriteProgram("crontab", "echo \"# BEGIN schedules of SmcDr for the site 'orders': Register-SmcSchedule writes what stands here anew\"");
        Site site = WriteSite($"database: '0 */6 * * *', timeZone: {TimeZoneInfo.Local.Id}");

        SmcException e = await Assert.ThrowsAsync<SmcException>(() => RegisterAsync(site, new CrontabScheduler(site, Host(site), crontab)));

        Assert.Equal(SmcErrorCode.ScheduleUnsuitable, e.Code);
    }

    [Fact]
    public void Crontab_OtherTimeZoneThanTheHost_IsRefused()
    {
        Site site = WriteSite($"database: '0 */6 * * *', timeZone: {(TimeZoneInfo.Local.HasSameRules(TimeZoneInfo.Utc) ? "Asia/Tokyo" : "UTC")}");

        SmcException e = Assert.Throws<SmcException>(() => new CrontabScheduler(site, Host(site)).Write(ScheduledWork.Of(site)));

        Assert.Equal(SmcErrorCode.ScheduleUnsuitable, e.Code);
    }

    [Theory]
    [InlineData("", "has no schedules")]
    [InlineData("database: '0 0 30 2 *'", "never comes")]
    public void Schedules_ThatCanDoNothing_AreRefused(string schedules, string problem)
    {
        Site site = WriteSite(schedules);

        SmcException e = Assert.Throws<SmcException>(() => SiteSchedules.Plan(site, new ScheduleOptions { Kind = ScheduleKind.SystemdTimer, Program = "/bin/true" }));

        Assert.Equal(SmcErrorCode.ScheduleUnsuitable, e.Code);
        Assert.Contains(problem, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Schedules_SecretInAVault_IsRefusedSinceTheProgramCannotOpenIt()
    {
        Site site = WriteSite("database: '0 */6 * * *'", more: "password: secret:vault/postgres");

        SmcException e = Assert.Throws<SmcException>(() => SiteSchedules.Plan(site, new ScheduleOptions { Kind = ScheduleKind.Crontab, Program = "/bin/true" }));

        Assert.Contains("secret:vault/postgres", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TaskHold_TakenTwice_IsHadByOneUntilItLetsGo()
    {
        using (TaskHold? first = TaskHold.TryTake(_directory.Path, "orders", "database"))
        {
            Assert.NotNull(first);
            Assert.Null(TaskHold.TryTake(_directory.Path, "orders", "database"));
            using TaskHold? other = TaskHold.TryTake(_directory.Path, "orders", "redis");
            Assert.NotNull(other);
        }

        using TaskHold? again = TaskHold.TryTake(_directory.Path, "orders", "database");
        Assert.NotNull(again);
    }

    private static HostSchedule Host(Site site) => new(site, "/usr/bin/smcdr", "/etc/smcdr/or ders.env");

    private SystemdScheduler Systemd(Site site, string systemctl) => new(site, Host(site), Units, systemctl, isRunning: true);

    private Task<IReadOnlyList<ScheduleInfo>> RegisterAsync(Site site, IScheduler scheduler) =>
        SiteSchedules.RegisterAsync(site, scheduler, scheduler.Write(ScheduledWork.Of(site)), _observer, default);

    private Site WriteSite(string schedules, string file = "smcdr.yaml", string more = "")
    {
        string path = Path.Combine(_directory.Path, file);
        File.WriteAllText(path, $$"""
            name: orders
            repository: { location: s3://orders?region=eu-central-1 }
            regions: { here: { role: primary, database: { connection: "Host=db;Username=postgres"{{(more.Length > 0 ? ", " + more : "")}} } } }
            schedules: { {{schedules}} }

            """);
        return SiteFile.Load(path);
    }

    private string WriteProgram(string name, string script)
    {
        string path = Path.Combine(_directory.Path, name);
        File.WriteAllText(path, $"#!/bin/sh\n{script}\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return path;
    }
}
