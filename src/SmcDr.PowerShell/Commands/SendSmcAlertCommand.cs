using System.Collections;
using System.Globalization;
using System.Management.Automation;
using SmcDr.Core.Notifications;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Tells the people whom the site file names: by Slack, webhooks and e-mail.</summary>
/// <remarks>
/// <para>
/// All that comes through the pipeline is one alert, and where nothing comes nobody is told. What Test-SmcBackup, Test-SmcSite and Measure-SmcObjective
/// return makes its own title, severity and key; anything else needs -Title, and is told by its properties.
/// </para>
/// <para>
/// Each channel is tried until it takes the alert or the time is up, with growing pauses or those that it asks for. A channel that was told of a key is not told
/// again within alerts.repeatAfter of the site file (4h without it), unless it has become worse; what was told is noted in a file of this account, under
/// SMCDR_STATE_DIR, XDG_STATE_HOME/smcdr or ~/.local/state/smcdr. -Resolved tells that it is over, those who were told of it.
/// </para>
/// <para>
/// The result says what became of it on each channel. Where one could not be told there is an error besides, and the exit code of smcdr is 38. Addresses and
/// passwords are in no message, and are taken out of the alert's own text where it holds them.
/// </para>
/// </remarks>
/// <example>
/// <code>Test-SmcBackup -NewerThan 26h | Where-Object Outcome -ne Passed | Send-SmcAlert</code>
/// The daily monitor: tells what is wrong with the backups, and nobody where nothing is.
/// </example>
/// <example>
/// <code>Send-SmcAlert 'The failover test begins' -Severity Information -Field @{ Region = 'west' } -Channel oncall</code>
/// Tells one channel.
/// </example>
/// <example>
/// <code>Send-SmcAlert 'Backups are complete again' -Key backups -Resolved</code>
/// Tells those who heard of failed backups that it is over.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.AlertNotDelivered"/>: A channel could not be told: the result says which, and why.</exception>
/// <seealso cref="SendSmcHeartbeatCommand"/>
/// <seealso cref="TestSmcBackupCommand"/>
/// <seealso cref="MeasureSmcObjectiveCommand"/>
/// <seealso cref="RegisterSmcScheduleCommand"/>
[Cmdlet(VerbsCommunications.Send, "SmcAlert", SupportsShouldProcess = true)]
[OutputType(typeof(AlertResult))]
public sealed class SendSmcAlertCommand : SiteCmdlet
{
    private const int MaximumProperties = 12;

    private readonly List<object> _results = [];
    private readonly List<string> _lines = [];

    /// <summary>What happened, in a line.</summary>
    [Parameter(Position = 0)]
    [ValidateNotNullOrEmpty]
    public string? Title { get; set; }

    /// <summary>More, in as many lines as it takes.</summary>
    [Parameter(Position = 1)]
    [AllowEmptyString]
    public string? Text { get; set; }

    /// <summary>How much it matters. Without it, what the results make of it, else Error.</summary>
    [Parameter]
    public AlertSeverity? Severity { get; set; }

    /// <summary>Facts that go with it, by name.</summary>
    [Parameter]
    [ValidateNotNull]
    public IDictionary? Field { get; set; }

    /// <summary>What tells it from other alerts. Without it, what the results make of it, else the title.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? Key { get; set; }

    /// <summary>What it is about, such as the results of Test-SmcBackup.</summary>
    [Parameter(ValueFromPipeline = true)]
    [AllowNull]
    public PSObject? InputObject { get; set; }

    /// <summary>The channels of the site, by name. Without it, all.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(ChannelCompleter))]
    public string[] Channel { get; set; } = [];

    /// <summary>Tells that it is over, and lets it be told anew when it comes back.</summary>
    [Parameter]
    public SwitchParameter Resolved { get; set; }

    /// <summary>For how long a channel that was told is not told again, such as 4h. Without it, what the site file says.</summary>
    [Parameter]
    [SmcDuration]
    public TimeSpan? RepeatAfter { get; set; }

    /// <summary>How long each channel is tried, such as 2m, which is the default.</summary>
    [Parameter]
    [SmcDuration]
    public TimeSpan? Timeout { get; set; }

    /// <summary>Tells all channels, also those that were told not long ago or ask for worse.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        if (InputObject is not { } input)
        {
            return;
        }

        _results.Add(input.BaseObject);
        // Properties may be scripts, which run on the pipeline thread alone.
        _lines.Add(await pipeline.InvokeAsync(_ => Describe(input)).ConfigureAwait(false));
    }

    /// <inheritdoc/>
    protected override async Task EndProcessingAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        bool isPiped = await pipeline.InvokeAsync(static cmdlet => cmdlet.MyInvocation.ExpectingInput).ConfigureAwait(false);
        if (isPiped && _results.Count == 0)
        {
            pipeline.WriteVerbose("Nothing came through the pipeline, so nobody is told.");
            return;
        }

        AlertDraft? draft = AlertDraft.From(_results);
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        Alert alert = Alert.Create(
            site.Name,
            Severity ?? draft?.Severity ?? AlertSeverity.Error,
            Title ?? draft?.Title ?? "",
            string.Join('\n', new[] { Text }.OfType<string>().Concat(draft?.Lines ?? _lines)),
            (Field ?? new Hashtable()).Cast<DictionaryEntry>().Select(static entry => new AlertField(TextOf(entry.Key), TextOf(entry.Value))),
            Key ?? draft?.Key,
            Resolved,
            DateTimeOffset.UtcNow);
        DeliveryOptions delivery = new();
        AlertSendOptions options = new()
        {
            Channels = Channel,
            RepeatAfter = RepeatAfter,
            Force = Force,
            StateDirectory = AlertSendOptions.FindStateDirectory(Environment.GetEnvironmentVariable),
            Delivery = delivery with { Timeout = Timeout ?? delivery.Timeout },
            Approve = channel => pipeline.ShouldProcessAsync(channel, $"Send the alert '{alert.Title}' ({alert.Severity})"),
        };
        IReadOnlyList<AlertResult> results = await new AlertSender(site, SiteArguments.CreateSecrets(pipeline), pipeline)
            .SendAsync(alert, options, cancellationToken).ConfigureAwait(false);
        foreach (AlertResult result in results)
        {
            await pipeline.WriteObjectAsync(result).ConfigureAwait(false);
        }

        if (AlertSender.FindFailure(results) is { } failure)
        {
            await pipeline.WriteErrorAsync(failure).ConfigureAwait(false);
        }
    }

    private static string Describe(PSObject input) => input.BaseObject is string or ValueType or ErrorRecord or Exception
        ? TextOf(input.BaseObject)
        : string.Join(", ", input.Properties.Where(static property => property.IsGettable).Take(MaximumProperties)
            .Select(static property => $"{property.Name}: {TryGet(property)}"));

    private static string TryGet(PSPropertyInfo property)
    {
        try
        {
            return TextOf(property.Value);
        }
        catch (GetValueException)
        {
            return "?";
        }
    }

    private static string TextOf(object? value) => Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";
}
