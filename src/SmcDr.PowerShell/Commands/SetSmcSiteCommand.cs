using System.Management.Automation;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Chooses the site that the other commands of this session work on.</summary>
/// <remarks>
/// <para>
/// The site file is read and checked. Commands that are not given a site then use this one, and its name can be given to -Site
/// wherever it is asked for. Nothing is stored beyond the session, and each runspace has a current site of its own: a thread job or
/// ForEach-Object -Parallel starts without one.
/// </para>
/// </remarks>
/// <example>
/// <code>Set-SmcSite -Path /etc/smcdr/smc-trading.yaml</code>
/// Makes the site of this file the current one.
/// </example>
/// <example>
/// <code>(Set-SmcSite ./smcdr.yaml -PassThru).Repository</code>
/// Chooses the site of the current directory, and shows where its backups are.
/// </example>
/// <example>
/// <code>Get-ChildItem /etc/smcdr/*.yaml | ForEach-Object -Parallel { Import-Module SmcDr; Set-SmcSite $_.FullName; Test-SmcBackup -NewerThan 26h }</code>
/// Looks after several sites at once: each branch has a current site of its own.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.SiteNotFound"/>: There is no such file.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.SiteInvalid"/>: The file is not right: the message has every problem, with its line.</exception>
/// <seealso cref="GetSmcSiteCommand"/>
/// <seealso cref="TestSmcSiteCommand"/>
/// <seealso href="about_SmcDr_Sites"/>
[Cmdlet(VerbsCommon.Set, "SmcSite", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low)]
[OutputType(typeof(SiteInfo))]
public sealed class SetSmcSiteCommand : SmcCmdlet
{
    /// <summary>
    /// The site file, its folder, or the name of a site that the session knows. Without it, the file that the environment variable
    /// SMCDR_SITE names, else smcdr.yaml in the current directory.
    /// </summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Site", "PSPath", "FullName")]
    [SmcSite]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(SiteCompleter))]
    public string? Path { get; set; }

    /// <summary>Returns the site.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        string path = Path ?? await pipeline.InvokeAsync(static cmdlet => SiteFile.FindDefault(
            cmdlet.SessionState.Path.CurrentFileSystemLocation.ProviderPath, Environment.GetEnvironmentVariable)).ConfigureAwait(false);
        SiteInfo site = SiteFile.Load(path).ToInfo(isCurrent: true);
        if (!await pipeline.ShouldProcessAsync($"{site.Name} ({site.Path})", "Use as the session's site").ConfigureAwait(false))
        {
            return;
        }

        await pipeline.InvokeAsync(_ =>
        {
            SiteState.OfThisRunspace().Use(site);
            return true;
        }).ConfigureAwait(false);
        if (PassThru)
        {
            await pipeline.WriteObjectAsync(site).ConfigureAwait(false);
        }
    }
}
