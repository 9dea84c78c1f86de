using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Arguments;

/// <summary>The base of the completers: keeps the quotes that were typed, and never disturbs who presses Tab.</summary>
public abstract class SmcCompleter : IArgumentCompleter
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(200);

    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName,
        string parameterName,
        string wordToComplete,
        CommandAst commandAst,
        IDictionary fakeBoundParameters)
    {
        string typed = wordToComplete ?? "";
        char? quote = typed.Length > 0 && typed[0] is '\'' or '"' ? typed[0] : null;
        string prefix = typed.Trim('\'', '"');
        try
        {
            return
            [
                .. Find(fakeBoundParameters ?? new Hashtable())
                    .Where(candidate => candidate.Value.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
                    .Select(candidate => new CompletionResult(
                        Quote(candidate.Value, quote),
                        candidate.Value,
                        CompletionResultType.ParameterValue,
                        candidate.ToolTip)),
            ];
        }
        catch (Exception e) when (e is SmcException or RuntimeException or InvalidOperationException or ArgumentException or IOException
            or UnauthorizedAccessException or OperationCanceledException)
        {
            // Whoever presses Tab asked for a suggestion, not for a report; running the command gives the report.
            return [];
        }
    }

    /// <summary>What could stand there. Takes no longer than a fifth of a second, and asks nobody anything.</summary>
    /// <param name="boundParameters">The parameters that stand on the command line already.</param>
    protected abstract IEnumerable<(string Value, string ToolTip)> Find(IDictionary boundParameters);

    /// <summary>The site file that the command line, the session or the current directory means.</summary>
    private protected static string LocateSite(object? site) => site switch
    {
        SiteInfo info => info.Path,
        string text => SiteState.OfThisRunspace().Find(text)?.Path ?? Path.GetFullPath(text, CurrentDirectory()),
        _ => SiteArguments.FindDefault(CurrentDirectory),
    };

    /// <summary>The site that is meant; null where its file cannot be read in time.</summary>
    private protected static Site? LoadSite(IDictionary boundParameters)
    {
        string path = LocateSite(boundParameters["Site"]);
        return Await(Task.Run(() => SiteFile.Load(path)));
    }

    private static string CurrentDirectory()
    {
        using System.Management.Automation.PowerShell shell =
            System.Management.Automation.PowerShell.Create(RunspaceMode.CurrentRunspace);
        return shell.AddCommand("Microsoft.PowerShell.Management\\Get-Location").AddParameter("PSProvider", "FileSystem")
            .Invoke<PathInfo>()[0].ProviderPath;
    }

    /// <summary>What the task gives, or null where it takes longer. The task goes on, and its failure is nobody's.</summary>
    private protected static T? Await<T>(Task<T> task)
        where T : class
    {
        // PowerShell asks completers synchronously, on the thread that draws the prompt: nothing but a limited wait is left.
        if (Task.WaitAny([task], s_patience) == 0 && task.IsCompletedSuccessfully)
        {
            return task.GetAwaiter().GetResult();
        }

        _ = task.ContinueWith(
            static failed => _ = failed.Exception,
            CancellationToken.None,
            TaskContinuationOptions.OnlyOnFaulted,
            TaskScheduler.Default);
        return null;
    }

    private static string Quote(string value, char? quote)
    {
        if (quote == '"')
        {
            return '"' + value.Replace("`", "``", StringComparison.Ordinal)
                .Replace("$", "`$", StringComparison.Ordinal)
                .Replace("\"", "`\"", StringComparison.Ordinal) + '"';
        }

        bool bare = quote is null && value.Length > 0 && value[0] != '-' &&
            value.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or '/' or ':' or '\\');
        return bare ? value : $"'{CodeGeneration.EscapeSingleQuotedStringContent(value)}'";
    }
}
