using SmcDr.Core.Leases;
using SmcDr.Core.Operations;
using SmcDr.Core.Plans;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Plans;

/// <summary>Makes plans and carries them out.</summary>
internal static class PlanWorld
{
    public const string Site = "orders";
    public const string Operation = "Restore-SmcSystem";

    /// <summary>A lease whose times decide nothing in a test.</summary>
    public static SiteLeaseOptions Lease { get; } = new()
    {
        Interval = TimeSpan.FromHours(1),
        Patience = TimeSpan.FromHours(1),
        Expiry = TimeSpan.FromHours(1),
    };

    public static Plan NewPlan(params PlanStep[] steps) =>
        new(Site, Operation, "Restore the system 'orders'", Plan.ToIntent(new StepNote("backup 7"), StepNoteJson.Default.StepNote), steps);

    public static PlanRun NewRun(Repository repository, PlanStep[] steps, PlanOptions? options = null, IOperationObserver? observer = null) =>
        new(repository, NewPlan(steps), options ?? new PlanOptions { Lease = Lease }, observer ?? new RecordingObserver());

    /// <summary>Runs to the end, well or not, and gives what came and what was thrown.</summary>
    public static async Task<(List<PlanStepResult> Results, Exception? Failure)> CollectAsync(IAsyncEnumerable<PlanStepResult> run)
    {
        List<PlanStepResult> results = [];
        try
        {
            await foreach (PlanStepResult result in run)
            {
                results.Add(result);
            }
        }
        catch (Exception e) when (e is SmcException or OperationCanceledException)
        {
            return (results, e);
        }

        return (results, null);
    }

    public static async Task<List<PlanStepResult>> RunAsync(Repository repository, PlanStep[] steps, string? resume = null)
    {
        (List<PlanStepResult> results, Exception? failure) = await CollectAsync(
            NewRun(repository, steps, new PlanOptions { Lease = Lease, Resume = resume }).RunAsync(CancellationToken.None));
        Assert.Null(failure);
        return results;
    }

    /// <summary>The unfinished plan's id.</summary>
    public static async Task<string> OpenIdAsync(Repository repository) =>
        (await PlanJournals.FindOpenAsync(repository, Site, Operation, CancellationToken.None))!.Id;

    public static PlanStepState StateOf(IEnumerable<PlanStepResult> results, string step) => results.Single(result => result.Step == step).State;

    public static Task FailAsync(string message = "The disk is full.") =>
        Task.FromException(new SmcException(SmcErrorCode.DiskSpaceInsufficient, message));
}
