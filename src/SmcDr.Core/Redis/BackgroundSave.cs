using System.Globalization;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Redis;

/// <summary>Has a server write its file, and finds out when that one is written.</summary>
/// <remarks>
/// No single field of <c>INFO</c> tells. <c>LASTSAVE</c> counts seconds, so that two saves can look like one, and it moves for other
/// people's saves, too; <c>rdb_last_bgsave_status</c> is that of the last save until the next one ends; <c>rdb_bgsave_in_progress</c> is zero before
/// a scheduled save begins. Together they do: nothing runs, the last one went well, and a save has ended since we asked for one of our own.
/// </remarks>
internal sealed class BackgroundSave(RedisConnection connection, TimeSpan timeout, IOperationObserver observer)
{
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(100);

    /// <summary>LASTSAVE counts seconds; a second later, what is saved has another one.</summary>
    private static readonly TimeSpan s_otherSecond = TimeSpan.FromMilliseconds(1100);

    private readonly long _start = TimeProvider.System.GetTimestamp();

    /// <summary>Runs a save to its end.</summary>
    /// <returns>The instant, by this machine's clock, at which the data is that of the file or older; and how far its history had come then.</returns>
    public async Task<(DateTimeOffset Time, RedisInfo Before)> RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            // A save that runs already began before we asked, and would be older than the backup says.
            RedisInfo before = await WaitWhileAsync(
                static info => info.IsSaving, "another save of the server to end", cancellationToken).ConfigureAwait(false);
            long lastSave = await LastSaveAsync(cancellationToken).ConfigureAwait(false);
            if (before.Number("rdb_saves") is null)
            {
                // Before Redis 7 the server does not count its saves.
                await Task.Delay(s_otherSecond, cancellationToken).ConfigureAwait(false);
            }

            DateTimeOffset asked = DateTimeOffset.UtcNow;
            RedisReply reply = await connection.TryExecuteAsync(new RedisCommand("BGSAVE", "SCHEDULE"), cancellationToken).ConfigureAwait(false);
            if (reply.IsError && reply.Text.Contains("already in progress", StringComparison.OrdinalIgnoreCase))
            {
                // Between the question and the command somebody else began.
                continue;
            }

            if (reply.IsError)
            {
                throw reply.Text.StartsWith("ERR ", StringComparison.Ordinal) && !RedisErrors.IsUnknown(reply)
                    ? Failed(RedisErrors.Clean(reply.Text))
                    : connection.Translate(reply, "BGSAVE");
            }

            observer.Verbose($"Redis at {connection.Display} says: {RedisErrors.Clean(reply.Text)}.");
            await WaitForSaveAsync(before, lastSave, isScheduled: reply.Text.Contains("scheduled", StringComparison.OrdinalIgnoreCase), cancellationToken)
                .ConfigureAwait(false);
            return (asked, before);
        }
    }

    private async Task WaitForSaveAsync(RedisInfo before, long lastSave, bool isScheduled, CancellationToken cancellationToken)
    {
        bool begun = !isScheduled;
        while (true)
        {
            RedisInfo info = await InfoAsync(cancellationToken).ConfigureAwait(false);
            if (info.RunId != before.RunId)
            {
                throw Failed("the server was started again meanwhile");
            }

            // A save that ends between two questions is never seen running. One that went well is counted, and that a failing one forked is, too.
            bool isNew = info.Number("rdb_saves") is { } saves
                ? saves > before.Number("rdb_saves")
                : await LastSaveAsync(cancellationToken).ConfigureAwait(false) != lastSave;
            begun |= info.IsSaving || isNew ||
                (!info.LastSaveOk && info.Number("aof_rewrite_in_progress") is 0 && info.Number("total_forks") > before.Number("total_forks"));
            if (begun && !info.IsSaving)
            {
                if (!info.LastSaveOk)
                {
                    throw Failed("the server's process that saves ended with an error");
                }

                if (isNew)
                {
                    return;
                }
            }

            await PauseAsync(
                info, isScheduled && !begun ? "another process of the server to end, after which it saves" : "the server to save", cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<RedisInfo> WaitWhileAsync(Func<RedisInfo, bool> condition, string what, CancellationToken cancellationToken)
    {
        while (true)
        {
            RedisInfo info = await InfoAsync(cancellationToken).ConfigureAwait(false);
            if (!condition(info))
            {
                return info;
            }

            await PauseAsync(info, what, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task PauseAsync(RedisInfo info, string what, CancellationToken cancellationToken)
    {
        if (TimeProvider.System.GetElapsedTime(_start) >= timeout)
        {
            throw new SmcException(
                SmcErrorCode.OperationTimedOut,
                string.Create(CultureInfo.InvariantCulture, $"Waiting for {what} took longer than {timeout.TotalSeconds:0.#} seconds at Redis at {connection.Display}."),
                recommendation: "INFO persistence shows which of the server's processes runs; give it more time, or use the method Replication.",
                target: connection.Display);
        }

        observer.Progress(new OperationProgress(
            RedisBackup.Activity, $"Waiting for {what}", info.Number("current_save_keys_processed") ?? 0, info.Number("current_save_keys_total"), ProgressUnit.Items));
        await Task.Delay(s_poll, cancellationToken).ConfigureAwait(false);
    }

    private Task<RedisInfo> InfoAsync(CancellationToken cancellationToken) => RedisSource.ReadInfoAsync(connection, cancellationToken);

    private async Task<long> LastSaveAsync(CancellationToken cancellationToken) =>
        (await connection.ExecuteAsync(new RedisCommand("LASTSAVE"), cancellationToken).ConfigureAwait(false)).Integer;

    private SmcException Failed(string reason) => new(
        SmcErrorCode.BackupInterrupted,
        $"Redis at {connection.Display} could not save its data: {reason}.",
        recommendation: "Read the server's log: the disk may be full or not writable, or the host refuses a second process as large as the server (vm.overcommit_memory). " +
            "Until a save succeeds, a server with stop-writes-on-bgsave-error takes no writes.",
        target: connection.Display);
}
