using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>One of PostgreSQL's client programs at work, its streams open. Disposed before it has ended, it is ended.</summary>
internal sealed partial class ClientProcess : IAsyncDisposable
{
    private const int Terminate = 15;
    private const int MaximumErrorLength = 256 << 10;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);
    private readonly Process _process;
    private readonly StringBuilder _error = new();
    private readonly Task _errorReading;

    private ClientProcess(Process process)
    {
        _process = process;
        _errorReading = ReadErrorAsync();
    }

    /// <summary>What the program writes.</summary>
    public Stream Output => _process.StandardOutput.BaseStream;

    /// <summary>What the program reads.</summary>
    public Stream Input => _process.StandardInput.BaseStream;

    public int Id => _process.Id;

    /// <summary>What the program said on standard error; all of it once <see cref="WaitAsync"/> has returned.</summary>
    public string Error
    {
        get
        {
            lock (_error)
            {
                return _error.ToString();
            }
        }
    }

    public static ClientProcess Start(string path, IEnumerable<string> arguments, IReadOnlyDictionary<string, string> environment)
    {
        ProcessStartInfo start = new(path)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardErrorEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false),
        };
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        // PGDATABASE, PGOPTIONS and the like would silently change what is asked for; LC_ALL keeps the programs' messages in one language.
        foreach (string name in start.Environment.Keys.Where(static key => key.StartsWith("PG", StringComparison.Ordinal)).ToList())
        {
            start.Environment.Remove(name);
        }

        start.Environment["LC_ALL"] = "C";
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        try
        {
            return new ClientProcess(Process.Start(start)!);
        }
        catch (Win32Exception e)
        {
            throw new SmcException(SmcErrorCode.ProgramNotFound, $"The program '{path}' cannot be started: {e.Message}.", e, target: path);
        }
    }

    /// <summary>Runs a program to its end, without input.</summary>
    public static async Task<(int ExitCode, string Output, string Error)> RunAsync(
        string path, IEnumerable<string> arguments, IReadOnlyDictionary<string, string> environment, CancellationToken cancellationToken)
    {
        ClientProcess process = Start(path, arguments, environment);
        await using (process.ConfigureAwait(false))
        {
            process.Input.Close();
            using StreamReader reader = new(process.Output, Encoding.UTF8, leaveOpen: true);
            string output = await reader.ReadToEndAsync(cancellationToken).ConfigureAwait(false);
            return (await process.WaitAsync(cancellationToken).ConfigureAwait(false), output, process.Error);
        }
    }

    /// <summary>Waits for its end and returns the exit code.</summary>
    public async Task<int> WaitAsync(CancellationToken cancellationToken)
    {
        await _process.WaitForExitAsync(cancellationToken).ConfigureAwait(false);
        await _errorReading.WaitAsync(cancellationToken).ConfigureAwait(false);
        return _process.ExitCode;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            // Asked to end, the programs cancel what the server does for them; killed, they would leave it at work.
            if (!OperatingSystem.IsWindows() && kill(_process.Id, Terminate) == 0)
            {
                using CancellationTokenSource limit = new(s_patience);
                await _process.WaitForExitAsync(limit.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            if (!_process.HasExited)
            {
                _process.Kill(entireProcessTree: true);
                await _process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            }
        }

        await _errorReading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _process.Dispose();
    }

    private async Task ReadErrorAsync()
    {
        char[] buffer = new char[4096];
        int read;
        while ((read = await _process.StandardError.ReadAsync(buffer).ConfigureAwait(false)) > 0)
        {
            lock (_error)
            {
                // The cause stands at the end; a program that warns of thousands of things must not fill the memory.
                _error.Append(buffer, 0, read);
                if (_error.Length > MaximumErrorLength)
                {
                    _error.Remove(0, _error.Length - (MaximumErrorLength / 2));
                }
            }
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int kill(int process, int signal);
}
