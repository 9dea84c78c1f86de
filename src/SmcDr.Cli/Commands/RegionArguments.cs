using System.CommandLine;
using System.Reflection;

namespace SmcDr.Cli.Commands;

/// <summary>Options that the commands of regions share.</summary>
internal static class RegionArguments
{
    public static Option<string[]> NewProgram() => new("--program")
    {
        Description = "What starts smcdr in a standby's restore_command. Can be given again, for further words. Default: this program.",
        HelpName = "PATH",
        DefaultValueFactory = static _ => [],
    };

    /// <summary>What was given, or what this program was started by: itself, or the runtime with it.</summary>
    public static string[] GetProgram(ParseResult parsed, Option<string[]> option)
    {
        if (parsed.GetValue(option) is { Length: > 0 } given)
        {
            return given;
        }

        string path = Environment.ProcessPath!;
        return Path.GetFileNameWithoutExtension(path) == "dotnet" && Assembly.GetExecutingAssembly().Location is { Length: > 0 } assembly
            ? [path, assembly]
            : [path];
    }
}
