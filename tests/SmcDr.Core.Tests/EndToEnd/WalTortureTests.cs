using System.Diagnostics;
using System.Globalization;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using Xunit.Abstractions;
using PostgresPrograms = SmcDr.Core.Tests.Fixtures.PostgresPrograms;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>
/// A cluster is promoted, forked, killed and cut off, and so is its WAL stream. Afterwards every window that is reported restores, to the row;
/// and what lies outside of all windows is refused.
/// </summary>
public sealed class WalTortureTests(ITestOutputHelper output)
{
    private const int Rounds = 21;
    private const int MostWindows = 2;

    private static readonly SmcErrorCode[] s_refusals =
    [
        SmcErrorCode.TargetOutsideWindow, SmcErrorCode.TargetNotReached, SmcErrorCode.WalGap, SmcErrorCode.TimelineMismatch,
    ];

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, true)]
    public async Task PromotionsForksKillsAndCuts_EveryReportedWindowRestores_AndNothingElseDoes(int seed, bool faultyStore)
    {
        // Another seed, or a longer run, from outside: half an hour of a bad network is five minutes here, with all times shorter.
        seed = Variable("SMCDR_TEST_SEED") ?? seed;
        int rounds = Variable("SMCDR_TEST_ROUNDS") ?? Rounds;
        TimeSpan? time = Variable("SMCDR_TEST_SECONDS") is { } seconds ? TimeSpan.FromSeconds(seconds) : null;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Seed {seed}, {(time is null ? $"{rounds} rounds" : $"{time}")}."));
        await using WalTorture torture = new(seed, faultyStore, output);
        await torture.BeginAsync();
        Stopwatch watch = Stopwatch.StartNew();
        for (int round = 0; time is { } limit ? watch.Elapsed < limit : round < rounds; round++)
        {
            await torture.RoundAsync();
        }

        await torture.EndAsync();
        Check check = new(torture, new Random(seed), output);
        await check.RunAsync(time is null ? MostWindows : 12);
    }

    private static int? Variable(string name) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), CultureInfo.InvariantCulture, out int value) ? value : null;

    /// <summary>Holds what is reported against what is recovered.</summary>
    private sealed class Check(WalTorture torture, Random random, ITestOutputHelper output)
    {
        private readonly Lock _lock = new();
        private readonly SortedDictionary<string, int> _done = new(StringComparer.Ordinal);

        public async Task RunAsync(int most)
        {
            Stopwatch watch = Stopwatch.StartNew();
            List<RecoveryWindow> windows = await torture.WindowsAsync();
            RecoveryWindow last = windows[^1];
            Assert.Equal(torture.End.Timeline, (uint)last.Timeline);
            Assert.True(Lsn.Parse(last.LatestLsn) >= torture.End.Lsn, $"{last.LatestLsn} is before {torture.End.Lsn}.");
            foreach (RecoveryWindow window in windows)
            {
                output.WriteLine(window.ToString());
            }

            // The oldest and the newest, and others.
            List<RecoveryWindow> chosen = [.. windows.OrderBy(_ => random.Next()).Take(most).Union([windows[0], last])];
            List<Func<Task>> work = [];
            foreach (RecoveryWindow window in chosen)
            {
                work.AddRange(Positions(window));
                work.AddRange(Outside(window));
            }

            await DoAsync(work);
            await RemoveASegmentAsync(windows);
            Note("windows", windows.Count);
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{chosen.Count} windows: {string.Join(", ", _done.Select(static one => $"{one.Key}: {one.Value}"))}; {watch.Elapsed.TotalSeconds:F0} s"));
        }

        /// <summary>The first position of a window, the last, and one in between.</summary>
        private IEnumerable<Func<Task>> Positions(RecoveryWindow window)
        {
            uint timeline = (uint)window.Timeline;
            Lsn earliest = Lsn.Parse(window.EarliestLsn);
            Lsn latest = Lsn.Parse(window.LatestLsn);
            yield return random.Next(3) switch
            {
                0 => () => RestoreAsync(window, "earliest", RecoveryTarget.Immediate, () => torture.Ledger.At(timeline, earliest)),
                1 => () => RestoreAsync(
                    window, "earliest", RecoveryTarget.AtLsn(earliest) with { Inclusive = false }, () => torture.Ledger.At(timeline, earliest)),
                _ => () => RestoreAsync(
                    window, "earliest", RecoveryTarget.AtTime(window.EarliestTime), () => torture.Ledger.At(timeline, latest, window.EarliestTime)),
            };
            yield return Latest(window, random.Next(3));

            List<CommittedRow> rows = torture.Ledger.Between(timeline, earliest, latest);
            List<(string Name, Lsn End)> points = torture.Ledger.Points(timeline, earliest, latest).Within;
            if (points.Count > 0 && random.Next(3) == 0)
            {
                (string name, Lsn end) = points[random.Next(points.Count)];
                yield return () => RestoreAsync(window, "restore point", RecoveryTarget.AtName(name), () => torture.Ledger.At(timeline, end));
            }
            else if (rows.Count > 0)
            {
                CommittedRow row = rows[random.Next(rows.Count)];
                yield return random.Next(3) switch
                {
                    0 => () => RestoreAsync(
                        window, "LSN", RecoveryTarget.AtLsn(row.After) with { Inclusive = false }, () => torture.Ledger.At(timeline, row.After)),
                    1 => () => RestoreAsync(
                        window, "time", RecoveryTarget.AtTime(row.Time!.Value), () => torture.Ledger.At(timeline, latest, row.Time!.Value)),
                    _ => () => RestoreAsync(window, "transaction", RecoveryTarget.AtXid(row.Xid), () => torture.Ledger.At(timeline, row.After)),
                };
            }
        }

        private Func<Task> Latest(RecoveryWindow window, int way)
        {
            uint timeline = (uint)window.Timeline;
            Lsn latest = Lsn.Parse(window.LatestLsn);
            return way switch
            {
                0 when window.Gap is null =>
                    () => RestoreAsync(window, "latest", RecoveryTarget.Latest, () => torture.Ledger.At(timeline, latest)),
                1 when window.LatestTime is { } time =>
                    () => RestoreAsync(window, "latest", RecoveryTarget.AtTime(time), () => torture.Ledger.At(timeline, latest, time)),
                _ => () => RestoreAsync(
                    window, "latest", RecoveryTarget.AtLsn(latest) with { Inclusive = false }, () => torture.Ledger.At(timeline, latest)),
            };
        }

        /// <summary>Before the backup's end, behind the archive's, and on a part of history that was left behind.</summary>
        private IEnumerable<Func<Task>> Outside(RecoveryWindow window)
        {
            Lsn earliest = Lsn.Parse(window.EarliestLsn);
            Lsn latest = Lsn.Parse(window.LatestLsn);
            List<RecoveryTarget> targets =
            [
                RecoveryTarget.AtLsn(new Lsn(earliest.Value - 1)),
                RecoveryTarget.AtTime(window.EarliestTime.AddMilliseconds(-1)),
                RecoveryTarget.AtLsn(latest + 1),
                RecoveryTarget.AtTime(DateTimeOffset.UtcNow.AddHours(1)),
                RecoveryTarget.Latest with { Timeline = 4711 },
            ];
            targets.AddRange(torture.Ledger.Points((uint)window.Timeline, earliest, latest).Outside.Select(RecoveryTarget.AtName));
            foreach (RecoveryTarget target in targets)
            {
                yield return () => RefusedAsync(window.BackupId, target);
            }
        }

        /// <summary>A segment is lost: what is reported afterwards ends before it, and restores.</summary>
        private async Task RemoveASegmentAsync(List<RecoveryWindow> before)
        {
            RecoveryWindow window = before.MaxBy(static one => one.WalBytes)!;
            const int Size = 1 << 20;
            ulong first = (Lsn.Parse(window.EarliestLsn).Value / Size) + 1;
            ulong behind = Lsn.Parse(window.LatestLsn).Value / Size;
            Assert.True(behind > first + 1, $"{window} is too short.");
            ulong number = first + (ulong)random.Next((int)(behind - first));
            Lsn lost = new(number * Size);
            string name = WalSegmentName.FromNumber(1, number, Size).ToString()[8..];
            List<string> keys = [];
            await foreach (ObjectInfo info in torture.Store.ListAsync("wal/", CancellationToken.None))
            {
                if (info.Key.Split('/')[^1].Contains(name, StringComparison.Ordinal))
                {
                    keys.Add(info.Key);
                }
            }

            Assert.NotEmpty(keys);
            foreach (string key in keys)
            {
                await torture.Store.DeleteAsync(key, CancellationToken.None);
            }

            Dictionary<string, RecoveryWindow> after = (await torture.WindowsAsync()).ToDictionary(static one => one.BackupId);
            List<Func<Task>> work = [];
            foreach (RecoveryWindow one in before)
            {
                Lsn start = (await (await torture.OpenAsync()).OpenBackupAsync(Component.Database, one.BackupId, CancellationToken.None)).Header.Database!.StartLsn;
                if (Lsn.Parse(one.LatestLsn) <= lost || start >= lost + Size)
                {
                    Assert.Equal(one, after[one.BackupId]);
                }
                else if (Lsn.Parse(one.EarliestLsn) > lost)
                {
                    // The backup itself needs what is lost.
                    Assert.DoesNotContain(one.BackupId, after.Keys);
                    work.Add(() => RefusedAsync(one.BackupId, RecoveryTarget.Latest));
                    work.Add(() => RefusedAsync(one.BackupId, RecoveryTarget.Immediate));
                }
                else
                {
                    RecoveryWindow shorter = after[one.BackupId];
                    Assert.True(Lsn.Parse(shorter.LatestLsn) <= lost, $"{shorter} goes beyond {lost}.");
                    work.Add(() => RefusedAsync(one.BackupId, RecoveryTarget.AtLsn(lost + 1)));
                    if (one == window)
                    {
                        Assert.NotNull(shorter.Gap);
                        work.AddRange([Latest(shorter, 1), Latest(shorter, 2)]);
                        work.Add(() => RefusedAsync(one.BackupId, RecoveryTarget.Latest));
                    }
                }
            }

            await DoAsync(work);
        }

        private static Task DoAsync(IEnumerable<Func<Task>> work) => Parallel.ForEachAsync(
            work, new ParallelOptions { MaxDegreeOfParallelism = 2 }, static async (one, _) => await one());

        private async Task RestoreAsync(RecoveryWindow window, string what, RecoveryTarget target, Func<ExpectedRows> expected)
        {
            string directory = PostgresPrograms.CreateDirectory();
            try
            {
                RecoveryPlan plan = await torture.RecoverAsync(directory, target, window.BackupId);
                await using PostgresServer recovered = await PostgresServer.StartAsync(new PostgresServerOptions
                {
                    ExistingDataDirectory = plan.DataDirectory,
                    Password = torture.Password,
                    Fsync = false,
                });
                expected().AssertAre(await LedgerWriter.ReadAsync(recovered), $"{what} ({target}) of {window}");
                Note(what, 1);
            }
            catch (SmcException e)
            {
                Assert.Fail($"{what} ({target}) of {window} does not restore: {e}");
            }
            finally
            {
                Directory.Delete(directory, recursive: true);
            }
        }

        private async Task RefusedAsync(string backupId, RecoveryTarget target)
        {
            RecoveryRequest request = new()
            {
                Repository = await torture.OpenAsync(),
                BackupId = backupId,
                Target = target,
                DataDirectory = Path.Combine(Path.GetTempPath(), "smcdr-never-there"),
            };
            SmcException error = await Assert.ThrowsAsync<SmcException>(
                () => DatabaseRecovery.PlanAsync(request, NullObserver.Instance, CancellationToken.None));
            Assert.True(s_refusals.Contains(error.Code), $"{target} from {backupId}: {error}");
            Note("refused", 1);
        }

        private void Note(string what, int count)
        {
            lock (_lock)
            {
                _done[what] = _done.GetValueOrDefault(what) + count;
            }
        }
    }
}
