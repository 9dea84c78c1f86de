using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Incidents;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli;

/// <summary>What one run of a command has to hand.</summary>
internal sealed class CliContext(CliHost host, ParseResult parsed, bool isNoted = false)
{
    private readonly bool _noColor = parsed.GetValue(GlobalOptions.NoColor) || host.Environment("NO_COLOR") is { Length: > 0 };

    public CliHost Host => host;

    public ParseResult Parsed => parsed;

    /// <summary>Whether the result is wanted as JSON.</summary>
    public bool Json => parsed.GetValue(GlobalOptions.Json) || JsonLines;

    /// <summary>Whether everything is told as lines of JSON.</summary>
    public bool JsonLines => parsed.GetValue(GlobalOptions.JsonLines);

    /// <summary>Whether tables on standard output may have colours and lines.</summary>
    public bool IsRichOut => host.IsOutTerminal && !_noColor;

    /// <summary>Whether progress on standard error may move.</summary>
    public bool IsRichError => host.IsErrorTerminal && !_noColor && !JsonLines;

    public bool Verbose => parsed.GetValue(GlobalOptions.Verbose);

    /// <summary>Secrets of the site, resolved in this process's environment.</summary>
    public SecretResolver Secrets { get; } = new();

    /// <summary>What notes the command in the site's open incidents; null where it has no site, only looks, or only shows what it would do.</summary>
    public IncidentRecorder? Recorder { get; private set; }

    /// <summary>A path of the command line as a full one.</summary>
    public string FullPath(string path) => Path.GetFullPath(path, host.CurrentDirectory);

    /// <summary>
    /// Loads the site file that the command line, the environment or the current directory names. From here on the command is noted in the site's
    /// open incidents.
    /// </summary>
    /// <remarks>It does not ask which region leads: for what works on the repository alone, or finds that out by itself.</remarks>
    public Site LoadSite()
    {
        Site site = FindSite();
        bool isPreview = parsed.CommandResult.Command.Options.Any(option => option is Option<bool> { Name: "--dry-run" } dryRun && parsed.GetValue(dryRun));
        if (isNoted && Recorder is null && !isPreview)
        {
            Recorder = IncidentRecorder.Start(site, Secrets, $"smcdr {string.Join(' ', Words())}", CreatePlainObserver());
        }

        return site;
    }

    /// <summary>Loads the site as <see cref="LoadSite"/> does, and finds out which of its regions leads.</summary>
    public Task<Site> LoadSiteAsync(CancellationToken cancellationToken) =>
        LoadSite().FindLeaderAsync(Secrets, CreatePlainObserver(), cancellationToken);

    /// <summary>The words of the command line, without which site is meant: that is the incident's.</summary>
    private IEnumerable<string> Words()
    {
        HashSet<string> site = [GlobalOptions.Site.Name, .. GlobalOptions.Site.Aliases];
        bool isValue = false;
        foreach (string word in parsed.Tokens.Select(static token => token.Value))
        {
            if (!isValue && !site.Contains(word))
            {
                yield return word.Any(char.IsWhiteSpace) ? $"'{word}'" : word;
            }

            isValue = !isValue && site.Contains(word);
        }
    }

    private Site FindSite()
    {
        if (parsed.GetValue(GlobalOptions.Site) is { Length: > 0 } path)
        {
            return SiteFile.Load(FullPath(path));
        }

        try
        {
            return SiteFile.Load(SiteFile.FindDefault(host.CurrentDirectory, host.Environment));
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.SiteNotSet)
        {
            throw new SmcException(
                e.Code, e.Message, e, recommendation: "Give --site PATH or set SMCDR_SITE; 'smcdr drill' needs neither.");
        }
    }

    /// <summary>Tells on standard error, in lines that stay.</summary>
    public IOperationObserver CreatePlainObserver() => JsonLines ? host.Events : new PlainObserver(host.Error, Verbose, TimeProvider.System);

    /// <summary>Opens a site's repository to read from, its copies behind it.</summary>
    public Task<Repository> OpenForReadingAsync(Site site, CancellationToken cancellationToken) =>
        site.OpenForReadingAsync(Secrets, CreatePlainObserver(), cancellationToken);

    /// <summary>Runs work whose progress is shown on standard error.</summary>
    public Task<T> ObserveAsync<T>(Func<IOperationObserver, Task<T>> work) => ProgressDisplay.RunAsync(this, work);

    /// <summary>Writes one result.</summary>
    public void Write<T>(T result, Action<TextWriter, T> asText)
    {
        if (JsonLines)
        {
            host.Events.Result(result);
        }
        else if (Json)
        {
            JsonOutput.Write(host.Out, result, indent: host.IsOutTerminal);
        }
        else
        {
            asText(host.Out, result);
        }
    }

    /// <summary>Writes results of which there is mostly one: each as if it were alone.</summary>
    public void WriteEach<T>(IReadOnlyList<T> results, Action<TextWriter, T> asText)
    {
        foreach (T result in results)
        {
            Write(result, asText);
        }
    }

    /// <summary>Writes a list of results.</summary>
    public void WriteList<T>(IReadOnlyList<T> results, IReadOnlyList<Column<T>> columns, string none)
    {
        if (JsonLines)
        {
            foreach (T result in results)
            {
                host.Events.Result(result);
            }
        }
        else if (Json)
        {
            JsonOutput.Write(host.Out, results, indent: host.IsOutTerminal);
        }
        else if (results.Count == 0)
        {
            host.Error.WriteLine(none);
        }
        else
        {
            TableOutput.Write(host.Out, results, columns, IsRichOut);
        }
    }

    /// <summary>Asks whether to go on.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: nobody is there to answer.</exception>
    public async Task<bool> ConfirmAsync(string what, bool yes, CancellationToken cancellationToken) => yes || await AskAsync(
        $"{what} Continue?",
        $"{what} This needs a confirmation, and nobody is there to give one.",
        "Add --yes to confirm, or --dry-run to see the plan only.",
        cancellationToken).ConfigureAwait(false);

    /// <summary>Asks what only a person can decide.</summary>
    /// <inheritdoc cref="ConfirmAsync"/>
    public Task<bool> DecideAsync(string question, CancellationToken cancellationToken) => AskAsync(
        question,
        $"{question} Nobody is there to answer.",
        "Add --force to say yes to all such questions, or --dry-run to see the plan only.",
        cancellationToken);

    private async Task<bool> AskAsync(string question, string refusal, string recommendation, CancellationToken cancellationToken)
    {
        if (!host.IsInteractive)
        {
            throw new SmcException(SmcErrorCode.ArgumentInvalid, refusal, recommendation: recommendation);
        }

        await host.Error.WriteAsync($"{question} [y/N] ").ConfigureAwait(false);
        string? answer = await host.In.ReadLineAsync(cancellationToken).ConfigureAwait(false);
        return answer?.Trim().ToUpperInvariant() is "Y" or "YES";
    }
}
