using System.Text.Json;
using SmcDr.Cli;

namespace SmcDr.Core.Tests.Cli;

/// <summary>One run of the program in this process.</summary>
internal sealed record CliRun(int ExitCode, string Out, string Error)
{
    public string[] ErrorLines => Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    public JsonElement Json => JsonDocument.Parse(Out).RootElement;

    public static Task<CliRun> Of(params string[] arguments) => InAsync(Path.GetTempPath(), arguments);

    public static async Task<CliRun> InAsync(string directory, string[] arguments, CancellationToken cancellationToken = default)
    {
        StringWriter output = new();
        StringWriter error = new();
        CliHost host = new(new StringReader(""), output, error)
        {
            Environment = static _ => null,
            CurrentDirectory = directory,
        };
        int exitCode = await new CliApplication(host).RunAsync(arguments, cancellationToken);
        return new CliRun(exitCode, output.ToString(), error.ToString());
    }
}
