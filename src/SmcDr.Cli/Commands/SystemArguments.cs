using System.CommandLine;

namespace SmcDr.Cli.Commands;

/// <summary>What commands of the whole system have in common.</summary>
internal static class SystemArguments
{
    /// <summary>The components that are meant.</summary>
    public static Option<Component[]> NewComponents(string description) => new("--component")
    {
        Description = $"{description} Default: all that the site has.",
        HelpName = "COMPONENT",
        DefaultValueFactory = static _ => [],
    };
}
