using System.CommandLine;
using System.CommandLine.Parsing;
using SmcDr.Cli.Output;
using SmcDr.Core.Exports;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr export table</c>.</summary>
internal sealed class ExportTableCommand : CliCommand
{
    private static readonly Column<TableExportResult>[] s_columns =
    [
        new("Schema", static one => one.Schema),
        new("Table", static one => one.Table),
        new("Rows", static one => FormattableString.Invariant($"{one.RowCount}"), IsNumber: true),
        new("Size", static one => DisplayText.Size(one.SizeBytes), IsNumber: true),
        new("Last commit", static one => DisplayText.Time(one.RecoveredTime)),
        new("File", static one => one.Path),
    ];

    private readonly Argument<string[]> _tables = new("tables") { Description = "The tables, as schema.name.", Arity = ArgumentArity.OneOrMore };
    private readonly Option<string> _database = new("--database") { Description = "The database.", HelpName = "NAME", Required = true };
    private readonly Option<string?> _at = new("--at")
    {
        Description = "As they were at this instant: with Z or an offset, or relative to now, such as -2h.",
        HelpName = "TIME",
    };

    private readonly Option<Lsn?> _lsn = new("--lsn")
    {
        Description = "As they were at this position in the write-ahead log.",
        HelpName = "LSN",
        CustomParser = ArgumentParsers.Lsn,
    };

    private readonly Option<bool> _exclusive = new("--exclusive") { Description = "Stop just before the target instead of just after it." };
    private readonly Option<string?> _backup = new("--backup")
    {
        Description = "The base backup to begin with; alone, the tables as they were at its end.",
        HelpName = "ID",
    };

    private readonly Option<string?> _outFile = new("--out-file", "-o") { Description = "The file, of one table.", HelpName = "PATH" };
    private readonly Option<string?> _outDirectory = new("--out-directory") { Description = "The directory of the files.", HelpName = "PATH" };
    private readonly Option<TableExportFormat> _format = new("--format") { Description = "How the rows are written. Default: Csv." };
    private readonly Option<string?> _work = new("--work-directory")
    {
        Description = "Where the cluster is recovered to for the while, with room for all of it. Default: /var/tmp.",
        HelpName = "PATH",
    };

    private readonly Option<bool> _force = new("--force") { Description = "Replace files that exist." };

    public ExportTableCommand(CliHost host)
        : base(host, "table", "Exports tables as they were at an instant, through a copy of the cluster that is thrown away.")
    {
        Arguments.Add(_tables);
        foreach (Option option in new Option[]
        {
            _database, _at, _lsn, _exclusive, _backup, _outFile, _outDirectory, _format, _work, _force, GlobalOptions.Json,
        })
        {
            Options.Add(option);
        }

        Validators.Add(result =>
        {
            if (result.GetResult(_at) is { Implicit: false } && result.GetResult(_lsn) is { Implicit: false })
            {
                result.AddError("--at and --lsn cannot be given together.");
            }
        });
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        ParseResult parsed = context.Parsed;
        string? backup = parsed.GetValue(_backup);
        RecoveryTarget target = parsed.GetValue(_at) is { } at ? RecoveryTarget.AtTime(InstantText.Parse(at))
            : parsed.GetValue(_lsn) is { } lsn ? RecoveryTarget.AtLsn(lsn)
            : backup is not null ? RecoveryTarget.Immediate
            : RecoveryTarget.Latest;
        TableExportOptions options = new()
        {
            Database = parsed.GetValue(_database)!,
            Tables = parsed.GetValue(_tables)!,
            OutFile = parsed.GetValue(_outFile) is { } file ? context.FullPath(file) : null,
            OutDirectory = parsed.GetValue(_outDirectory) is { } directory ? context.FullPath(directory) : null,
            Format = parsed.GetValue(_format),
            Force = parsed.GetValue(_force),
        };
        options.Validate();
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        IOperationObserver reading = context.CreatePlainObserver();
        Repository repository = await site.OpenForReadingAsync(context.Secrets, reading, cancellationToken).ConfigureAwait(false);
        SideInstanceOptions side = new()
        {
            Repository = repository,
            BackupId = backup,
            Target = target with { Inclusive = !parsed.GetValue(_exclusive) },
            WorkDirectory = parsed.GetValue(_work) is { } work ? context.FullPath(work) : SideInstance.DefaultWorkDirectory,
            BinDirectory = site.GetDatabase().BinDirectory,
            OsUser = site.GetDatabase().OsUser,
        };
        List<TableExportResult> results = await context.ObserveAsync(async observer =>
        {
            List<TableExportResult> all = [];
            await foreach (TableExportResult result in TableExport.RunAsync(side, options, observer, cancellationToken).ConfigureAwait(false))
            {
                all.Add(result);
            }

            return all;
        }).ConfigureAwait(false);
        context.WriteList(results, s_columns, "Nothing was exported.");
        return ExitCodes.Success;
    }
}
