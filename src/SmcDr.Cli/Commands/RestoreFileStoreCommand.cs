using System.CommandLine;
using System.Globalization;
using SmcDr.Cli.Output;
using SmcDr.Core.FileStores;
using SmcDr.Core.Objectives;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr restore filestore</c>.</summary>
internal sealed class RestoreFileStoreCommand : CliCommand
{
    private readonly Argument<string?> _name = new("name")
    {
        Description = "The file store. It can be left out where the repository has one only, or --backup is given.",
        DefaultValueFactory = static _ => null,
    };

    private readonly Option<string?> _backup = new("--backup") { Description = "The backup. Default: the newest.", HelpName = "ID" };
    private readonly Option<string?> _destination = new("--destination")
    {
        Description = "The directory to restore to. Default: the one that was backed up.",
        HelpName = "PATH",
    };

    private readonly Option<string[]> _include = new("--include")
    {
        Description = "Restore only what matches, such as 'conf/**/*.yaml'. Can be given again.",
        HelpName = "PATTERN",
        DefaultValueFactory = static _ => [],
    };

    private readonly Option<bool> _force = new("--force") { Description = "Replace files that are there and differ." };
    private readonly Option<bool> _numericOwner = new("--numeric-owner") { Description = "Take the owners' numbers, not their names." };
    private readonly Option<bool> _noOwner = new("--no-owner") { Description = "Leave owners as they come." };
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show what would be done, and change nothing." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Do not ask." };

    public RestoreFileStoreCommand(CliHost host)
        : base(host, "filestore", "Restores a directory from the backup of a file store.")
    {
        Arguments.Add(_name);
        foreach (Option option in new Option[]
        {
            _backup, _destination, _include, _force, _numericOwner, _noOwner, _dryRun, _yes, GlobalOptions.Json,
        })
        {
            Options.Add(option);
        }
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        ParseResult parsed = context.Parsed;
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        Repository repository = await context.OpenForReadingAsync(site, cancellationToken).ConfigureAwait(false);
        BackupReader backup = await site.OpenFileStoreBackupAsync(
            repository, parsed.GetValue(_backup), parsed.GetValue(_name), cancellationToken).ConfigureAwait(false);
        FileStoreRestoreOptions options = new()
        {
            TargetPath = parsed.GetValue(_destination) is { } given ? context.FullPath(given) : null,
            Include = parsed.GetValue(_include)!,
            Force = parsed.GetValue(_force),
            NumericOwners = parsed.GetValue(_numericOwner),
            Owners = parsed.GetValue(_noOwner) ? false : null,
        };
        FileStoreRestorePlan plan = await context.ObserveAsync(
            observer => FileStoreRestore.PlanAsync(backup, options, observer, cancellationToken)).ConfigureAwait(false);
        if (parsed.GetValue(_dryRun))
        {
            context.Write(plan, static (writer, plan) => writer.WriteLine(ErrorText.OneLine(plan.Describe())));
            return ExitCodes.Success;
        }

        // Where nothing is replaced nothing can be lost, and a script needs no --yes.
        bool isAsked = plan.ReplacedCount > 0 || context.Host.IsInteractive;
        if (isAsked && !await context.ConfirmAsync(plan.Describe(), parsed.GetValue(_yes), cancellationToken).ConfigureAwait(false))
        {
            await context.Host.Error.WriteLineAsync("Nothing was changed.").ConfigureAwait(false);
            return SmcErrors.Get(SmcErrorCode.OperationStopped).ExitCode;
        }

        FileStoreRestoreResult result = await context.ObserveAsync(
            observer => FileStoreRestore.RunAsync(backup, options, observer, cancellationToken)).ConfigureAwait(false);
        context.Write(result, static (writer, result) => TableOutput.WriteProperties(
            writer,
            ("Restored to", result.TargetPath),
            ("State", result.State),
            ("Backup", result.BackupId),
            ("Files written", result.FileCount.ToString(CultureInfo.InvariantCulture)),
            ("Size", DisplayText.Size(result.SizeBytes)),
            ("Files kept", result.KeptFileCount.ToString(CultureInfo.InvariantCulture)),
            ("Problems", result.ProblemCount > 0 ? $"{result.ProblemCount.ToString(CultureInfo.InvariantCulture)}, the first: {result.Problems[0]}" : null),
            ("Took", DisplayText.Duration(result.Duration))));
        await repository.NoteAsync(site.Name, result, context.CreatePlainObserver(), cancellationToken).ConfigureAwait(false);
        return result.State == nameof(BackupState.Partial) ? ExitCodes.Partial : ExitCodes.Success;
    }
}
