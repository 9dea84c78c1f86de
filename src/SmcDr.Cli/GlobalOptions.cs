using System.CommandLine;

namespace SmcDr.Cli;

/// <summary>The options that mean the same everywhere.</summary>
internal static class GlobalOptions
{
    public static Option<string?> Site { get; } = new("--site", "-s")
    {
        Description = "The site file, or its folder. Default: $SMCDR_SITE, else ./smcdr.yaml.",
        HelpName = "PATH",
        Recursive = true,
    };

    public static Option<bool> Verbose { get; } = new("--verbose", "-v")
    {
        Description = "Tell every decision and its reason.",
        Recursive = true,
    };

    public static Option<bool> NoColor { get; } = new("--no-color")
    {
        Description = "Plain text, as with $NO_COLOR.",
        Recursive = true,
    };

    /// <summary>Added to each command that can run in a cluster, where a log is all that can be read of it.</summary>
    public static Option<bool> JsonLines { get; } = new("--json-lines")
    {
        Description = "Tell results, progress, warnings and errors as lines of JSON on standard output, for programs.",
    };

    /// <summary>Added to each command that prints results.</summary>
    public static Option<bool> Json { get; } = new("--json")
    {
        Description = "Print the result as JSON: durations in seconds, sizes in bytes, times in UTC.",
    };
}
