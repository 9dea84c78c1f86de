using Npgsql;
using SmcDr.Core.Postgres;

namespace SmcDr.Core.Sites;

/// <summary>Runs checks against one target and turns foreseen failures into results.</summary>
internal sealed class CheckRun(string target, TimeProvider clock)
{
    /// <summary>The result of a check that ran.</summary>
    public async Task<CheckResult> CheckAsync(string name, Func<Task<CheckFinding>> check, PostgresConnector? connector = null)
    {
        long start = clock.GetTimestamp();
        CheckFinding finding;
        try
        {
            finding = await check().ConfigureAwait(false);
        }
        catch (SmcException e)
        {
            finding = CheckFinding.Failed(e.Message, e.Recommendation);
        }
        catch (Exception e) when (connector is not null && e is NpgsqlException or TimeoutException or IOException)
        {
            SmcException translated = connector.Translate(e);
            finding = CheckFinding.Failed(translated.Message, translated.Recommendation);
        }

        return Result(name, finding, clock.GetElapsedTime(start));
    }

    /// <summary>The result of a check that did not run.</summary>
    public CheckResult Skip(string name, string reason) => Result(name, CheckFinding.Skipped(reason), TimeSpan.Zero);

    private CheckResult Result(string name, CheckFinding finding, TimeSpan duration) => new()
    {
        Name = name,
        Target = target,
        Outcome = finding.Outcome,
        Message = finding.Message,
        Recommendation = finding.Recommendation,
        DurationSeconds = Math.Round(duration.TotalSeconds, 3),
    };
}
