using System.CommandLine;

namespace SmcDr.Cli;

/// <summary>One command: binds its options, asks where it must, calls the engine and writes what comes back.</summary>
internal abstract class CliCommand : Command
{
    protected CliCommand(CliHost host, string name, string description)
        : base(name, description)
    {
        SetAction((parsed, cancellationToken) => RunAsync(new CliContext(host, parsed), cancellationToken));
    }

    /// <summary>Runs the command and returns its exit code.</summary>
    protected abstract Task<int> RunAsync(CliContext context, CancellationToken cancellationToken);
}
