using System.CommandLine;
using System.Text.Json;
using SmcDr.Core.Dns;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr dns undo</c>.</summary>
internal sealed class DnsUndoCommand : CliCommand
{
    private readonly Argument<string> _file = new("file")
    {
        Description = "What 'smcdr dns set --json' printed, or the Undo of it; - for standard input.",
        HelpName = "FILE",
    };

    private readonly Option<bool> _force = new("--force") { Description = "Also where somebody has changed the record since." };
    private readonly DnsChangeOutput _output = new();

    public DnsUndoCommand(CliHost host)
        : base(host, "undo", "Takes a change back: the records become what they were before it.")
    {
        Arguments.Add(_file);
        Options.Add(_force);
        foreach (Option option in _output.Options)
        {
            Options.Add(option);
        }
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        DnsUndo? undo = Read(await ReadTextAsync(context, cancellationToken).ConfigureAwait(false));
        if (undo is null)
        {
            await context.Host.Error.WriteLineAsync("The earlier command changed nothing, so there is nothing to take back.").ConfigureAwait(false);
            return ExitCodes.Success;
        }

        bool force = context.Parsed.GetValue(_force);
        return await _output.RunAsync(
            context, site, records => records.PlanUndoAsync(undo, force, cancellationToken), cancellationToken).ConfigureAwait(false);
    }

    private async Task<string> ReadTextAsync(CliContext context, CancellationToken cancellationToken)
    {
        string file = context.Parsed.GetValue(_file)!;
        if (file == "-")
        {
            return await context.Host.In.ReadToEndAsync(cancellationToken).ConfigureAwait(false);
        }

        try
        {
            return await File.ReadAllTextAsync(context.FullPath(file), cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid, $"The file '{file}' cannot be read: {e.Message}", e, "Give the file that 'smcdr dns set --json' was printed to.", file);
        }
    }

    /// <summary>A whole result, or its undo alone; null where the result has none, since it changed nothing.</summary>
    private static DnsUndo? Read(string text)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(text);
            bool isResult = document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("isChanged", out _);
            string? undo = !isResult ? text
                : document.RootElement.TryGetProperty("undo", out JsonElement element) && element.ValueKind == JsonValueKind.String ? element.GetString()
                : null;
            return undo is null ? null : DnsUndo.Parse(undo);
        }
        catch (JsonException)
        {
            return DnsUndo.Parse(text);
        }
    }
}
