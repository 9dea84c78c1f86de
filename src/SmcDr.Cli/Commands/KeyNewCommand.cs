using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Encryption;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr key new</c>.</summary>
internal sealed class KeyNewCommand : CliCommand
{
    private readonly Argument<string> _path = new("PATH") { Description = "Where the key file is made. Nothing is ever replaced." };

    public KeyNewCommand(CliHost host)
        : base(host, "new", "Makes a key file, to be named by repository.encryptionKey before the first backup.")
    {
        Arguments.Add(_path);
        Options.Add(GlobalOptions.Json);
    }

    protected override Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        KeyFileInfo file = KeyFile.Create(context.FullPath(context.Parsed.GetRequiredValue(_path)));
        context.Write(file, static (writer, file) => TableOutput.WriteProperties(
            writer, ("Key file", file.Path), ("Fingerprint", file.Fingerprint)));
        return Task.FromResult(ExitCodes.Success);
    }
}
