using System.Management.Automation;
using SmcDr.Core.Regions;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Makes the database and the Redis of a region follow those of the region that leads.</summary>
/// <remarks>
/// <para>
/// Run it on the host of the standby. The database is made from the newest base backup in the repository, so the primary is asked for a replication slot and
/// for nothing else. The standby then streams from the primary, and takes from the repository what the primary does not have any more: a link that was cut
/// heals. For that its restore_command runs smcdr, which must be there, and able to read the site file and the repository as the server's account.
/// </para>
/// <para>
/// The password for the primary lies beside the data directory, in a file that the server's account alone can read. Run again, the command changes what is
/// different and nothing else.
/// </para>
/// </remarks>
/// <example>
/// <code>Initialize-SmcRegionReplica -Region west -WhatIf</code>
/// Shows what would be done.
/// </example>
/// <example>
/// <code>Initialize-SmcRegionReplica -Region east -Delta</code>
/// Makes the former primary a standby, keeping what is right in its data directory.
/// </example>
/// <example>
/// <code>Initialize-SmcRegionReplica west -Program /opt/smcdr/smcdr -Confirm:$false | Format-List Component, State, Changes, Link</code>
/// Makes the standby without asking, with a program that is not on the search path, and shows what was changed.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.RegionUnsuitable"/>: The region leads, is not on this host, or cannot follow as it is.</exception>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.TargetNotEmpty"/>: The data directory holds something else, and neither -Force nor -Delta is given.
/// </exception>
/// <seealso cref="GetSmcRegionCommand"/>
/// <seealso cref="StartSmcRegionFailoverCommand"/>
/// <seealso cref="StartSmcRegionFailbackCommand"/>
/// <seealso href="about_SmcDr_Failover"/>
[Cmdlet(VerbsData.Initialize, "SmcRegionReplica", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(RegionReplicaResult))]
public sealed class InitializeSmcRegionReplicaCommand : SiteCmdlet
{
    /// <summary>The region that is to follow. Without it, the only one that does not lead.</summary>
    [Parameter(Position = 0)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(RegionCompleter))]
    public string? Region { get; set; }

    /// <summary>The base backup to begin with. Without it, the newest that the primary's history goes through.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(BackupIdCompleter))]
    public string? BackupId { get; set; }

    /// <summary>Keeps what is right in an old data directory, by its digests, and overwrites or removes the rest, without a copy.</summary>
    [Parameter]
    public SwitchParameter Delta { get; set; }

    /// <summary>Moves aside what is in the data directory, and lets a Redis lose keys of its own.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <summary>Gives the standby no restore_command: it streams only, and a link that is cut for too long ends it.</summary>
    [Parameter]
    public SwitchParameter NoArchive { get; set; }

    /// <summary>What starts smcdr on this host, with further words where it needs some. Without it, smcdr of the search path.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[] Program { get; set; } = [];

    /// <summary>How many requests to the repository run at a time.</summary>
    [Parameter]
    [ValidateRange(1, 256)]
    public int? Parallelism { get; set; }

    /// <inheritdoc/>
    private protected override bool GoesByLeader => false;

    /// <inheritdoc/>
    protected override async Task EndProcessingAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        SecretResolver secrets = SiteArguments.CreateSecrets(pipeline);
        Repository repository = await site.OpenForReadingAsync(secrets, pipeline, cancellationToken).ConfigureAwait(false);
        RegionReplicaPlan plan = await RegionReplica.PlanAsync(
            site,
            secrets,
            new RegionReplicaRequest
            {
                Repository = repository,
                Region = Region,
                BackupId = BackupId,
                Delta = Delta,
                Force = Force,
                Program = NoArchive ? [] : Program.Length > 0 ? Program : [await FindProgramAsync(pipeline).ConfigureAwait(false)],
                Parallelism = Parallelism,
            },
            pipeline,
            cancellationToken).ConfigureAwait(false);
        string description = string.Join(Environment.NewLine, plan.Describe());
        if (plan.IsUnchanged && !await IsWhatIfAsync(pipeline).ConfigureAwait(false))
        {
            pipeline.WriteVerbose(description);
        }
        else if (!await pipeline.ShouldProcessAsync(
            description,
            $"{description}{Environment.NewLine}Carry this out?",
            $"Make '{plan.Follower.Name}' follow '{plan.Leader.Name}'").ConfigureAwait(false))
        {
            return;
        }

        foreach (RegionReplicaResult result in await RegionReplica.ExecuteAsync(site, secrets, plan, pipeline, cancellationToken).ConfigureAwait(false))
        {
            await pipeline.WriteObjectAsync(result).ConfigureAwait(false);
        }
    }

    private static async Task<string> FindProgramAsync(SmcPipeline pipeline) =>
        await pipeline.InvokeAsync(static cmdlet => cmdlet.InvokeCommand.GetCommand("smcdr", CommandTypes.Application)?.Source).ConfigureAwait(false)
        ?? throw new SmcException(
            SmcErrorCode.ProgramNotFound,
            "The program 'smcdr', which the standby's restore_command runs, is not on the search path.",
            recommendation: "Put it where the server's account can run it (in the project's folder, './build.sh program' makes it), give its path by -Program, or leave the standby without a second source by -NoArchive.",
            target: "smcdr");
}
