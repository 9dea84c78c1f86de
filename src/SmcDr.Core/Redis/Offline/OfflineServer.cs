using System.Globalization;
using System.Text;
using System.Runtime.Versioning;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Recovery;

namespace SmcDr.Core.Redis.Offline;

/// <summary>The server of a data directory of this host: how it is stopped without saving, and started again until it has loaded its data.</summary>
[UnsupportedOSPlatform("windows")]
internal sealed class OfflineServer(
    RedisConnector connector, OfflineStart start, OfflineDirectory directory, RedisOfflineOptions options, IOperationObserver observer)
{
    /// <summary>What the program reads on its standard input, where it is told so.</summary>
    public string? Input { get; init; }

    /// <summary>What manages a process starts it again within a second, or waits for longer than anybody could watch for it here.</summary>
    private static readonly TimeSpan s_restartWatch = TimeSpan.FromSeconds(1);

    /// <summary>A program that has gone to the background works in the data directory already: it reads its settings first (server.c, main).</summary>
    private static readonly TimeSpan s_appearance = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan s_unitAppearance = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_launchLimit = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan s_endLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(50);

    private string? _savePoints;

    private SystemdUnit? Unit => start.Unit is null ? null : new SystemdUnit(start.Unit, options.Systemctl);

    /// <summary>Stops the server without saving. None that runs is no error.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ServerStopFailed"/>, <see cref="SmcErrorCode.ServerRestarted"/>.</exception>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (RedisProcess.FindIn(directory.Handle) is not { } process)
        {
            return;
        }

        observer.Progress(new OperationProgress(RedisOfflineRestore.Activity, $"Stopping Redis at {connector.Display}"));
        try
        {
            await AskToStopAsync(process, cancellationToken).ConfigureAwait(false);
            if (!await WaitUntilGoneAsync(process, options.StopTimeout, cancellationToken).ConfigureAwait(false))
            {
                throw new SmcException(
                    SmcErrorCode.ServerStopFailed,
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"Redis at {connector.Display} (process {process.Id}) has not stopped within {options.StopTimeout.TotalSeconds:0} seconds. Its files were not touched."),
                    target: connector.Display);
            }
        }
        catch (Exception e) when (e is SmcException or PosixException or OperationCanceledException)
        {
            await GiveBackSavePointsAsync().ConfigureAwait(false);
            throw;
        }

        observer.Verbose(string.Create(CultureInfo.InvariantCulture, $"Redis at {connector.Display} (process {process.Id}) has stopped without saving."));
        long began = TimeProvider.System.GetTimestamp();
        while (TimeProvider.System.GetElapsedTime(began) < s_restartWatch)
        {
            ThrowIfRunning("as soon as it was stopped");
            await Task.Delay(s_poll, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Throws where a server works in the directory while none should.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ServerRestarted"/>.</exception>
    public void ThrowIfRunning(string when)
    {
        if (RedisProcess.FindIn(directory.Handle) is not { } process)
        {
            return;
        }

        string by = process.ReadUnit() is { } unit ? $"systemd, as '{unit}'" : process.DescribeParent() ?? "whoever";
        throw new SmcException(
            SmcErrorCode.ServerRestarted,
            string.Create(
                CultureInfo.InvariantCulture,
                $"Redis at {connector.Display} was started again {when} (process {process.Id}), by {by}."),
            recommendation: process.ReadUnit() is { } service
                ? $"Name the service in the site file (service: {service}), or stop it (systemctl stop {service}), and run the command again."
                : $"Have {(by == "whoever" ? "what manages the server" : by)} stop it and leave it stopped, then run the command again, and let it start the server afterwards.",
            target: connector.Display);
    }

    /// <summary>Starts the server, unless what manages it was faster, and returns when it has loaded its data.</summary>
    /// <param name="after">The host's clock when its files had been put in place; what was started before has loaded others.</param>
    /// <param name="cancellationToken">Stops the wait, not the server.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ServerStartFailed"/>: it does not come up, or not with these files.</exception>
    public async Task<RedisInfo> StartAsync(long after, CancellationToken cancellationToken)
    {
        long logStart = LogLength();
        if (start.IsTemporary)
        {
            await EndLookAsync().ConfigureAwait(false);
        }

        if (RedisProcess.FindIn(directory.Handle) is not { } running)
        {
            await LaunchAsync(cancellationToken).ConfigureAwait(false);
        }
        else if (running.StartTicks < after)
        {
            ThrowIfRunning("while its files were exchanged");
        }

        return await WaitUntilLoadedAsync(logStart, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Ends the server, whatever state it is in. None that runs is no error.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ServerStopFailed"/>.</exception>
    public async Task EndAsync()
    {
        if (Unit is { } unit)
        {
            await unit.StopAsync(options.StopTimeout, CancellationToken.None).ConfigureAwait(false);
        }

        while (RedisProcess.FindIn(directory.Handle) is { } process)
        {
            await TryAskAsync(ShutDown(), CancellationToken.None).ConfigureAwait(false);
            if (!await WaitUntilGoneAsync(process, TimeSpan.FromSeconds(1), CancellationToken.None).ConfigureAwait(false))
            {
                process.AskToEnd();
                if (!await WaitUntilGoneAsync(process, s_endLimit, CancellationToken.None).ConfigureAwait(false))
                {
                    process.End();
                    if (!await WaitUntilGoneAsync(process, s_endLimit, CancellationToken.None).ConfigureAwait(false))
                    {
                        throw new SmcException(
                            SmcErrorCode.ServerStopFailed,
                            string.Create(CultureInfo.InvariantCulture, $"Redis at {connector.Display} (process {process.Id}) cannot be ended, by SIGKILL either."),
                            recommendation: "It hangs in the kernel, as over storage that does not answer: look at that first.",
                            target: connector.Display);
                    }
                }
            }
        }
    }

    /// <summary>Ends what an earlier run has started for a look, and was ended over: the password of its server was known to that alone.</summary>
    private async Task EndLookAsync()
    {
        if (RedisProcess.FindIn(directory.Handle) is not { } process)
        {
            return;
        }

        if (ReadLookId() != process.Id)
        {
            throw new SmcException(
                SmcErrorCode.TargetInUse,
                string.Create(CultureInfo.InvariantCulture, $"The process {process.Id} of Redis works in '{directory.Path}', and was not started by this restore."),
                recommendation: "Stop it, run the same command again, which has the data verified, and start it afterwards.",
                target: directory.Path);
        }

        observer.Verbose(string.Create(CultureInfo.InvariantCulture, $"The server that was left from an earlier look (process {process.Id}) is ended."));
        await EndAsync().ConfigureAwait(false);
    }

    private int? ReadLookId()
    {
        const int Longest = 32;
        byte[] name = OfflineDirectory.NameOf(OfflineStart.PidName);
        if (directory.Handle.TryGetStatus(name)?.Type != FileType.Regular)
        {
            return null;
        }

        using NativeFile file = directory.Handle.OpenFile(name);
        byte[] content = new byte[Longest];
        int length = file.Read(content, 0);
        return int.TryParse(Encoding.ASCII.GetString(content, 0, length).AsSpan().Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out int id) ? id : null;
    }

    /// <summary>The end of what the server has logged since, as it may stand in a message.</summary>
    internal string QuoteLog(long from)
    {
        const int Window = 64 << 10;
        if (start.LogFile is null)
        {
            return start.Unit is null ? "" : $" Its log: journalctl -u {start.Unit}.";
        }

        try
        {
            using NativeFile file = NativeFile.OpenForReading(start.LogFile);
            long length = file.GetStatus().Size;
            byte[] end = new byte[Math.Min(Window, Math.Max(0, length - from))];
            int read = file.Read(end, length - end.Length);
            string[] lines = RedisLog.LastLines(Encoding.UTF8.GetString(end, 0, read));
            return lines.Length == 0 ? $" Its log: '{start.LogFile}'." : $" Its log '{start.LogFile}' ends: {string.Join(" | ", lines)}";
        }
        catch (PosixException)
        {
            return $" Its log: '{start.LogFile}'.";
        }
    }

    internal long LogLength()
    {
        try
        {
            return start.LogFile is null ? 0 : new FileInfo(start.LogFile) is { Exists: true } file ? file.Length : 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }

    private static RedisCommand ShutDown(bool isForced = false) => isForced
        ? new RedisCommand("SHUTDOWN", "NOSAVE", "NOW", "FORCE")
        : new RedisCommand("SHUTDOWN", "NOSAVE");

    private async Task AskToStopAsync(RedisProcess process, CancellationToken cancellationToken)
    {
        if (Unit is { } unit)
        {
            // systemd sends SIGTERM, on which a server with save points saves first.
            await TakeSavePointsAsync(cancellationToken).ConfigureAwait(false);
            await unit.StopAsync(options.StopTimeout, cancellationToken).ConfigureAwait(false);
            return;
        }

        // Since Redis 7 a server waits for its replicas, which get all data anew in a moment, and does not end while a file is being rewritten.
        if (await TryAskAsync(ShutDown(isForced: true), cancellationToken).ConfigureAwait(false) ||
            await TryAskAsync(ShutDown(), cancellationToken).ConfigureAwait(false))
        {
            return;
        }

        await TakeSavePointsAsync(cancellationToken).ConfigureAwait(false);
        observer.Verbose(string.Create(CultureInfo.InvariantCulture, $"Redis at {connector.Display} does not take SHUTDOWN; its process {process.Id} is asked to end."));
        process.AskToEnd();
    }

    private async Task TakeSavePointsAsync(CancellationToken cancellationToken)
    {
        if (await TryReadAsync(new RedisCommand("CONFIG", "GET", "save"), cancellationToken).ConfigureAwait(false) is { Items: [_, { Text.Length: > 0 } points] })
        {
            _savePoints = points.Text;
        }

        await TryAskAsync(new RedisCommand("CONFIG", "SET", "save", ""), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>A server that was not stopped goes on, and must save as before.</summary>
    private async Task GiveBackSavePointsAsync()
    {
        if (_savePoints is { } points)
        {
            await TryAskAsync(new RedisCommand("CONFIG", "SET", "save", points), CancellationToken.None).ConfigureAwait(false);
        }
    }

    /// <summary>What a server answers; null where it does not, or with an error.</summary>
    private async Task<RedisReply?> TryReadAsync(RedisCommand command, CancellationToken cancellationToken)
    {
        try
        {
            RedisConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                RedisReply reply = await connection.TryExecuteAsync(command, cancellationToken).ConfigureAwait(false);
                return reply.IsError ? null : reply;
            }
        }
        catch (SmcException e)
        {
            observer.Verbose(e.Message);
            return null;
        }
    }

    /// <summary>Sends a command; true where it was done, or the server ended over it.</summary>
    private async Task<bool> TryAskAsync(RedisCommand command, CancellationToken cancellationToken)
    {
        RedisConnection connection;
        try
        {
            connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e)
        {
            observer.Verbose(e.Message);
            return false;
        }

        await using (connection.ConfigureAwait(false))
        {
            try
            {
                RedisReply reply = await connection.TryExecuteAsync(command, cancellationToken).ConfigureAwait(false);
                if (reply.IsError)
                {
                    observer.Verbose($"Redis at {connector.Display} answers {command.Name} with: {RedisErrors.Clean(reply.Text)}.");
                }

                return !reply.IsError;
            }
            catch (SmcException e)
            {
                // The answer to SHUTDOWN is the end of the connection.
                return e.Code == SmcErrorCode.ServerUnavailable;
            }
        }
    }

    private static async Task<bool> WaitUntilGoneAsync(RedisProcess process, TimeSpan limit, CancellationToken cancellationToken)
    {
        long began = TimeProvider.System.GetTimestamp();
        while (process.IsAlive)
        {
            if (TimeProvider.System.GetElapsedTime(began) > limit)
            {
                return false;
            }

            await Task.Delay(s_poll, cancellationToken).ConfigureAwait(false);
        }

        return true;
    }

    private async Task LaunchAsync(CancellationToken cancellationToken)
    {
        observer.Progress(new OperationProgress(RedisOfflineRestore.Activity, $"Starting Redis at {connector.Display}"));
        if (Unit is { } unit)
        {
            await unit.StartAsync(cancellationToken).ConfigureAwait(false);
            return;
        }

        observer.Verbose($"Redis is started: {start.Command}");
        ProgramResult result = await HostProgram.RunAsync(
            start.Program!,
            [.. start.ConfigFile is null ? (string[])[] : [start.ConfigFile], .. start.Arguments],
            new ProgramOptions
            {
                Account = start.Account is null ? null : OsAccount.Find(start.Account),
                TimeLimit = s_launchLimit,
                Input = Input,
                IsEnvironmentEmpty = true,
            },
            cancellationToken).ConfigureAwait(false);
        if (result.ExitCode != 0)
        {
            throw Failed($"it ends with {result.ExitCode}: {result.Tail}", 0);
        }
    }

    private async Task<RedisInfo> WaitUntilLoadedAsync(long logStart, CancellationToken cancellationToken)
    {
        long began = TimeProvider.System.GetTimestamp();
        long moved = began;
        long position = -1;
        bool hasAppeared = false;
        while (true)
        {
            bool runs = RedisProcess.FindIn(directory.Handle) is not null;
            hasAppeared |= runs;
            if (!runs && await HasFailedAsync(hasAppeared, TimeProvider.System.GetElapsedTime(began), cancellationToken).ConfigureAwait(false))
            {
                throw Failed(hasAppeared ? "it ended again" : "it did not come up", logStart);
            }

            RedisInfo? info = runs ? await TryReadInfoAsync(cancellationToken).ConfigureAwait(false) : null;
            if (info is { IsLoading: false })
            {
                return info;
            }

            if (info?.Number("loading_loaded_bytes") is { } loaded && loaded != position)
            {
                (position, moved) = (loaded, TimeProvider.System.GetTimestamp());
                observer.Progress(new OperationProgress(
                    RedisOfflineRestore.Activity, $"Redis at {connector.Display} is loading", loaded, info.Number("loading_total_bytes")));
            }

            if (TimeProvider.System.GetElapsedTime(moved) > options.LoadingTimeout)
            {
                throw new SmcException(
                    SmcErrorCode.OperationTimedOut,
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"Redis at {connector.Display} has not come any further in loading the restored data for {options.LoadingTimeout.TotalSeconds:0} seconds.{QuoteLog(logStart)}"),
                    recommendation: "Read the server's log. The restored files are in place: once the server is up, run the same command again to have them verified.",
                    target: connector.Display);
            }

            await Task.Delay(s_poll, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<bool> HasFailedAsync(bool hasAppeared, TimeSpan elapsed, CancellationToken cancellationToken) => Unit is { } unit
        ? elapsed > s_unitAppearance || (elapsed > s_appearance && await unit.HasEndedAsync(cancellationToken).ConfigureAwait(false))
        : hasAppeared || elapsed > s_appearance;

    /// <summary>What the server says of itself; null where it does not answer yet.</summary>
    private async Task<RedisInfo?> TryReadInfoAsync(CancellationToken cancellationToken)
    {
        try
        {
            RedisConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                return await RedisSource.ReadInfoAsync(connection, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (SmcException e) when (e.Code is SmcErrorCode.ServerUnavailable or SmcErrorCode.OperationTimedOut)
        {
            return null;
        }
    }

    private SmcException Failed(string how, long logStart) => new(
        SmcErrorCode.ServerStartFailed,
        $"Redis at {connector.Display} does not start: {how}.{QuoteLog(logStart)}",
        recommendation: "Read the server's log, correct what it names, and run the command again.",
        target: connector.Display);
}
