using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Retention;

namespace SmcDr.Core.Tests.Retention;

public sealed class RetentionRulesTests
{
    private static readonly DateTimeOffset s_now = new(2026, 11, 23, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Decide_DailyWeeklyMonthly_KeepsTheNewestOfEach()
    {
        // Two a day for a hundred days, at 06:00 and 18:00.
        BackupFact[] backups = [.. Enumerable.Range(0, 200).Select(static i => Fact(s_now.AddHours(-18 - (12 * i))))];
        IReadOnlyList<RetentionDecision> decisions =
            RetentionRules.Decide(new RetentionPolicy { Daily = 3, Weekly = 3, Monthly = 3 }, backups, s_now);
        Assert.Equal(
            [
                "2026-11-22: newest, daily 3, weekly 3, monthly 3",
                "2026-11-21: daily 3",
                "2026-11-20: daily 3",
                "2026-11-15: weekly 3",
                "2026-11-08: weekly 3",
                "2026-10-31: monthly 3",
                "2026-09-30: monthly 3",
            ],
            decisions.Where(static d => d.IsKept).Select(static d => string.Create(
                CultureInfo.InvariantCulture, $"{d.Backup.StartTime:yyyy-MM-dd}: {string.Join(", ", d.Reasons)}")));
    }

    [Fact]
    public void Decide_DayEndsInUtc_NotHere()
    {
        BackupFact before = Fact(new DateTimeOffset(2026, 11, 22, 23, 59, 59, TimeSpan.Zero));
        BackupFact after = Fact(new DateTimeOffset(2026, 11, 23, 1, 30, 0, TimeSpan.FromHours(1)));
        Assert.All(RetentionRules.Decide(new RetentionPolicy { Daily = 2 }, [before, after], s_now), static d => Assert.True(d.IsKept));
    }

    [Fact]
    public void Decide_RecoveryWindow_KeepsTheBackupBeforeIt()
    {
        BackupFact[] backups = [.. new[] { 1, 5, 9, 11, 15 }.Select(static days => Fact(s_now.AddDays(-days)))];
        IReadOnlyList<RetentionDecision> decisions =
            RetentionRules.Decide(new RetentionPolicy { RecoveryWindow = TimeSpan.FromDays(10) }, backups, s_now);
        Assert.Equal([true, true, true, true, false], decisions.Select(static d => d.IsKept));
    }

    [Fact]
    public void Decide_PartialBackups_DoNotPushOutTheWholeOne()
    {
        BackupFact whole = Fact(s_now.AddDays(-3));
        BackupFact[] backups = [whole, Fact(s_now.AddDays(-2)) with { IsPartial = true }, Fact(s_now.AddDays(-1)) with { IsPartial = true }];
        IReadOnlyList<RetentionDecision> decisions = RetentionRules.Decide(new RetentionPolicy { Last = 1 }, backups, s_now);
        Assert.Equal(["newest that is not partial"], decisions.Single(d => d.Backup == whole).Reasons);
        Assert.Equal(2, decisions.Count(static d => d.IsKept));
    }

    [Fact]
    public void Decide_HeldLockedOrNeeded_KeepsAndSaysWhy()
    {
        BackupFact held = Fact(s_now.AddDays(-400)) with { Hold = "audit (by ops@db)" };
        BackupFact locked = Fact(s_now.AddDays(-300)) with { LockedUntil = s_now.AddDays(1) };
        BackupFact free = Fact(s_now.AddDays(-200)) with { LockedUntil = s_now.AddDays(-1) };
        BackupFact needed = Fact(s_now.AddDays(-100)) with { NeededBy = "20261123T110000Z-incremental" };
        Dictionary<BackupFact, RetentionDecision> decisions = RetentionRules
            .Decide(new RetentionPolicy { Last = 1 }, [held, locked, free, needed, Fact(s_now)], s_now).ToDictionary(static d => d.Backup);
        Assert.Equal(["held: audit (by ops@db)"], decisions[held].Reasons);
        Assert.Equal(["locked until 2026-11-24 12:00:00Z"], decisions[locked].Reasons);
        Assert.False(decisions[free].IsKept);
        Assert.Equal(["the running backup 20261123T110000Z-incremental builds on it"], decisions[needed].Reasons);
    }

    [Fact]
    public void Decide_LogicalBackups_AreASeriesOfTheirOwn()
    {
        BackupFact[] physical = [.. Enumerable.Range(0, 4).Select(static days => Fact(s_now.AddDays(-days).AddHours(-6)))];
        BackupFact[] logical = [.. Enumerable.Range(0, 4).Select(static days => Logical(s_now.AddDays(-days).AddHours(-2)))];
        IReadOnlyList<RetentionDecision> decisions =
            RetentionRules.Decide(new RetentionPolicy { Daily = 2 }, [.. physical, .. logical], s_now);
        Assert.Equal(
            [.. physical[..2].Select(static fact => fact.Id), .. logical[..2].Select(static fact => fact.Id)],
            decisions.Where(static decision => decision.IsKept).Select(static decision => decision.Backup.Id));
        Assert.Equal(["newest", "daily 2"], decisions.Single(decision => decision.Backup == physical[0]).Reasons);
    }

    [Fact]
    public void Decide_DumpOfOneDatabase_DoesNotPushOutThatOfAll()
    {
        BackupFact nightly = Logical(s_now.AddHours(-10));
        BackupFact one = Logical(s_now.AddHours(-1)) with { Series = "Logical\0orders" };
        Assert.All(RetentionRules.Decide(new RetentionPolicy { Daily = 1 }, [nightly, one], s_now), static decision => Assert.True(decision.IsKept));
    }

    [Fact]
    public void Decide_EmergencyBackups_StayAndPushNothingOut()
    {
        BackupFact[] emergencies =
        [
            .. new[] { 900, 1 }.Select(static days => Fact(s_now.AddDays(-days)) with { Series = "Emergency", IsEmergency = true, IsPartial = true }),
        ];
        BackupFact physical = Fact(s_now.AddDays(-2));
        IReadOnlyList<RetentionDecision> decisions = RetentionRules.Decide(
            new RetentionPolicy { Last = 1 }, [.. emergencies, physical, emergencies[0] with { Id = "held", Hold = "audit" }], s_now);
        Assert.Equal(["newest", "last 1"], decisions.Single(decision => decision.Backup == physical).Reasons);
        Assert.All(emergencies, emergency => Assert.Equal(
            ["emergency backups are kept until they are removed"], decisions.Single(decision => decision.Backup == emergency).Reasons));
        Assert.Equal(
            ["emergency backups are kept until they are removed", "held: audit"],
            decisions.Single(static decision => decision.Backup.Id == "held").Reasons);
    }

    [Fact]
    public void Decide_AnyBackups_NewestOfEachSubjectStays() => Check((policy, backups) =>
    {
        HashSet<string> kept = Kept(policy, backups);
        return backups.GroupBy(static backup => (backup.Component, backup.Subject))
            .All(group => kept.Contains(group.OrderBy(static b => b.StartTime).ThenBy(static b => b.Id, StringComparer.Ordinal).Last().Id));
    });

    [Fact]
    public void Decide_AppliedTwice_RemovesNothingMore() => Check((policy, backups) =>
    {
        HashSet<string> kept = Kept(policy, backups);
        return Kept(policy, [.. backups.Where(backup => kept.Contains(backup.Id))]).SetEquals(kept);
    });

    [Fact]
    public void Decide_MoreGenerousPolicy_KeepsAtLeastTheSame() => Check((policy, backups) => Kept(policy, backups).IsSubsetOf(Kept(
        policy with
        {
            Last = policy.Last + 1,
            Daily = policy.Daily + 1,
            Weekly = policy.Weekly + 2,
            Monthly = policy.Monthly + 1,
            Yearly = policy.Yearly + 1,
            Within = (policy.Within ?? TimeSpan.Zero) + TimeSpan.FromDays(1),
        },
        backups)));

    [Fact]
    public void Decide_AnyOrderOfListing_DecidesTheSame() => Check((policy, backups) =>
        Kept(policy, backups).SetEquals(Kept(policy, [.. backups.Reverse()])));

    [Fact]
    public void Decide_RuleOnItsOwn_KeepsWhatItsReasonSays() => Check((policy, backups) =>
        RetentionRules.Decide(policy, backups, s_now).All(decision => decision.Reasons.All(reason =>
        {
            RetentionPolicy? alone = reason.Split(' ')[0] switch
            {
                "last" => new RetentionPolicy { Last = policy.Last },
                "within" => new RetentionPolicy { Within = policy.Within },
                "daily" => new RetentionPolicy { Daily = policy.Daily },
                "weekly" => new RetentionPolicy { Weekly = policy.Weekly },
                "monthly" => new RetentionPolicy { Monthly = policy.Monthly },
                "yearly" => new RetentionPolicy { Yearly = policy.Yearly },
                "recoveryWindow" => new RetentionPolicy { RecoveryWindow = policy.RecoveryWindow },
                _ => null,
            };
            return alone is null
                ? reason.StartsWith("newest", StringComparison.Ordinal) || reason.StartsWith("held", StringComparison.Ordinal)
                : RetentionRules.Decide(alone, backups, s_now).Single(d => d.Backup.Id == decision.Backup.Id).Reasons.Contains(reason);
        })));

    [Fact]
    public void Decide_RecoveryWindow_EveryInstantOfItHasABackupBefore() => Check((policy, backups) =>
    {
        if (policy.RecoveryWindow is not { } window)
        {
            return true;
        }

        HashSet<string> kept = Kept(policy, backups);
        return backups.GroupBy(static backup => (backup.Component, backup.Subject)).All(subject => subject.All(backup =>
            // Each instant at which a recovery would begin with this backup begins with one that is kept, or lies before the window.
            backup.StopTime <= s_now - window
                ? subject.Any(other => kept.Contains(other.Id) && other.StopTime >= backup.StopTime && other.StopTime <= s_now - window)
                : kept.Contains(backup.Id)));
    });

    [Fact]
    public void Decide_RecoveryWindowOverAnyTimelines_EveryInstantOfItKeepsABackup()
    {
        int branched = 0;
        for (int seed = 0; seed < 1000; seed++)
        {
            Random random = new(seed);
            List<Era> eras = [new Era(1, null, 0, 0, 0)];
            List<(BackupFact Fact, Era Era, int Position)> backups = [];
            int position = 0;
            int days = random.Next(10, 60);
            for (int day = 0; day < days; day++)
            {
                Era now = eras[^1];
                position += random.Next(1, 10);
                now.LastDay = day;
                if (random.Next(3) == 0)
                {
                    DateTimeOffset time = s_now.AddDays(day - days);
                    backups.Add((Fact(time) with { Timeline = now.Timeline, StopLsn = new Lsn((ulong)position), StopTime = time }, now, position));
                }

                if (random.Next(8) == 0)
                {
                    // A recovery to some earlier position, on this timeline or on one that was left.
                    Era from = eras[random.Next(eras.Count)];
                    int at = random.Next(from.Begin, (from == now ? position : from.End) + 1);
                    now.End = position;
                    position = at;
                    eras.Add(new Era((uint)eras.Count + 1, from, at, at, day));
                }
            }

            eras[^1].End = position;
            TimeSpan window = TimeSpan.FromDays(random.Next(0, days));
            DateTimeOffset start = s_now - window;
            TimelineHistory[] timelines = [.. eras.Where(era => s_now.AddDays(era.LastDay - days) >= start).Select(static era => era.History())];
            HashSet<string> kept =
            [
                .. RetentionRules.Decide(
                    new RetentionPolicy { RecoveryWindow = window }, backups.Select(static backup => backup.Fact), _ => timelines, s_now)
                    .Where(static decision => decision.IsKept).Select(static decision => decision.Backup.Id),
            ];
            foreach (Era era in eras.Where(era => s_now.AddDays(era.LastDay - days) >= start))
            {
                // By way of the ancestors, one after the other, and not by what a history file says.
                BackupFact[] leading = [.. backups.Where(backup => era.Holds(backup.Era, backup.Position)).Select(static backup => backup.Fact)];
                for (int day = 0; day <= era.LastDay; day++)
                {
                    DateTimeOffset instant = s_now.AddDays(day - days);
                    if (instant >= start && leading.Where(backup => backup.StopTime <= instant).MaxBy(static backup => backup.StopTime) is { } best)
                    {
                        Assert.True(kept.Contains(best.Id), $"World {seed}: timeline {era.Timeline}, day {day} needs the backup '{best.Id}'.");
                        branched += best.StopTime < start && backups.Any(backup =>
                            backup.Fact.StopTime > best.StopTime && backup.Fact.StopTime <= start) ? 1 : 0;
                    }
                }
            }

            // And no more than one for each timeline ahead of the window.
            Assert.True(backups.Count(backup => kept.Contains(backup.Fact.Id) && backup.Fact.StopTime <= start) <= timelines.Length + 1);
        }

        Assert.True(branched > 100, $"Only {branched} instants needed another backup than the last.");
    }

    /// <summary>A timeline: where it comes from, and from which position to which it goes.</summary>
    private sealed class Era(uint timeline, Era? parent, int begin, int end, int lastDay)
    {
        public uint Timeline => timeline;

        public int Begin => begin;

        public int End { get; set; } = end;

        public int LastDay { get; set; } = lastDay;

        /// <summary>Whether a position of a timeline belongs to the history of this one.</summary>
        public bool Holds(Era other, int position) =>
            other == this || (parent is not null && (parent == other ? position <= begin : position <= begin && parent.Holds(other, position)));

        public TimelineHistory History()
        {
            List<TimelineBranch> branches = [];
            int limit = begin;
            for (Era? era = parent; era is not null; era = era.Parent)
            {
                branches.Insert(0, new TimelineBranch(era.Timeline, new Lsn((ulong)limit), "test"));
                limit = Math.Min(limit, era.Begin);
            }

            return branches.Count == 0 ? TimelineHistory.Root(timeline) : TimelineHistory.Parse(timeline, TimelineHistory.Format(branches));
        }

        private Era? Parent => parent;
    }

    private static HashSet<string> Kept(RetentionPolicy policy, BackupFact[] backups) =>
        [.. RetentionRules.Decide(policy, backups, s_now).Where(static d => d.IsKept).Select(static d => d.Backup.Id)];

    private static BackupFact Fact(DateTimeOffset start) => new()
    {
        Component = Component.Database,
        Id = $"{start.UtcDateTime:yyyyMMdd'T'HHmmss'Z'}-full",
        Subject = "7000000000000000001",
        StartTime = start,
        StopTime = start.AddMinutes(10),
    };

    private static BackupFact Logical(DateTimeOffset start) => Fact(start) with
    {
        Id = $"{start.UtcDateTime:yyyyMMdd'T'HHmmss'Z'}-logical",
        Series = "Logical",
        StopTime = start,
    };

    private static void Check(Func<RetentionPolicy, BackupFact[], bool> property)
    {
        Gen<RetentionPolicy> policies =
            from counts in Gen.Choose(0, 6).ArrayOf(5)
            from within in Gen.Choose(0, 40)
            from window in Gen.Choose(0, 40)
            select new RetentionPolicy
            {
                Last = counts[0],
                Daily = counts[1],
                Weekly = counts[2],
                Monthly = counts[3],
                Yearly = counts[4],
                Within = within > 20 ? null : TimeSpan.FromDays(within),
                RecoveryWindow = window > 20 ? null : TimeSpan.FromDays(window),
            };
        Gen<BackupFact> facts =
            from hours in Gen.Choose(0, 24 * 800)
            from minutes in Gen.Choose(0, 600)
            from kind in Gen.Choose(0, 3)
            from flags in Gen.Choose(0, 9)
            select Fact(s_now.AddHours(-hours)) with
            {
                Component = kind < 2 ? Component.Database : Component.FileStore,
                Subject = kind % 2 == 0 ? "one" : "two",
                StopTime = s_now.AddHours(-hours).AddMinutes(minutes),
                IsPartial = kind >= 2 && flags < 4,
                Hold = flags == 9 ? "why" : null,
            };
        Gen<BackupFact[]> lists = from size in Gen.Choose(0, 40)
                                  from list in facts.ArrayOf(size)
                                  select list.DistinctBy(static fact => fact.Id).ToArray();
        Prop.ForAll(policies.ToArbitrary(), lists.ToArbitrary(), (policy, backups) => property(policy, backups))
            .QuickCheckThrowOnFailure();
    }
}
