using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Objectives;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr restore redis</c>.</summary>
internal sealed class RestoreRedisCommand : CliCommand
{
    private readonly Option<string?> _backup = new("--backup") { Description = "The backup. Default: the newest of the site.", HelpName = "ID" };
    private readonly Option<RedisRestoreMethod?> _method = new("--method")
    {
        Description = "online writes keys to the running server; offline stops it, puts its file in place, on this host or on its volume in Kubernetes, and starts it. Default: online where it runs.",
        HelpName = "METHOD",
    };

    private readonly Option<int[]> _database = new("--database")
    {
        Description = "Restore only this database. Can be given again.",
        HelpName = "NUMBER",
        DefaultValueFactory = static _ => [],
    };

    private readonly Option<string[]> _keyPattern = new("--key-pattern")
    {
        Description = "Restore only keys whose names match, such as 'user:*'. Can be given again.",
        HelpName = "PATTERN",
        DefaultValueFactory = static _ => [],
    };

    private readonly Option<bool> _empty = new("--empty") { Description = "Remove all keys of the server first; with --database, those of these databases." };
    private readonly Option<int> _parallelism = new("--parallelism", "-j")
    {
        Description = "How many connections write to each server.",
        HelpName = "NUMBER",
        DefaultValueFactory = static _ => new RedisRestoreOptions().Parallelism,
    };

    private readonly Option<string?> _endpoint = new("--endpoint")
    {
        Description = "Restore to another server than the site's. Its user and password must be given as well, where it has any.",
        HelpName = "HOST:PORT",
    };

    private readonly Option<string?> _username = new("--username") { Description = "The user that connects, in the place of the site's.", HelpName = "USER" };
    private readonly Option<string?> _password = new("--password")
    {
        Description = "Where that user's password is: env:NAME or file:PATH.",
        HelpName = "SECRET",
    };

    private readonly Option<bool?> _tls = new("--tls")
    {
        Description = "Whether the connection is encrypted. Default: as the site file says.",
        HelpName = "true|false",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show what would be done, and change nothing." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Do not ask." };

    public RestoreRedisCommand(CliHost host)
        : base(host, "redis", "Restores the keys of a backup of Redis.")
    {
        foreach (Option option in new Option[]
        {
            _backup, _method, _database, _keyPattern, _empty, _parallelism, _endpoint, _username, _password, _tls, _dryRun, _yes, GlobalOptions.Json,
        })
        {
            Options.Add(option);
        }
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        Repository repository = await context.OpenForReadingAsync(site, cancellationToken).ConfigureAwait(false);
        BackupReader backup = await site.OpenRedisBackupAsync(
            repository, context.Parsed.GetValue(_backup), cancellationToken).ConfigureAwait(false);
        (IRedisRestore restore, RedisRestorePlan plan) = await context.ObserveAsync(async observer =>
        {
            IRedisRestore created = await site.CreateRedisRestoreAsync(
                context.Secrets, repository, backup, Request(context), observer, cancellationToken).ConfigureAwait(false);
            return (created, await created.PlanAsync(observer, cancellationToken).ConfigureAwait(false));
        }).ConfigureAwait(false);
        if (context.Parsed.GetValue(_dryRun))
        {
            context.Write(plan, static (writer, plan) =>
            {
                foreach (string line in plan.Describe())
                {
                    writer.WriteLine(ErrorText.OneLine(line));
                }
            });
            return ExitCodes.Success;
        }

        // Where nothing is replaced nothing can be lost, and a script needs no --yes.
        bool isAsked = plan.ReplacesData || context.Host.IsInteractive;
        if (isAsked && !await context.ConfirmAsync(
            string.Join(' ', plan.Describe()), context.Parsed.GetValue(_yes), cancellationToken).ConfigureAwait(false))
        {
            await context.Host.Error.WriteLineAsync("Nothing was changed.").ConfigureAwait(false);
            return SmcErrors.Get(SmcErrorCode.OperationStopped).ExitCode;
        }

        RedisRestoreResult result = await context.ObserveAsync(
            observer => restore.RunAsync(observer, cancellationToken)).ConfigureAwait(false);
        context.Write(result, WriteText);
        await repository.NoteAsync(site.Name, result, context.CreatePlainObserver(), cancellationToken).ConfigureAwait(false);
        return result.State == nameof(BackupState.Partial) ? ExitCodes.Partial : ExitCodes.Success;
    }

    private RedisRestoreRequest Request(CliContext context)
    {
        SecretReference? password = context.Parsed.GetValue(_password) is { } secret
            ? SecretReference.Parse(secret, context.Host.CurrentDirectory)
            : null;
        return new RedisRestoreRequest
        {
            Method = context.Parsed.GetValue(_method),
            Endpoint = context.Parsed.GetValue(_endpoint),
            Username = context.Parsed.GetValue(_username),
            Password = password is null ? null : async token => await context.Secrets.ResolveAsync(password, token).ConfigureAwait(false),
            // The option alone says yes.
            Tls = context.Parsed.GetResult(_tls) is { Implicit: false } ? context.Parsed.GetValue(_tls) ?? true : null,
            Options = new RedisRestoreOptions
            {
                Databases = context.Parsed.GetValue(_database)!,
                KeyPatterns = context.Parsed.GetValue(_keyPattern)!,
                Empty = context.Parsed.GetValue(_empty),
                Parallelism = context.Parsed.GetValue(_parallelism),
            },
        };
    }

    private static void WriteText(TextWriter writer, RedisRestoreResult result) => TableOutput.WriteProperties(
        writer,
        ("Restored to", result.Target),
        ("State", result.State),
        ("Backup", result.BackupId),
        ("Method", result.Method.ToString()),
        ("Keys", FormattableString.Invariant($"{result.KeysRestored:N0}, {result.KeysPerSecond:N0} each second")),
        ("Databases", result.Databases),
        ("Size", DisplayText.Size(result.SizeBytes)),
        ("Functions", result.Functions > 0 ? FormattableString.Invariant($"{result.Functions} libraries") : null),
        ("Expired", Count(result.KeysExpired)),
        ("Left out", Count(result.KeysSkipped)),
        ("Not taken", Count(result.KeysFailed)),
        ("Missing modules", result.MissingModules),
        ("Compared", result.Verified switch
        {
            true => FormattableString.Invariant($"the same, by counts and {result.SampledKeys:N0} values"),
            false => "different",
            null => "not all of it could be",
        }),
        ("Problems", result.Problems.Count > 0 ? string.Join(' ', result.Problems) : null),
        ("Suspended", result.SuspendFirst is null ? null : "put back what you suspended for this, such as Sentinel's settings"),
        ("Took", DisplayText.Duration(result.Duration)));

    private static string? Count(long keys) => keys == 0 ? null : FormattableString.Invariant($"{keys:N0} keys");
}
