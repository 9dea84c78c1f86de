using System.Management.Automation;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>The base of the cmdlets that work on a site.</summary>
public abstract class SiteCmdlet : SmcCmdlet
{
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

    /// <summary>Loads the site that is meant.</summary>
    private protected Task<Site> LoadSiteAsync(SmcPipeline pipeline) => SiteArguments.LoadAsync(pipeline, Site);
}
