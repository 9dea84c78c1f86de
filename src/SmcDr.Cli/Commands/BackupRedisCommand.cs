using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Redis;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr backup redis</c>.</summary>
internal sealed class BackupRedisCommand : CliCommand
{
    private readonly Option<RedisBackupMethod?> _method = new("--method")
    {
        Description = "replication has the server send its data, from anywhere; bgsave has it save, and reads the file on this host. Default: as the site file says.",
        HelpName = "METHOD",
    };

    private readonly Option<bool?> _preferReplica = new("--prefer-replica")
    {
        Description = "Back up a replica in the server's place, where one is in step; 'false' where the site file says so and it is not wanted.",
        HelpName = "true|false",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private readonly Option<string?> _rdbPath = new("--rdb-path")
    {
        Description = "For bgsave: the file that the server saves to, as it is seen here. Default: as the site file or the server says.",
        HelpName = "FILE",
    };

    private readonly Option<string?> _label = new("--label") { Description = "A label for people.", HelpName = "TEXT" };

    public BackupRedisCommand(CliHost host)
        : base(host, "redis", "Backs up the primary region's Redis while it is in use.")
    {
        foreach (Option option in new Option[] { _method, _preferReplica, _rdbPath, _label }.Concat(JobArguments.Options))
        {
            Options.Add(option);
        }

        Validators.Add(JobArguments.Validate);
    }

    protected override IReadOnlyCollection<Component>? BacksUp => [Component.Redis];

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        if (JobArguments.IsJob(context))
        {
            return await JobArguments.BackUpAsync(
                context,
                await JobArguments.CreateJobsAsync(context, JobCommand.BackupRedis, null, cancellationToken).ConfigureAwait(false),
                backups => context.WriteEach(backups, WriteText),
                cancellationToken).ConfigureAwait(false);
        }

        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        RedisConnector connector = site.CreateRedisConnector(context.Secrets);
        RedisBackupOptions options = site.CreateRedisBackupOptions(
            context.Parsed.GetValue(_method),
            // The option alone says yes.
            context.Parsed.GetResult(_preferReplica) is { Implicit: false } ? context.Parsed.GetValue(_preferReplica) ?? true : null);
        options = options with
        {
            Label = context.Parsed.GetValue(_label),
            RdbPath = context.Parsed.GetValue(_rdbPath) is { Length: > 0 } path ? context.FullPath(path) : options.RdbPath,
        };
        Repository repository = await site.OpenOrCreateRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
        BackupInfo backup = await context.ObserveAsync(
            observer => RedisBackup.RunAsync(connector, repository, options, observer, cancellationToken)).ConfigureAwait(false);
        backup = await BackupFinish.RunAsync(
            context, site, repository, backup, result => context.Write(result, WriteText), cancellationToken).ConfigureAwait(false);
        return BackupFinish.ExitCodeOf([backup]);
    }

    private static void WriteText(TextWriter writer, BackupInfo backup) => TableOutput.WriteProperties(
        writer,
        ("Backup", backup.Id),
        ("State", backup.State),
        ("From", backup.Source),
        ("Keys", backup.KeyCount is { } keys ? FormattableString.Invariant($"{keys:N0}, {backup.ExpiringKeyCount:N0} of them with a time to live") : "not known"),
        ("Size", DisplayText.Size(backup.SizeBytes)),
        ("Stored", DisplayText.Size(backup.StoredBytes)),
        ("Took", DisplayText.Duration(backup.Duration)),
        ("Consistent at", DisplayText.Time(backup.StopTime)),
        ("Database backup", Skew(backup)),
        ("Copies", backup.CopyState));

    private static string? Skew(BackupInfo backup) => backup.SkewSeconds is not { } seconds ? null
        : $"{backup.SkewBackupId}, {DisplayText.Duration(TimeSpan.FromSeconds(Math.Abs(seconds)))} {(seconds < 0 ? "later" : "earlier")}; nothing holds the two at one instant";
}
