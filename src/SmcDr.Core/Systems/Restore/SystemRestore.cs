using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using SmcDr.Core.Plans;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Core.Systems.Restore;

/// <summary>Restores a system from its backups: configuration, database, Redis and file stores, while nobody writes, and looks at it afterwards.</summary>
public static class SystemRestore
{
    internal const string AssessKey = "assess";

    /// <summary>With what the keys of all steps begin that replace something.</summary>
    internal const string RestorePrefix = "restore-";
    internal const string SuspendKey = "suspend-writers";
    internal const string ConfigurationKey = "restore-configuration";
    internal const string DatabaseKey = "restore-database";
    internal const string RedisKey = "restore-redis";
    internal const string ResumeKey = "resume-writers";
    internal const string VerifyKey = "verify";
    internal const string MeasureKey = "measure";

    /// <summary>The plan's kind.</summary>
    public static SitePlanKind Kind { get; } = new("Restore-SmcSystem", Build);

    /// <summary>What a command asks for.</summary>
    /// <param name="options">Which restore.</param>
    public static SitePlanRequest CreateRequest(SystemRestoreOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return new SitePlanRequest
        {
            Kind = Kind,
            DecideAsync = async (context, token) => Plan.ToIntent(
                await new SystemRestoreDecision(context, options).DecideAsync(token).ConfigureAwait(false),
                SystemRestoreJson.Default.SystemRestoreIntent),
            IsSame = intent => Read(intent) is var decided && decided.TargetTime == options.TargetTime &&
                decided.Asked.ToHashSet().SetEquals(options.Components),
        };
    }

    /// <summary>The key of the step that restores a file store: its name where that is one for a key.</summary>
    internal static string FileStoreKey(string name)
    {
        bool isForAKey = name.Length <= 40 && name.All(static c => char.IsAsciiDigit(c) || char.IsAsciiLetterLower(c));
        return "restore-filestore-" + (isForAKey ? name : Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(name)))[..12]);
    }

    internal static SystemRestoreIntent Read(JsonElement intent) => intent.Deserialize(SystemRestoreJson.Default.SystemRestoreIntent)!;

    private static Plan Build(SitePlanContext context, JsonElement json)
    {
        SystemRestoreIntent intent = Read(json);
        List<PlanStep> steps = [new AssessStep(context, intent)];
        List<string> before = [AssessKey];
        if (intent.Writers.Count > 0)
        {
            steps.Add(new SuspendWritersStep(context, intent));
            before = [SuspendKey];
        }

        // Files of this host need no cluster.
        IReadOnlyList<string> ready = before;
        List<string> restores = [];
        if (intent.Configuration is not null)
        {
            Add(new RestoreConfigurationStep(context, intent, before));
            ready = [ConfigurationKey];
        }

        if (intent.Database is not null)
        {
            Add(new RestoreDatabaseStep(context, intent, ready));
        }

        if (intent.Redis is not null)
        {
            Add(new RestoreRedisStep(context, intent, ready));
        }

        foreach (ChosenBackup store in intent.FileStores)
        {
            Add(new RestoreFileStoreStep(context, intent, store, before));
        }

        if (intent.Writers.Count > 0)
        {
            steps.Add(new ResumeWritersStep(context, intent, [.. restores]));
        }

        steps.Add(new VerifyStep(context, intent, intent.Writers.Count > 0 ? [ResumeKey] : [.. restores]));
        steps.Add(new MeasureStep(context, intent));
        string until = intent.TargetTime is { } time ? $" as it was at {DisplayText.Time(time)}" : "";
        return new Plan(context.Site.Name, Kind.Operation, $"Restore the system '{context.Site.Name}'{until}", json, steps);

        void Add(PlanStep step)
        {
            steps.Add(step);
            restores.Add(step.Key);
        }
    }
}
