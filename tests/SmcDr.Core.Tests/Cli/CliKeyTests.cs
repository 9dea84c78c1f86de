using SmcDr.Cli;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Cli;

public sealed class CliKeyTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData("key", "renew")]
    [InlineData("key", "remove", "somebody")]
    public async Task Commands_AnsweredWithNo_ChangeNothing_AndEndLikeEveryOtherThatIs(params string[] arguments)
    {
        Directory.CreateDirectory(Path.Combine(_directory.Path, "files"));
        await File.WriteAllTextAsync(Path.Combine(_directory.Path, "smcdr.yaml"), $$"""
            name: cli-keys
            repository: { location: "file://{{_directory.Path}}/repository", encryptionKey: "file:{{_directory.Path}}/key" }
            regions: { here: { role: primary } }
            fileStores: [ { name: config, path: "{{_directory.Path}}/files" } ]

            """);
        Assert.Equal(0, (await RunAsync("key", "new", Path.Combine(_directory.Path, "key"))).ExitCode);
        Assert.Equal(0, (await RunAsync("backup", "filestore")).ExitCode);
        string[] before = Keys();

        (int exitCode, string error) = await RunAsync(arguments);

        Assert.Equal(SmcErrors.Get(SmcErrorCode.OperationStopped).ExitCode, exitCode);
        Assert.EndsWith("Nothing was changed.\n", error, StringComparison.Ordinal);
        Assert.Equal(before, Keys());
    }

    private string[] Keys() =>
        [.. Directory.GetFiles(Path.Combine(_directory.Path, "repository", "keys"), "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];

    private async Task<(int ExitCode, string Error)> RunAsync(params string[] arguments)
    {
        StringWriter error = new();
        CliHost host = new(new StringReader("n\n"), new StringWriter(), error)
        {
            Environment = static _ => null,
            CurrentDirectory = _directory.Path,
            IsInteractive = true,
        };
        return (await new CliApplication(host).RunAsync(arguments, CancellationToken.None), error.ToString());
    }
}
