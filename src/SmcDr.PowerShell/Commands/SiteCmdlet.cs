using System.Collections.Concurrent;
using System.Management.Automation;
using System.Reflection;
using SmcDr.Core.Failures;
using SmcDr.Core.Incidents;
using SmcDr.Core.Notifications;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>The base of the cmdlets that work on a site.</summary>
public abstract class SiteCmdlet : SmcCmdlet
{
    // By the site's file: through the pipeline may come several.
    private readonly ConcurrentDictionary<string, IncidentRecorder> _recorders = new(StringComparer.Ordinal);
    private IncidentRecorder? _last;

    /// <summary>
    /// The site: its name, the path of its file, or what Get-SmcSite returns. Without it, the session's current site; else the file
    /// that the environment variable SMCDR_SITE names; else smcdr.yaml in the current directory.
    /// </summary>
    [Parameter]
    [SmcSite]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(SiteCompleter))]
    public string? Site { get; set; }

    /// <summary>Copies a new backup to the site's copies, writes it, and locks it where the site asks for that.</summary>
    private protected static async Task FinishBackupAsync(
        SmcPipeline pipeline, Site site, SecretResolver secrets, Repository repository, BackupInfo backup, CancellationToken cancellationToken)
    {
        backup = await site.CopyBackupAsync(secrets, repository, backup, pipeline, cancellationToken).ConfigureAwait(false);
        await pipeline.WriteObjectAsync(backup).ConfigureAwait(false);
        await site.LockNewBackupAsync(repository, backup, pipeline, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Does one of several things: where it fails it is told, and is no reason to leave the next out. One that is alone ends the command.</summary>
    /// <param name="pipeline">The run of the command.</param>
    /// <param name="count">How many they are.</param>
    /// <param name="target">What it is done to.</param>
    /// <param name="work">What is done.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    private protected static async Task DoOneOfAsync(
        SmcPipeline pipeline, int count, string target, Func<Task> work, CancellationToken cancellationToken)
    {
        try
        {
            await work().ConfigureAwait(false);
        }
        catch (SmcException e) when (count > 1 && !cancellationToken.IsCancellationRequested)
        {
            await pipeline.WriteErrorAsync(e, target).ConfigureAwait(false);
        }
    }

    /// <summary>Whether it is only asked what would be done, for what can show more of that than a line.</summary>
    private protected static Task<bool> IsWhatIfAsync(SmcPipeline pipeline) => pipeline.InvokeAsync(static cmdlet =>
        cmdlet.MyInvocation.BoundParameters.TryGetValue("WhatIf", out object? given)
            ? given is SwitchParameter { IsPresent: true }
            : LanguagePrimitives.IsTrue(cmdlet.GetVariableValue("WhatIfPreference")));

    /// <summary>Whether the command is noted in the site's open incidents: what only looks is not.</summary>
    private protected virtual bool IsNoted => Declaration?.VerbName != VerbsCommon.Get;

    // Why one fails is noted, for whoever asks in the morning.
    private bool IsBackup => Declaration?.VerbName == VerbsData.Backup;

    private CmdletAttribute? Declaration => GetType().GetCustomAttribute<CmdletAttribute>();

    /// <summary>Whether the command goes by the region that leads: not what works on the repository alone, or finds that out by itself.</summary>
    private protected virtual bool GoesByLeader => true;

    /// <summary>Loads the site that is meant, and finds out which of its regions leads. From here on the command is noted in the site's open incidents.</summary>
    private protected Task<Site> LoadSiteAsync(SmcPipeline pipeline) => LoadSiteAsync(pipeline, Site);

    /// <inheritdoc cref="LoadSiteAsync(SmcPipeline)"/>
    private protected async Task<Site> LoadSiteAsync(SmcPipeline pipeline, string? which)
    {
        Site site = await SiteArguments.LoadAsync(pipeline, which).ConfigureAwait(false);
        if (IsNoted && !_recorders.ContainsKey(site.Path) && !await IsWhatIfAsync(pipeline).ConfigureAwait(false))
        {
            string command = await pipeline.InvokeAsync(static cmdlet => CommandText.Describe(cmdlet.MyInvocation)).ConfigureAwait(false);
            _recorders.TryAdd(site.Path, IncidentRecorder.Start(site, SiteArguments.CreateSecrets(pipeline), command, pipeline));
        }

        _last = _recorders.GetValueOrDefault(site.Path);

        return GoesByLeader ? await SiteArguments.FindLeaderAsync(pipeline, site).ConfigureAwait(false) : site;
    }

    /// <inheritdoc/>
    private protected override async Task EndedAsync(SmcPipeline pipeline, string outcome, SmcException? error)
    {
        await Task.WhenAll(_recorders.Values.Select(recorder => recorder.EndAsync(outcome, error, pipeline))).ConfigureAwait(false);
        // Of several sites it is the last one that did not come to its end.
        if (outcome == "Failed" && error is not null && IsBackup && _last is { } failed)
        {
            await BackupFailures.NoteAsync(
                failed.Site,
                SiteArguments.CreateSecrets(pipeline),
                // Of "SmcSystem", none.
                Enum.TryParse(Declaration!.NounName["Smc".Length..], out Component component) ? component : null,
                failed.Command,
                failed.StartTime,
                error,
                AlertSendOptions.FindStateDirectory(Environment.GetEnvironmentVariable),
                pipeline).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
        {
            // Where the pipeline ended between two inputs nobody has noted the end yet, and nobody waits for it.
            foreach (IncidentRecorder recorder in _recorders.Values)
            {
                _ = recorder.EndAsync("Stopped", null, NullObserver.Instance);
            }
        }
    }
}
