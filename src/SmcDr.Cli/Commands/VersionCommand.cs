using System.Runtime.InteropServices;
using SmcDr.Cli.Output;
using SmcDr.Core.Repositories;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr version</c>.</summary>
internal sealed class VersionCommand : CliCommand
{
    public VersionCommand(CliHost host)
        : base(host, "version", "Shows the version of SmcDr and of what it runs on.")
    {
        Options.Add(GlobalOptions.Json);
    }

    protected override Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        var version = new
        {
            Version = Repository.ToolVersion,
            RepositoryFormat = Repository.FormatVersion,
            Runtime = RuntimeInformation.FrameworkDescription,
            System = RuntimeInformation.RuntimeIdentifier,
        };
        context.Write(version, static (writer, version) => TableOutput.WriteProperties(
            writer,
            ("SmcDr", version.Version),
            ("Repository", $"format {version.RepositoryFormat}"),
            ("Runtime", version.Runtime),
            ("System", version.System)));
        return Task.FromResult(ExitCodes.Success);
    }
}
