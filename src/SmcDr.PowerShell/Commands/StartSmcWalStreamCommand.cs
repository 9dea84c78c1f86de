using System.Management.Automation;
using System.Threading.Channels;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Streams the primary database's write-ahead log into the repository until it is stopped.</summary>
/// <remarks>
/// <para>
/// What is committed on the server is in the repository within about a second. The stream goes on by itself when the server or the
/// repository was away, and a replication slot keeps the server from removing WAL that is not stored yet. It writes a status whenever
/// its position changes, and at least every few seconds where the server speaks.
/// </para>
/// <para>
/// Only one stream brings a cluster's log to a repository: a second one is refused with the name of the first, and -Takeover ends that.
/// </para>
/// <para>
/// Ctrl+C, Select-Object -First, -Once, -Until and -Timeout end it; what was received is stored before the prompt comes back. To
/// stream beside other work, run it as a job: Start-ThreadJob { Start-SmcWalStream -Site /etc/smcdr/smc-trading.yaml }.
/// </para>
/// <para>
/// With -AsKubernetesJob the cluster of the site's primary region runs the stream from now on, as a Deployment, by the image that the site file names
/// (kubernetes.job). The command waits until it streams, writes where it stands, and returns; -Timeout says how long that may take. The same command
/// again changes nothing where it runs as is asked. 'kubectl delete deployment' ends it. With -Once or -Until it is a Job, which is followed to its end.
/// </para>
/// </remarks>
/// <example>
/// <code>Start-SmcWalStream</code>
/// Streams until Ctrl+C.
/// </example>
/// <example>
/// <code>Start-SmcWalStream -Synchronous -SynchronousTimeout 5s</code>
/// Streams until Ctrl+C, and no commit on the server returns before it is in the repository, unless that takes longer than 5 seconds: then
/// commits go on without, with a warning, until the stream has caught up.
/// </example>
/// <example>
/// <code>Start-SmcWalStream -SpillDirectory /var/spool/smcdr -SpillLimit 50GiB</code>
/// Streams until Ctrl+C. While the repository is full or cannot be reached, up to 50 GiB are kept on this host, so that the server's disk does
/// not fill, and brought to the repository afterwards.
/// </example>
/// <example>
/// <code>Start-SmcWalStream -AsKubernetesJob</code>
/// Has the site's cluster stream, and shows where the stream stands when it has begun.
/// </example>
/// <example>
/// <code>Start-SmcWalStream -Once -Timeout 2m | Select-Object -Last 1</code>
/// Brings what the server has written by now, and shows where the stream stood at the end. It is an error if that takes longer than two
/// minutes.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.StreamRunning"/>: Another stream brings the same log; the message says from where.</exception>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.SlotLost"/>: The server has removed log that is not in the repository: take a base backup, and start with -ContinueAfterGap.
/// </exception>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.WalDuplicate"/>: The repository has another content under the same name: two servers write one history.
/// </exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.Fenced"/>: The region does not lead the site any more: its log is refused.</exception>
/// <seealso cref="BackupSmcDatabaseCommand"/>
/// <seealso cref="GetSmcWalArchiveCommand"/>
/// <seealso cref="GetSmcRecoveryWindowCommand"/>
/// <seealso cref="EnableSmcPointInTimeRecoveryCommand"/>
/// <seealso href="about_SmcDr_PointInTimeRecovery"/>
[Cmdlet(VerbsLifecycle.Start, "SmcWalStream", SupportsShouldProcess = true, DefaultParameterSetName = UntilStopped)]
[OutputType(typeof(WalStreamStatus))]
public sealed class StartSmcWalStreamCommand : JobCmdlet
{
    private const string UntilStopped = nameof(UntilStopped);
    private const string UntilPosition = nameof(UntilPosition);
    private const string UntilNow = nameof(UntilNow);

    /// <summary>The replication slot, which is created where it is missing. Without it, the site's; an empty name is for one that goes with the connection.</summary>
    [Parameter]
    [AllowEmptyString]
    public string? Slot { get; set; }

    /// <summary>Ends when the WAL up to this position, such as 16/B374D848, is in the repository.</summary>
    [Parameter(Mandatory = true, ParameterSetName = UntilPosition)]
    [ValidateNotNullOrEmpty]
    public string? Until { get; set; }

    /// <summary>Ends when all that the server has written by now is in the repository.</summary>
    [Parameter(Mandatory = true, ParameterSetName = UntilNow)]
    public SwitchParameter Once { get; set; }

    /// <summary>Ends after this time, such as 90s or 15m. With -Once or -Until it is an error not to be there by then.</summary>
    [Parameter]
    [SmcDuration]
    public TimeSpan? Timeout { get; set; }

    /// <summary>Takes over from another stream that seems to be at work; it stops before it writes again.</summary>
    [Parameter]
    public SwitchParameter Takeover { get; set; }

    /// <summary>
    /// Goes on where the server has removed write-ahead log that is not archived, with a new slot where the present one is lost. Nothing in
    /// the gap can be recovered, and what comes after it only from a base backup taken since.
    /// </summary>
    [Parameter]
    public SwitchParameter ContinueAfterGap { get; set; }

    /// <summary>
    /// Lets the server's commits wait until they are in the repository. The stream puts itself into synchronous_standby_names once it has
    /// caught up, and takes itself out when it ends. If it is killed, commits wait until it runs again: have it started again at once.
    /// </summary>
    [Parameter]
    public SwitchParameter Synchronous { get; set; }

    /// <summary>How long commits may wait before they are let go without the repository, which is reported as a breach. 10 seconds if it is not given.</summary>
    [Parameter]
    [SmcDuration]
    public TimeSpan? SynchronousTimeout { get; set; }

    /// <summary>
    /// A directory of this host, used by nothing else, for write-ahead log that the repository cannot take because it is full or away. What
    /// is there counts as received, and goes to the repository as soon as that takes it; until then it is on this host only. Without it the
    /// site's; an empty one is for none. A synchronous stream spills nothing.
    /// </summary>
    [Parameter]
    [AllowEmptyString]
    public string? SpillDirectory { get; set; }

    /// <summary>How much may be spilled, such as 50GiB; more stays on the server. Without it the site's, or 10 GiB.</summary>
    [Parameter]
    [SmcSize]
    public long? SpillLimit { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        if (SynchronousTimeout is not null && !Synchronous)
        {
            throw new SmcException(SmcErrorCode.ArgumentInvalid, "SynchronousTimeout is for a stream with Synchronous.", recommendation: "Add -Synchronous.");
        }

        Lsn? until = Until is null ? null : LsnArgument.Parse(Until);
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        SecretResolver secrets = SiteArguments.CreateSecrets(pipeline);
        PostgresConnector connector = site.CreateConnector(secrets);
        if (AsKubernetesJob)
        {
            await AddJobsAsync(pipeline, site, JobCommand.WalStream, JobOptions(), []).ConfigureAwait(false);
            if (TakeDeployment() is { } stream)
            {
                await pipeline.WriteObjectAsync(await SiteJobs
                    .DeployStreamAsync(stream, CancelOnStop, Timeout, pipeline, cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
                return;
            }
        }
        else if (!await pipeline.ShouldProcessAsync(
            $"PostgreSQL at {connector.Display}", $"Stream write-ahead log to {site.Repository.Location}").ConfigureAwait(false))
        {
            return;
        }

        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        if (Timeout is { } time)
        {
            limit.CancelAfter(time);
        }

        try
        {
            if (AsKubernetesJob)
            {
                await RunJobsAsync<WalStreamStatus>(pipeline, status => pipeline.WriteObjectAsync(status), limit.Token).ConfigureAwait(false);
                return;
            }

            if (Once)
            {
                until = await WalStreaming.GetServerPositionAsync(connector, limit.Token).ConfigureAwait(false);
            }

            Repository repository = await site.OpenOrCreateRepositoryAsync(secrets, limit.Token).ConfigureAwait(false);
            string? spill = string.IsNullOrEmpty(SpillDirectory)
                ? SpillDirectory
                : await FilePaths.ResolveAsync(pipeline, SpillDirectory).ConfigureAwait(false);
            WalReceiver receiver = site.CreateWalReceiver(
                repository, secrets, Slot, CreateOptions() with { SpillDirectory = spill }, SpillLimit, pipeline);
            if (await StreamAsync(pipeline, receiver, until, limit.Token).ConfigureAwait(false) || until is null)
            {
                return;
            }
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            if (until is null && !Once)
            {
                return;
            }
        }

        cancellationToken.ThrowIfCancellationRequested();
        throw new SmcException(
            SmcErrorCode.OperationTimedOut,
            until is null
                ? $"PostgreSQL at {connector.Display} did not answer within {DisplayText.Duration(Timeout)}."
                : $"The write-ahead log up to {until} was not in the repository within {DisplayText.Duration(Timeout)}.",
            recommendation: "Look at the last status for what holds it up, then run the command again; it goes on where it stopped.",
            target: connector.Display);
    }

    private List<string> JobOptions() => Options(
        ("--slot", Slot),
        ("--once", Once),
        ("--until", Until),
        ("--takeover", Takeover),
        ("--continue-after-gap", ContinueAfterGap),
        ("--synchronous", Synchronous),
        ("--synchronous-timeout", SynchronousTimeout),
        ("--spill-directory", SpillDirectory),
        ("--spill-limit", SpillLimit is { } bytes ? $"{bytes}B" : null));

    private WalReceiverOptions CreateOptions()
    {
        WalReceiverOptions options = new() { Takeover = Takeover, ContinueAfterGap = ContinueAfterGap, Synchronous = Synchronous };
        return SynchronousTimeout is { } limit ? options with { SynchronousTimeout = limit } : options;
    }

    private static async Task<bool> StreamAsync(
        SmcPipeline pipeline, WalReceiver receiver, Lsn? until, CancellationToken cancellationToken)
    {
        // The stream must not wait for a slow reader of its statuses; one that lags gets the newest.
        Channel<WalStreamStatus> statuses = Channel.CreateBounded<WalStreamStatus>(
            new BoundedChannelOptions(16) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
        using CancellationTokenSource leave = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task<bool> stream = RunAsync();
        try
        {
            // Not cancelled: the last status comes when the stream has ended.
            await foreach (WalStreamStatus status in statuses.Reader.ReadAllAsync(CancellationToken.None).ConfigureAwait(false))
            {
                await pipeline.WriteObjectAsync(status).ConfigureAwait(false);
            }
        }
        finally
        {
            await leave.CancelAsync().ConfigureAwait(false);
            await ((Task)stream).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return await stream.ConfigureAwait(false);

        async Task<bool> RunAsync()
        {
            try
            {
                return await WalStreaming.RunAsync(receiver, until, new ChannelProgress(statuses.Writer), leave.Token).ConfigureAwait(false);
            }
            finally
            {
                statuses.Writer.Complete();
            }
        }
    }

    private sealed class ChannelProgress(ChannelWriter<WalStreamStatus> writer) : IProgress<WalStreamStatus>
    {
        public void Report(WalStreamStatus value) => writer.TryWrite(value);
    }
}
