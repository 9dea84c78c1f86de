using System.Management.Automation;
using SmcDr.Core.Drills;
using SmcDr.Core.Operations;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Rehearses recovery on a throwaway server of this host, and times it.</summary>
/// <remarks>
/// <para>
/// A PostgreSQL server is created, filled and written to. It is backed up, its WAL is streamed, and then it is struck twice: its data is
/// dropped at a known instant, and later the server is destroyed. Each time it is recovered by the same code that would recover a
/// real one, and what came back is compared with what the server had acknowledged. No site is needed and none is touched, and nothing
/// of the drill is left running or lying about.
/// </para>
/// <para>
/// Where this host has redis-server, a Redis server is filled, backed up while keys are written, killed with all its files, and restored. What was written
/// after the backup is lost: RedisRpoSeconds is that time. Where there is none, RedisLeftOut says so.
/// </para>
/// <para>
/// While it runs, each step that is over is written to the information stream. The result is written in any case; where the drill did
/// not keep what was promised, the error SmcDrillFailed follows it.
/// </para>
/// </remarks>
/// <example>
/// <code>Invoke-SmcDrill -Report ./drill.html -InformationAction Continue</code>
/// Runs a drill, shows its steps and writes a report with a timeline.
/// </example>
/// <example>
/// <code>(Invoke-SmcDrill -Size 2GiB).Steps | Format-Table Name, DurationSeconds, Outcome</code>
/// Runs a larger drill and shows what took how long.
/// </example>
/// <example>
/// <code>$drill = Invoke-SmcDrill -WorkDirectory /mnt/scratch -ErrorAction Stop
/// "Lost $($drill.LostAcknowledged) of $($drill.Acknowledged) acknowledged rows; $($drill.RtoSeconds) s to recover"</code>
/// For continuous integration: fails the job where the drill did not keep what was promised.
/// </example>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.DrillFailed"/>: Something acknowledged was lost, something unexpected came back, or an objective was missed.
/// </exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.ProgramNotFound"/>: This host has no PostgreSQL server programs.</exception>
/// <seealso cref="ExportSmcReportCommand"/>
/// <seealso cref="TestSmcRecoveryCommand"/>
/// <seealso cref="MeasureSmcObjectiveCommand"/>
/// <seealso href="about_SmcDr_Drills"/>
[Cmdlet(VerbsLifecycle.Invoke, "SmcDrill", SupportsShouldProcess = true)]
[OutputType(typeof(DrillResult))]
public sealed class InvokeSmcDrillCommand : SmcCmdlet
{
    private const string Activity = "Drill";

    /// <summary>How much data is loaded: a number of bytes, such as PowerShell's 200MB, or a text with a unit, such as '2GiB'.</summary>
    [Parameter(Position = 0)]
    [SmcSize]
    public long Size { get; set; } = new DrillOptions().SizeBytes;

    /// <summary>The file to write a report with a timeline to, as HTML.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? Report { get; set; }

    /// <summary>Keeps the drill's files. Its processes end in any case.</summary>
    [Parameter]
    public SwitchParameter Keep { get; set; }

    /// <summary>The directory in which the drill makes its own. Without it, the temporary directory.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? WorkDirectory { get; set; }

    /// <summary>The directory of PostgreSQL's server programs. Without it, they are looked for.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? BinDirectory { get; set; }

    /// <summary>The directory of redis-server. Without it, it is looked for, and Redis is left out where there is none.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? RedisBinDirectory { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        DrillOptions options = new()
        {
            SizeBytes = Size,
            Keep = Keep,
            ReportPath = await ResolveAsync(pipeline, Report).ConfigureAwait(false),
            WorkDirectory = await ResolveAsync(pipeline, WorkDirectory).ConfigureAwait(false),
            BinDirectory = await ResolveAsync(pipeline, BinDirectory).ConfigureAwait(false),
            RedisBinDirectory = await ResolveAsync(pipeline, RedisBinDirectory).ConfigureAwait(false),
        };
        string place = options.WorkDirectory ?? Path.GetTempPath();
        if (!await pipeline.ShouldProcessAsync(
            place, $"Create, destroy and recover a throwaway PostgreSQL server with {DisplayText.Size(Size)} of data, and a Redis server where this host has one").ConfigureAwait(false))
        {
            return;
        }

        DrillResult result;
        try
        {
            result = await Drill.RunAsync(
                options, new NestedObserver(pipeline), new StepReporter(pipeline), cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            pipeline.Progress(new OperationProgress(Activity, "Done") { IsCompleted = true });
        }

        await pipeline.WriteObjectAsync(result).ConfigureAwait(false);
        if (result.GetFailure() is { } failure)
        {
            await pipeline.WriteErrorAsync(failure).ConfigureAwait(false);
        }
    }

    private static async Task<string?> ResolveAsync(SmcPipeline pipeline, string? path) =>
        path is null ? null : await FilePaths.ResolveAsync(pipeline, path).ConfigureAwait(false);

    /// <summary>Shows what the steps do below the step.</summary>
    private sealed class NestedObserver(IOperationObserver inner) : IOperationObserver
    {
        public void Verbose(string message) => inner.Verbose(message);

        public void Warning(string message) => inner.Warning(message);

        public void Progress(OperationProgress progress) => inner.Progress(progress with { Parent = progress.Parent ?? Activity });
    }

    private sealed class StepReporter(SmcPipeline pipeline) : IProgress<DrillStep>
    {
        public void Report(DrillStep value)
        {
            if (value.Outcome == "Running")
            {
                pipeline.Progress(new OperationProgress(Activity, value.Name, Unit: ProgressUnit.Items));
            }
            else
            {
                pipeline.WriteInformation(
                    $"{value.Outcome} after {DisplayText.Seconds(value.DurationSeconds)}: {value.Name}. {value.Detail}", "SmcDr", "Drill");
            }
        }
    }
}
