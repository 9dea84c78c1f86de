using System.CommandLine;
using System.Globalization;
using SmcDr.Cli.Output;
using SmcDr.Core.Copies;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr copy backup</c>.</summary>
internal sealed class CopyBackupCommand : CliCommand
{
    private static readonly Column<BackupCopyResult>[] s_columns =
    [
        new("Copied", static copy => copy.Id),
        new("Component", static copy => copy.Component),
        new("State", static copy => copy.State),
        new("Objects", static copy => copy.CopiedObjects.ToString(CultureInfo.InvariantCulture), IsNumber: true),
        new("Size", static copy => DisplayText.Size(copy.CopiedBytes), IsNumber: true),
        new("There already", static copy => DisplayText.Size(copy.PresentBytes), IsNumber: true),
        new("Took", static copy => DisplayText.Duration(copy.Duration), IsNumber: true),
        new("Destination", static copy => copy.Destination),
    ];

    private readonly Argument<string[]> _ids = new("ID")
    {
        Description = "The backups to copy. Default: all.",
        Arity = ArgumentArity.ZeroOrMore,
    };

    private readonly Option<string?> _destination = new("--destination", "-d")
    {
        Description = "Where to copy to. Default: each of the site's copies.",
        HelpName = "LOCATION",
    };

    private readonly Option<CopyWal> _wal = new("--wal")
    {
        Description = "How much write-ahead log to copy beside what the backups need.",
        DefaultValueFactory = static _ => CopyWal.All,
    };

    private readonly Option<int?> _parallelism = new("--parallelism", "-j")
    {
        Description = "How many objects are copied at a time.",
        HelpName = "N",
    };

    public CopyBackupCommand(CliHost host)
        : base(host, "backup", "Copies backups and write-ahead log to another repository.")
    {
        _parallelism.Validators.Add(static result =>
        {
            if (result.GetValueOrDefault<int?>() is < 1)
            {
                result.AddError("--parallelism must be 1 or more.");
            }
        });
        Arguments.Add(_ids);
        Options.Add(_destination);
        Options.Add(_wal);
        Options.Add(_parallelism);
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        string? given = context.Parsed.GetValue(_destination);
        string[] destinations = site.CopyDestinations(
            given is null || given.Contains("://", StringComparison.Ordinal) ? given : context.FullPath(given));
        string[] ids = context.Parsed.GetValue(_ids) ?? [];
        Repository repository = await site.OpenRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
        List<BackupCopyResult> results = [];
        SmcException? failure = await BackupFinish.ForEachAsync(
            context,
            destinations,
            static destination => $"The copy at {destination} is not up to date",
            destination => context.ObserveAsync(async observer =>
            {
                RepositoryCopy copy = await site.OpenCopyAsync(context.Secrets,
                    repository, destination, observer, context.Parsed.GetValue(_parallelism), cancellationToken).ConfigureAwait(false);
                List<BackupEntry> backups = [];
                foreach (string id in ids)
                {
                    backups.Add(await copy.FindAsync(null, id, cancellationToken).ConfigureAwait(false));
                }

                await foreach (BackupCopyResult result in copy
                    .CopyAsync(ids.Length == 0 ? null : backups, context.Parsed.GetValue(_wal), cancellationToken).ConfigureAwait(false))
                {
                    results.Add(result);
                }

                return true;
            }),
            cancellationToken).ConfigureAwait(false);
        if (failure is null || results.Count > 0)
        {
            context.WriteList(results, s_columns, "There is nothing to copy.");
        }

        BackupFinish.ThrowIf(failure);
        return results.TrueForAll(static result => result.State == "Complete")
            ? ExitCodes.Success
            : SmcErrors.Get(SmcErrorCode.CopyIncomplete).ExitCode;
    }
}
