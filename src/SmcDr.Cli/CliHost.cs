using SmcDr.Cli.Output;

namespace SmcDr.Cli;

/// <summary>What the program is connected to. Results go to <see cref="Out"/>, everything said to people to <see cref="Error"/>.</summary>
internal sealed record CliHost(TextReader In, TextWriter Out, TextWriter Error)
{
    /// <summary>Where everything is told that is told as lines of JSON: one numbering for the whole run.</summary>
    public CommandEventWriter Events { get; } = new(Out, TimeProvider.System);

    /// <summary>Whether somebody can answer a question.</summary>
    public bool IsInteractive { get; init; }

    /// <summary>Asks for a secret, which is not shown while it is typed; null where nobody can answer.</summary>
    public Func<string, string>? ReadSecret { get; init; }

    /// <summary>Whether <see cref="Out"/> is a terminal.</summary>
    public bool IsOutTerminal { get; init; }

    /// <summary>Whether <see cref="Error"/> is a terminal.</summary>
    public bool IsErrorTerminal { get; init; }

    /// <summary>Looks an environment variable up.</summary>
    public Func<string, string?> Environment { get; init; } = System.Environment.GetEnvironmentVariable;

    /// <summary>The directory that relative paths count from.</summary>
    public string CurrentDirectory { get; init; } = System.Environment.CurrentDirectory;

    /// <summary>Whether signals of this process stop the command. Off where several run in one process.</summary>
    public bool HandlesSignals { get; init; }

    /// <summary>The host that the process was started in.</summary>
    public static CliHost ForConsole() => new(Console.In, Console.Out, Console.Error)
    {
        IsInteractive = !Console.IsInputRedirected && !Console.IsErrorRedirected,
        ReadSecret = Console.IsInputRedirected || Console.IsErrorRedirected ? null : ReadFromTerminal,
        IsOutTerminal = !Console.IsOutputRedirected,
        IsErrorTerminal = !Console.IsErrorRedirected,
        HandlesSignals = true,
    };

    private static string ReadFromTerminal(string prompt)
    {
        Console.Error.Write(prompt);
        System.Text.StringBuilder text = new();
        for (ConsoleKeyInfo key; (key = Console.ReadKey(intercept: true)).Key != ConsoleKey.Enter;)
        {
            if (key.Key == ConsoleKey.Backspace)
            {
                text.Length = Math.Max(0, text.Length - 1);
            }
            else if (!char.IsControl(key.KeyChar))
            {
                text.Append(key.KeyChar);
            }
        }

        Console.Error.WriteLine();
        string secret = text.ToString();
        text.Clear();
        return secret;
    }
}
