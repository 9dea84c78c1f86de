using System.CommandLine.Parsing;
using SmcDr.Core.Sites;

namespace SmcDr.Cli;

/// <summary>Values of the command line that several commands take.</summary>
internal static class ArgumentParsers
{
    public static Lsn? Lsn(ArgumentResult result)
    {
        if (SmcDr.Lsn.TryParse(result.Tokens[0].Value, out Lsn lsn))
        {
            return lsn;
        }

        result.AddError($"'{result.Tokens[0].Value}' is not a log sequence number such as 16/B374D848.");
        return null;
    }

    public static long? Size(ArgumentResult result)
    {
        if (SizeText.TryParse(result.Tokens[0].Value, out long bytes))
        {
            return bytes;
        }

        result.AddError($"'{result.Tokens[0].Value}' is not {SizeText.Expected}.");
        return null;
    }
}
