using System.CommandLine;
using System.Globalization;
using SmcDr.Cli.Output;
using SmcDr.Core.Postgres.Wal.Importing;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr wal import</c>.</summary>
internal sealed class WalImportCommand : CliCommand
{
    private readonly Argument<string> _path = new("path") { Description = "The directory that the archive_command writes to." };
    private readonly Option<bool> _recurse = new("--recurse") { Description = "Take what is in directories below it as well." };
    private readonly Option<ulong?> _systemId = new("--system-id")
    {
        Description = "The system identifier of the cluster. Default: the one that the repository knows, else that of the first segment.",
        HelpName = "ID",
    };

    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show how much there is, and store nothing." };

    public WalImportCommand(CliHost host)
        : base(host, "import", "Imports write-ahead log that an archive_command has put into a directory.")
    {
        Arguments.Add(_path);
        Options.Add(_recurse);
        Options.Add(_systemId);
        Options.Add(_dryRun);
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        ParseResult parsed = context.Parsed;
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        WalImportPlan plan = await WalImportPlan.CreateAsync(
            new WalImportOptions
            {
                Path = context.FullPath(parsed.GetValue(_path)!),
                Recurse = parsed.GetValue(_recurse),
                SystemId = parsed.GetValue(_systemId),
                Fencing = site.GetFencingScope(),
            },
            cancellationToken).ConfigureAwait(false);
        if (parsed.GetValue(_dryRun))
        {
            context.Write(
                new { plan.Options.Path, plan.SegmentCount, plan.PartialCount, plan.HistoryCount, plan.UnknownCount, plan.FileBytes },
                (writer, _) => writer.WriteLine(ErrorText.OneLine($"Import {plan.Describe()} to {site.Repository.Location}.")));
            return ExitCodes.Success;
        }

        Repository repository = await site.OpenOrCreateRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
        WalImportResult result = await context.ObserveAsync(
            observer => WalImport.RunAsync(repository, plan, observer, cancellationToken)).ConfigureAwait(false);
        context.Write(result, static (writer, result) => TableOutput.WriteProperties(
            writer,
            ("State", result.State),
            ("Segments stored", result.ImportedCount.ToString(CultureInfo.InvariantCulture)),
            ("There already", result.PresentCount.ToString(CultureInfo.InvariantCulture)),
            ("Partial ones", result.PartialCount > 0 ? result.PartialCount.ToString(CultureInfo.InvariantCulture) : null),
            ("History files", result.HistoryCount > 0 ? result.HistoryCount.ToString(CultureInfo.InvariantCulture) : null),
            ("First", result.FirstSegment),
            ("Last", result.LastSegment),
            ("Size", DisplayText.Size(result.SizeBytes)),
            ("Refused", result.RefusedCount > 0 ? $"{result.RefusedCount.ToString(CultureInfo.InvariantCulture)}, the first: {result.Refused[0]}" : null),
            ("Unknown files", result.Unknown.Count > 0 ? $"{result.Unknown.Count.ToString(CultureInfo.InvariantCulture)}, the first: {result.Unknown[0]}" : null),
            ("Took", DisplayText.Duration(result.Duration))));
        return result.State == nameof(BackupState.Partial) ? ExitCodes.Partial : ExitCodes.Success;
    }
}
