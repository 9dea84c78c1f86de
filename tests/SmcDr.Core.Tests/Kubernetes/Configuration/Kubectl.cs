using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;

namespace SmcDr.Core.Tests.Kubernetes.Configuration;

/// <summary>The kubectl of this machine, if it has one.</summary>
internal static class Kubectl
{
    public static bool IsThere { get; } = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Any(static folder => File.Exists(Path.Combine(folder, "kubectl")));

    /// <summary>What kubectl reads in a document, without a cluster.</summary>
    public static async Task<JsonObject> ParseAsync(byte[] document) => (JsonObject)JsonNode.Parse(await RunAsync(
        document, "label", "--local", "-f", "-", "-o", "json", "smcdr-test=x"))!;

    /// <summary>Runs it, and has it succeed.</summary>
    public static async Task<string> RunAsync(byte[]? input, params string[] arguments)
    {
        (int exitCode, string output, string error) = await TryRunAsync(input, arguments);
        Assert.True(exitCode == 0, $"kubectl {string.Join(' ', arguments)}: {error}");
        return output;
    }

    public static async Task<(int ExitCode, string Output, string Error)> TryRunAsync(byte[]? input, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo("kubectl", arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
            Environment = { ["KUBECONFIG"] = ClusterFixture.Kubeconfig ?? "/nowhere" },
        })!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        if (input is not null)
        {
            await process.StandardInput.BaseStream.WriteAsync(input);
        }

        process.StandardInput.Close();
        await process.WaitForExitAsync();
        return (process.ExitCode, await output, await error);
    }
}
