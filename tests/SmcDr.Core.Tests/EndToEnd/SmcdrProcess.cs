using System.Diagnostics;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>The program <c>smcdr</c> as a process of its own, which can be killed.</summary>
internal sealed class SmcdrProcess : IDisposable
{
    private static readonly string s_program = Environment.GetEnvironmentVariable("SMCDR_TEST_PROGRAM") is { Length: > 0 } path
        ? path
        : Path.Combine(AppContext.BaseDirectory, "SmcDr.Cli.dll");

    private readonly Process _process;
    private readonly Task<string> _output;
    private readonly Task<string> _error;

    private SmcdrProcess(Process process)
    {
        _process = process;
        _output = process.StandardOutput.ReadToEndAsync();
        _error = process.StandardError.ReadToEndAsync();
    }

    public static SmcdrProcess Start(IReadOnlyDictionary<string, string> environment, params string[] arguments) => Start(environment, null, arguments);

    /// <summary>The same as another account, where one is named and we are root.</summary>
    public static SmcdrProcess Start(IReadOnlyDictionary<string, string> environment, string? user, string[] arguments)
    {
        ProcessStartInfo start = CreateStart();
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        if (user is not null)
        {
            start.UserName = user;
            start.WorkingDirectory = "/";
            start.Environment["HOME"] = environment.GetValueOrDefault("HOME", "/");
        }

        Process process = Process.Start(start)!;
        process.StandardInput.Close();
        return new SmcdrProcess(process);
    }

    /// <summary>
    /// How the program is started: the assembly that <c>SMCDR_TEST_PROGRAM</c> names, published from the same sources, and otherwise the one that was built beside the
    /// tests. Compiled for its platform it starts in a fraction of the processor time, and a standby starts it for each segment of WAL.
    /// </summary>
    public static ProcessStartInfo CreateStart()
    {
        ProcessStartInfo start = new("dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        start.ArgumentList.Add(s_program);
        return start;
    }

    public static async Task<(int ExitCode, string Output, string Error)> RunAsync(
        IReadOnlyDictionary<string, string> environment, params string[] arguments)
    {
        using SmcdrProcess process = Start(environment, arguments);
        return await process.EndAsync();
    }

    /// <summary>kill -9 of this process alone: what it started stays, as it does in life.</summary>
    public async Task<bool> KillAsync()
    {
        bool running = !_process.HasExited;
        _process.Kill(entireProcessTree: false);
        await _process.WaitForExitAsync();
        return running;
    }

    public async Task<(int ExitCode, string Output, string Error)> EndAsync()
    {
        await _process.WaitForExitAsync();
        return (_process.ExitCode, await _output, await _error);
    }

    public void Dispose() => _process.Dispose();
}
