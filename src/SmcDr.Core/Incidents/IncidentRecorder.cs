using System.Diagnostics;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Incidents;

/// <summary>
/// Notes a command in the timelines of the site's open incidents: that it began, and how it ended. It works beside the command and never in its way:
/// what it cannot note is told in passing, and it
/// waits for a repository that does not answer only for a few seconds. Where no incident is open, all that it costs is one listing.
/// </summary>
public sealed class IncidentRecorder
{
    private static readonly TimeSpan s_again = TimeSpan.FromSeconds(1);

    private readonly SecretResolver _secrets;
    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly Task<Beginning?> _beginning;
    private int _isEnded;

    private IncidentRecorder(Site site, SecretResolver secrets, string command, IOperationObserver observer)
    {
        (Site, _secrets, Command) = (site, secrets, SiteIncidents.Clean(command));
        _beginning = Task.Run(() => BeginAsync(observer));
    }

    /// <summary>The site that the command works on.</summary>
    public Site Site { get; }

    /// <summary>The command with its arguments, without what looks like a password.</summary>
    public string Command { get; }

    /// <summary>When it began, in UTC.</summary>
    public DateTimeOffset StartTime { get; } = DateTimeOffset.UtcNow;

    /// <summary>Over when the beginning is noted, or cannot be.</summary>
    internal Task Begun => _beginning;

    /// <summary>Begins to note a command.</summary>
    /// <param name="site">The site that it works on.</param>
    /// <param name="secrets">Gives the key of an encrypted repository.</param>
    /// <param name="command">The command with its arguments. What looks like a password is hidden.</param>
    /// <param name="observer">Hears where nothing can be noted.</param>
    public static IncidentRecorder Start(Site site, SecretResolver secrets, string command, IOperationObserver observer) => new(site, secrets, command, observer);

    /// <summary>Notes the end. Only the first one counts.</summary>
    /// <param name="outcome"><c>Succeeded</c>, <c>Failed</c>, <c>Declined</c> or <c>Stopped</c>.</param>
    /// <param name="error">What went wrong; null where nothing did.</param>
    /// <param name="observer">Hears where nothing can be noted.</param>
    public async Task EndAsync(string outcome, SmcException? error, IOperationObserver observer)
    {
        ArgumentNullException.ThrowIfNull(observer);
        if (Interlocked.Exchange(ref _isEnded, 1) != 0 || await _beginning.ConfigureAwait(false) is not { } beginning)
        {
            return;
        }

        double elapsed = Stopwatch.GetElapsedTime(_start).TotalSeconds;
        await using (beginning.Repository.Store.ConfigureAwait(false))
        {
            // Each by itself, so that one that cannot be noted takes no other with it.
            await Task.WhenAll(beginning.Entries.Select(entry => TryAsync(
                "The end of this command is",
                observer.Warning,
                token => AppendAsync(
                    beginning.Repository,
                    IncidentJournal.NewEntry(beginning.Repository, entry.IncidentId) with
                    {
                        EndOf = entry.EntryId,
                        Outcome = outcome,
                        ElapsedSeconds = elapsed,
                        Problem = error is null ? null : SiteIncidents.Clean(error.Message),
                        ErrorId = error?.ErrorId,
                    },
                    token)))).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Appends an end, again and again until the time is over: without it the command would be shown as one that runs. Two ends of one command, where an
    /// answer was lost, count as one.
    /// </summary>
    private async Task<object?> AppendAsync(Repository repository, IncidentJournalEntry entry, CancellationToken cancellationToken)
    {
        while (true)
        {
            SmcException failure;
            try
            {
                await IncidentJournal.AppendAsync(repository, Site.Name, entry, cancellationToken).ConfigureAwait(false);
                return null;
            }
            catch (SmcException e)
            {
                failure = e;
            }

            try
            {
                await Task.Delay(s_again, cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                throw failure;
            }
        }
    }

    private Task<Beginning?> BeginAsync(IOperationObserver observer) => TryAsync("This command is", observer.Verbose, async token =>
    {
        IReadOnlyList<string> open;
        IObjectStore store = ObjectStoreFactory.Open(Site.Repository.Location);
        await using (store.ConfigureAwait(false))
        {
            open = await IncidentJournal.FindOpenAsync(store, Site.Name, token).ConfigureAwait(false);
        }

        if (open.Count == 0)
        {
            return null;
        }

        Repository repository = await Site.OpenRepositoryAsync(_secrets, token).ConfigureAwait(false);
        IncidentJournalEntry[] entries = [.. open.Select(id => IncidentJournal.NewEntry(repository, id) with
        {
            Time = StartTime, Command = Command, Process = IncidentProcess.Own,
        })];
        foreach (IncidentJournalEntry entry in entries)
        {
            await IncidentJournal.AppendAsync(repository, Site.Name, entry, token).ConfigureAwait(false);
        }

        return new Beginning(repository, entries);
    });

    private static async Task<T?> TryAsync<T>(string what, Action<string> tell, Func<CancellationToken, Task<T?>> work)
    {
        T? result = default;
        if (await BestEffort.TryAsync(async token => result = await work(token).ConfigureAwait(false)).ConfigureAwait(false) is not { } problem)
        {
            return result;
        }

        tell($"{what} not noted in the timeline of the site's incidents: {problem}");
        return default;
    }

    private sealed record Beginning(Repository Repository, IReadOnlyList<IncidentJournalEntry> Entries);
}
