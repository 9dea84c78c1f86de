using System.Management.Automation;
using System.Reflection;
using SmcDr.Core.Incidents;
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
    private IncidentRecorder? _recorder;

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

    /// <summary>Whether it is only asked what would be done, for what can show more of that than a line.</summary>
    private protected static Task<bool> IsWhatIfAsync(SmcPipeline pipeline) => pipeline.InvokeAsync(static cmdlet =>
        cmdlet.MyInvocation.BoundParameters.TryGetValue("WhatIf", out object? given)
            ? given is SwitchParameter { IsPresent: true }
            : LanguagePrimitives.IsTrue(cmdlet.GetVariableValue("WhatIfPreference")));

    /// <summary>Whether the command is noted in the site's open incidents: what only looks is not.</summary>
    private protected virtual bool IsNoted => GetType().GetCustomAttribute<CmdletAttribute>()?.VerbName != VerbsCommon.Get;

    /// <summary>Loads the site that is meant. From here on the command is noted in the site's open incidents.</summary>
    private protected async Task<Site> LoadSiteAsync(SmcPipeline pipeline)
    {
        Site site = await SiteArguments.LoadAsync(pipeline, Site).ConfigureAwait(false);
        if (_recorder is null && IsNoted && !await IsWhatIfAsync(pipeline).ConfigureAwait(false))
        {
            string command = await pipeline.InvokeAsync(static cmdlet => CommandText.Describe(cmdlet.MyInvocation)).ConfigureAwait(false);
            _recorder = IncidentRecorder.Start(site, SiteArguments.CreateSecrets(pipeline), command, pipeline);
        }

        return site;
    }

    /// <inheritdoc/>
    private protected override Task EndedAsync(SmcPipeline pipeline, string outcome, SmcException? error) =>
        _recorder?.EndAsync(outcome, error, pipeline) ?? Task.CompletedTask;

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
        {
            // Where the pipeline ended between two inputs nobody has noted the end yet, and nobody waits for it.
            _ = _recorder?.EndAsync("Stopped", null, NullObserver.Instance);
        }
    }
}
