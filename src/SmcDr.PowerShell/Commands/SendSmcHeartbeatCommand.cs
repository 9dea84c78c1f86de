using System.Management.Automation;
using SmcDr.Core.Notifications;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Tells the site's dead man's switch that all is well.</summary>
/// <remarks>
/// <para>
/// An alert can only be sent by what still runs. So what watches the backups tells a service elsewhere each time that all is well, and the service raises the
/// alarm when it is not told any more: alerts.heartbeatUrl in the site file is a secret reference to the URL that it gives for that, which is asked by GET.
/// </para>
/// </remarks>
/// <example>
/// <code>if (Test-SmcBackup -NewerThan 26h -Quiet) { Send-SmcHeartbeat }</code>
/// The daily monitor: only while all backups are there and new enough does the alarm stay silent.
/// </example>
/// <example>
/// <code>if (@(Measure-SmcObjective | Where-Object Verdict -in Missed, Unknown).Count -eq 0) { Send-SmcHeartbeat -Timeout 30s }</code>
/// Tells it only while every objective holds.
/// </example>
/// <example>
/// <code>if ((Test-SmcRecovery -Quiet) -and (Test-SmcSite -Quiet)) { Send-SmcHeartbeat }</code>
/// For the monthly test: the alarm stays silent only where the database was truly recovered.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.AlertNotDelivered"/>: The service could not be told.</exception>
/// <seealso cref="SendSmcAlertCommand"/>
/// <seealso cref="TestSmcBackupCommand"/>
/// <seealso cref="RegisterSmcScheduleCommand"/>
[Cmdlet(VerbsCommunications.Send, "SmcHeartbeat", SupportsShouldProcess = true)]
[OutputType(typeof(AlertResult))]
public sealed class SendSmcHeartbeatCommand : SiteCmdlet
{
    /// <summary>How long it is tried, such as 2m, which is the default.</summary>
    [Parameter]
    [SmcDuration]
    public TimeSpan? Timeout { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        AlertSender sender = new(site, SiteArguments.CreateSecrets(pipeline), pipeline);
        // A site that has none is told so, whatever was asked.
        _ = sender.GetHeartbeat();
        if (!await pipeline.ShouldProcessAsync("heartbeat", "Tell that all is well").ConfigureAwait(false))
        {
            return;
        }

        DeliveryOptions options = new();
        AlertResult result = await sender.SendHeartbeatAsync(options with { Timeout = Timeout ?? options.Timeout }, cancellationToken).ConfigureAwait(false);
        await pipeline.WriteObjectAsync(result).ConfigureAwait(false);
        if (AlertSender.FindFailure([result]) is { } failure)
        {
            await pipeline.WriteErrorAsync(failure, result).ConfigureAwait(false);
        }
    }
}
