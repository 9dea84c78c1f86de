using System.ComponentModel;
using System.Diagnostics;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Recovery;

/// <summary>Runs programs of this host to their end, where asked for as another account.</summary>
internal static class HostProgram
{
    /// <summary>Runs one; arguments go to it as they are, through no shell.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.ProgramNotFound"/>, or <see cref="SmcErrorCode.OperationTimedOut"/>. An exit code other than 0 is no exception.
    /// </exception>
    public static async Task<ProgramResult> RunAsync(
        string path, IReadOnlyList<string> arguments, ProgramOptions options, CancellationToken cancellationToken)
    {
        ProcessStartInfo start = new(path)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            // The present directory may be closed to the other account; PostgreSQL's programs fail where they cannot read it.
            WorkingDirectory = Path.GetPathRoot(Path.GetFullPath(path))!,
        };
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        // PGDATA, PGPORT, PGOPTIONS and the like would silently change what is asked for; LC_ALL keeps messages in one language.
        foreach (string name in start.Environment.Keys.Where(k => options.IsEnvironmentEmpty ? k != "PATH" : k.StartsWith("PG", StringComparison.Ordinal)).ToList())
        {
            start.Environment.Remove(name);
        }

        start.Environment["LC_ALL"] = "C";
        if (options.Account is { } account && Posix.IsRoot && !OperatingSystem.IsWindows())
        {
            start.UserName = account.Name;
            start.Environment["HOME"] = "/";
            start.Environment["USER"] = account.Name;
            start.Environment["LOGNAME"] = account.Name;
        }

        foreach ((string name, string value) in options.Environment)
        {
            start.Environment[name] = value;
        }

        using Process process = Start(start);
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        if (options.TimeLimit is { } time)
        {
            limit.CancelAfter(time);
        }

        Task<string> output = process.StandardOutput.ReadToEndAsync(limit.Token);
        Task<string> error = process.StandardError.ReadToEndAsync(limit.Token);
        try
        {
            try
            {
                await process.StandardInput.WriteAsync(options.Input.AsMemory(), limit.Token).ConfigureAwait(false);
                process.StandardInput.Close();
            }
            catch (IOException)
            {
                // It ended without reading its input; how it ended says why.
            }

            await process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
            return new ProgramResult(
                process.ExitCode, await output.ConfigureAwait(false), await error.ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            await ((Task)Task.WhenAll(output, error)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            cancellationToken.ThrowIfCancellationRequested();
            throw new SmcException(
                SmcErrorCode.OperationTimedOut,
                $"The program '{path}' did not end within {options.TimeLimit!.Value.TotalSeconds:0} seconds and was stopped.",
                target: path);
        }
    }

    private static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception e)
        {
            string user = start.UserName is { Length: > 0 } name ? $" as '{name}'" : "";
            throw new SmcException(
                SmcErrorCode.ProgramNotFound, $"The program '{start.FileName}' cannot be started{user}: {e.Message}.", e, target: start.FileName);
        }
    }
}
