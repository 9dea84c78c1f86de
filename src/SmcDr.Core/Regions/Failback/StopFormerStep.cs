using SmcDr.Core.Plans;
using SmcDr.Core.Recovery;

namespace SmcDr.Core.Regions.Failback;

/// <summary>Stops the former primary where it runs: nothing that is committed there is kept.</summary>
internal sealed class StopFormerStep(FailbackWork work, params string[] after)
    : FailbackStep(work, StepKey, "Stop the former primary", work.Switch.NewDatabase.Display, after)
{
    public const string StepKey = "stop-former";
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(1);

    public override string Describe() => "Stops it where it runs: it is fenced, and nothing that is committed there is kept.";

    public override async Task<StepCheck> CheckAsync(StepContext context, CancellationToken cancellationToken) =>
        await Work.LookAsync(cancellationToken).ConfigureAwait(false) is (_, Follows: true) ? StepCheck.AlreadyDone("It follows.")
            : HostServer.IsRunning(Work.Directory) ? StepCheck.Needed
            : StepCheck.AlreadyDone("It does not run.");

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        HostServer server = await Work.OpenServerAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await server.StopAsync(StopMode.Fast, s_limit, cancellationToken).ConfigureAwait(false);
            return "It was stopped.";
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.OperationTimedOut)
        {
            await server.EndAsync().ConfigureAwait(false);
            return $"It did not stop within {DisplayText.Duration(s_limit)} and was ended.";
        }
    }
}
