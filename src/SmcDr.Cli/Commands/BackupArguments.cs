using System.CommandLine;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary>What the commands on single backups have in common.</summary>
internal static class BackupArguments
{
    public static Argument<string> NewId() => new("id") { Description = "The backup, as 'smcdr backup list' shows it." };

    public static Option<Component?> NewComponent() => new("--component")
    {
        Description = "Its component; needed only where two have a backup of the same id.",
        HelpName = "COMPONENT",
    };

    /// <summary>An option that takes a duration with its unit.</summary>
    public static Option<TimeSpan?> NewDuration(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "DURATION",
        CustomParser = static result =>
        {
            if (DurationText.TryParse(result.Tokens[0].Value, out TimeSpan duration))
            {
                return duration;
            }

            result.AddError($"'{result.Tokens[0].Value}' is not {DurationText.Expected}.");
            return null;
        },
    };
}
