using System.Globalization;
using System.Text;
using System.Text.Json;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Plans;

/// <summary>
/// The durable record of a plan in a repository: each entry an object of its own, numbered, made by a write that only one can win. So whoever goes
/// on with a plan takes the next number from everybody else, and a run that was replaced finds it taken before its next step.
/// </summary>
internal sealed class PlanJournal
{
    // Larger than any decision, and far below what a store or a reader minds.
    private const int MaximumOutput = 64 << 10;

    private readonly Repository _repository;
    private readonly EntryFolder _folder;
    private readonly string _run = Guid.NewGuid().ToString("N");
    private readonly Lock _lock = new();
    private readonly Dictionary<string, StepRecord> _steps = new(StringComparer.Ordinal);
    private Task _appending = Task.CompletedTask;
    private long _next;

    private PlanJournal(Repository repository, string site, string planId)
    {
        _repository = repository;
        _folder = FolderOf(site, planId);
        PlanId = planId;
    }

    /// <summary>The plan's id.</summary>
    public string PlanId { get; }

    /// <summary>What is to be done.</summary>
    public PlanBegin Begin { get; private set; } = null!;

    /// <summary>The first entry.</summary>
    public PlanJournalEntry First { get; private set; } = null!;

    /// <summary>The newest entry.</summary>
    public PlanJournalEntry Last { get; private set; } = null!;

    /// <summary>How many runs there were.</summary>
    public int Runs { get; private set; }

    /// <summary>How it ended; null where it did not.</summary>
    public PlanEnd? End { get; private set; }

    /// <summary>What the steps have saved.</summary>
    public StepOutputs Outputs { get; } = new();

    /// <summary>What is known of each step that was begun or decided on.</summary>
    public IReadOnlyDictionary<string, StepRecord> Steps
    {
        get
        {
            lock (_lock)
            {
                return new Dictionary<string, StepRecord>(_steps, StringComparer.Ordinal);
            }
        }
    }

    /// <summary>Begins the journal of a plan, under an id that nobody else has.</summary>
    public static async Task<PlanJournal> BeginAsync(Repository repository, Plan plan, CancellationToken cancellationToken)
    {
        PlanBegin begin = new()
        {
            Site = plan.Site,
            Operation = plan.Operation,
            Title = plan.Title,
            Tool = Repository.ToolVersion,
            Intent = plan.Intent,
            Steps =
            [
                .. plan.Steps.Select(static step => new PlannedStep(
                    step.Key, step.Title, step.Target, step.After, step.Describe(), step.SizeBytes)),
            ],
        };

        // An id is a second. Where two plans begin in the same one, the first entry decides, and the other takes the next.
        for (DateTimeOffset time = DateTimeOffset.UtcNow; ; time = time.AddSeconds(1))
        {
            PlanJournal journal = new(repository, plan.Site, NewId(time, plan.Operation));
            try
            {
                await journal.AppendAsync(journal.NewEntry() with { Begin = begin }, cancellationToken).ConfigureAwait(false);
                return journal;
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.LeaseLost)
            {
                cancellationToken.ThrowIfCancellationRequested();
            }
        }
    }

    /// <summary>Reads a journal.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.PlanUnsuitable"/>; or the damage of an entry: what follows it cannot be relied on.
    /// </exception>
    public static async Task<PlanJournal> LoadAsync(Repository repository, string site, string planId, CancellationToken cancellationToken)
    {
        PlanJournal journal = new(repository, site, IsId(planId) ? planId : throw NotFound(repository, site, planId));
        string endKey = journal._folder.EndKey;
        IReadOnlyList<long> numbers = await journal._folder
            .FindNumbersAsync(repository.ListAsync(journal._folder.Path, cancellationToken), cancellationToken).ConfigureAwait(false);
        // All up to the last: one that is missing is a gap.
        long[] all = [.. Enumerable.Range(0, numbers.Count == 0 ? 0 : checked((int)numbers.Max() + 1)).Select(static number => (long)number)];
        foreach (PlanJournalEntry? entry in await EntryFolder.ReadAsync(all, journal.TryReadAsync, cancellationToken).ConfigureAwait(false))
        {
            journal.Apply(entry ?? throw Gap(journal));
        }

        // A listing may be old.
        while (await journal.TryReadAsync(journal._next, cancellationToken).ConfigureAwait(false) is { } entry)
        {
            journal.Apply(entry);
        }

        if (journal._next == 0)
        {
            throw NotFound(repository, site, planId);
        }

        journal.End = await repository.TryReadDocumentAsync(
            endKey, PlanJson.Default.PlanEnd, cancellationToken, end => journal.EnsureOwn(end.RepositoryId, end.PlanId, end.Format, endKey)).ConfigureAwait(false);
        return journal;
    }

    /// <summary>The ids of a site's plans, newest first.</summary>
    public static Task<IReadOnlyList<string>> ListIdsAsync(Repository repository, string site, CancellationToken cancellationToken) =>
        EntryFolder.ListIdsAsync(repository.ListFoldersAsync(RepositoryKeys.Journals(site), cancellationToken), IsId, cancellationToken);

    /// <summary>Whether a plan's id says that it was begun by a command.</summary>
    public static bool IsOf(string planId, string operation) => planId.EndsWith(SuffixOf(operation), StringComparison.Ordinal);

    /// <summary>What ended a plan; null where nothing did.</summary>
    public static Task<PlanEnd?> TryReadEndAsync(Repository repository, string site, string planId, CancellationToken cancellationToken) =>
        repository.TryReadDocumentAsync(FolderOf(site, planId).EndKey, PlanJson.Default.PlanEnd, cancellationToken);

    /// <summary>Whether a plan was ended: one request.</summary>
    public static Task<bool> IsEndedAsync(Repository repository, string site, string planId, CancellationToken cancellationToken) =>
        FolderOf(site, planId).IsEndedAsync(repository.Store, cancellationToken);

    /// <summary>Ends a plan whose journal cannot be read any more.</summary>
    public static Task AbandonDamagedAsync(Repository repository, string site, string planId, CancellationToken cancellationToken)
    {
        DateTimeOffset now = DateTimeOffset.UtcNow;
        PlanEnd end = new()
        {
            RepositoryId = repository.Id,
            PlanId = planId,
            Operation = "",
            Outcome = PlanEnd.Abandoned,
            StartTime = now,
            EndTime = now,
            User = Environment.UserName,
            Host = Environment.MachineName,
            Runs = 0,
            Steps = [],
        };
        return Repository.PutDocumentAsync(
            repository.Store, FolderOf(site, planId).EndKey, end, PlanJson.Default.PlanEnd, cancellationToken);
    }

    /// <summary>Takes the plan up in this run. From then on nobody else's entries are taken.</summary>
    public Task TakeUpAsync(CancellationToken cancellationToken) => AppendAsync(NewEntry(), cancellationToken);

    /// <summary>Notes what became of a step. Durable when this returns.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.LeaseLost"/>: somebody else goes on with the plan.</exception>
    public Task AppendAsync(PlanStepResult result, bool? isWhole, JsonElement? output, CancellationToken cancellationToken)
    {
        if (output is { } saved && Encoding.UTF8.GetByteCount(saved.GetRawText()) > MaximumOutput)
        {
            throw new ArgumentException($"What the step '{result.Step}' saves is too much for a journal.", nameof(output));
        }

        return AppendAsync(
            NewEntry() with
            {
                Step = result.Step,
                State = result.State,
                StartTime = result.StartTime,
                ElapsedSeconds = result.ElapsedSeconds,
                IsWhole = isWhole,
                SizeBytes = result.SizeBytes,
                Detail = result.Detail,
                ErrorId = result.ErrorId,
                Output = output,
            },
            cancellationToken);
    }

    /// <exception cref="SmcException"><see cref="SmcErrorCode.PlanUnsuitable"/>: the plan has ended.</exception>
    public void ThrowIfEnded()
    {
        if (End is { } end)
        {
            throw new SmcException(
                SmcErrorCode.PlanUnsuitable,
                $"The plan '{PlanId}' ended at {DisplayText.Time(end.EndTime)} ({end.Outcome}); there is nothing to go on with.",
                recommendation: "Begin a new plan by running the command without resuming.",
                target: PlanId);
        }
    }

    /// <summary>Ends the journal. An end that is there already stays.</summary>
    public async Task EndAsync(string outcome, CancellationToken cancellationToken)
    {
        IReadOnlyDictionary<string, StepRecord> steps = Steps;
        PlanEnd end = new()
        {
            RepositoryId = _repository.Id,
            PlanId = PlanId,
            Operation = Begin.Operation,
            Outcome = outcome,
            StartTime = First.Time,
            EndTime = DateTimeOffset.UtcNow,
            User = Environment.UserName,
            Host = Environment.MachineName,
            Runs = Runs,
            Steps =
            [
                .. Begin.Steps.Select(step => steps.GetValueOrDefault(step.Key) is { } record
                    ? new EndedStep(step.Key, record.State, record.Last.IsWhole == true ? record.Last.ElapsedSeconds : null, record.Last.SizeBytes)
                    : new EndedStep(step.Key, PlanStepState.NotReached, null, null)),
            ],
        };
        try
        {
            await Repository.PutDocumentAsync(_repository.Store, _folder.EndKey, end, PlanJson.Default.PlanEnd, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ObjectExists)
        {
            // An answer was lost before.
        }

        End = end;
    }

    private static EntryFolder FolderOf(string site, string planId) => new($"{RepositoryKeys.Journals(site)}{planId}/");

    private static string NewId(DateTimeOffset time, string operation) => string.Create(
        CultureInfo.InvariantCulture, $"{time.UtcDateTime:yyyyMMdd'T'HHmmss'Z'}{SuffixOf(operation)}");

    private static string SuffixOf(string operation) => $"-{operation.ToLowerInvariant().Replace("-smc", "-", StringComparison.Ordinal)}";

    private static bool IsId(string text) => ObjectKey.IsValid(text) && !text.Contains('/', StringComparison.Ordinal) && text.Length <= 100;

    private static SmcException NotFound(Repository repository, string site, string planId) => new(
        SmcErrorCode.PlanUnsuitable, $"There is no plan '{planId}' of the site '{site}' in {repository.Location}.", target: planId);

    private static SmcException Gap(PlanJournal journal) => new(
        SmcErrorCode.ManifestInvalid,
        $"The journal of the plan '{journal.PlanId}' in {journal._repository.Location} lacks the entry {journal._next}.",
        recommendation: "Find out who removes objects from the repository. What the plan has done can be seen at its targets only: look there, then begin a new " +
            "plan and give this one up.",
        target: journal.PlanId);

    private PlanJournalEntry NewEntry() => new()
    {
        RepositoryId = _repository.Id,
        PlanId = PlanId,
        Number = 0,
        Time = DateTimeOffset.UtcNow,
        User = Environment.UserName,
        Host = Environment.MachineName,
        ProcessId = Environment.ProcessId,
        Run = _run,
    };

    /// <summary>Appends behind what is being appended.</summary>
    private Task AppendAsync(PlanJournalEntry entry, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            return _appending = AppendBehindAsync(_appending, entry, cancellationToken);
        }
    }

    private async Task AppendBehindAsync(Task before, PlanJournalEntry entry, CancellationToken cancellationToken)
    {
        await before.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);
        while (true)
        {
            PlanJournalEntry numbered = entry with { Number = _next };
            try
            {
                await Repository.PutDocumentAsync(
                    _repository.Store, _folder.KeyOf(_next), numbered, PlanJson.Default.PlanJournalEntry, cancellationToken).ConfigureAwait(false);
                Apply(numbered);
                return;
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.ObjectExists)
            {
                PlanJournalEntry there = await TryReadAsync(_next, cancellationToken).ConfigureAwait(false)
                    ?? throw new SmcException(SmcErrorCode.ObjectNotFound, $"The object '{_folder.KeyOf(_next)}' is there and cannot be read.", e);
                if (there.Run != _run)
                {
                    throw new SmcException(
                        SmcErrorCode.LeaseLost,
                        $"{there.User} on {there.Host} (process {there.ProcessId}) goes on with the plan '{PlanId}' since {DisplayText.Time(there.Time)}.",
                        e,
                        target: PlanId);
                }

                // An answer was lost: that of this very write, or of an earlier one.
                Apply(there);
                if (there.Time == entry.Time && there.Step == entry.Step && there.State == entry.State)
                {
                    return;
                }
            }
        }
    }

    private async Task<PlanJournalEntry?> TryReadAsync(long number, CancellationToken cancellationToken)
    {
        string key = _folder.KeyOf(number);
        return await _repository.TryReadDocumentAsync(key, PlanJson.Default.PlanJournalEntry, cancellationToken, entry =>
        {
            EnsureOwn(entry.RepositoryId, entry.PlanId, entry.Format, key);
            if (entry.Number != number || (number == 0) != (entry.Begin is not null))
            {
                throw new SmcException(SmcErrorCode.ManifestInvalid, $"The object '{key}' is another entry of the journal.", target: key);
            }
        }).ConfigureAwait(false);
    }

    private void EnsureOwn(Guid repositoryId, string planId, int format, string key)
    {
        EntryFolder.EnsureKnown(format, key);
        if (repositoryId != _repository.Id || planId != PlanId)
        {
            throw new SmcException(SmcErrorCode.ManifestInvalid, $"The object '{key}' is of another plan's journal.", target: key);
        }
    }

    private void Apply(PlanJournalEntry entry)
    {
        if (entry.Begin is { } begin)
        {
            (Begin, First) = (begin, entry);
        }

        Runs += entry.Step is null ? 1 : 0;
        (Last, _next) = (entry, entry.Number + 1);
        if (entry is not { Step: { } step, State: { } state })
        {
            return;
        }

        if (entry.Output is { } output)
        {
            Outputs.Set(step, output);
        }

        lock (_lock)
        {
            StepRecord? known = _steps.GetValueOrDefault(step);
            // What a step saves while it is at work is no second beginning: it repeats when it began.
            bool begins = state == PlanStepState.Running && !(known?.State == PlanStepState.Running && known.Last.StartTime == entry.StartTime);
            _steps[step] = new StepRecord
            {
                Last = entry,
                Begun = state == PlanStepState.Undone ? 0 : (known?.Begun ?? 0) + (begins ? 1 : 0),
            };
        }
    }
}
