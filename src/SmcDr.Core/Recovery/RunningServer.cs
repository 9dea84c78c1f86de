namespace SmcDr.Core.Recovery;

/// <summary>A server that runs in a data directory, as its <c>postmaster.pid</c> tells.</summary>
/// <param name="ProcessId">The postmaster's process.</param>
/// <param name="Port">The port it listens on, once it does.</param>
/// <param name="SocketDirectory">The first directory of its sockets.</param>
/// <param name="Status">
/// The last state that it wrote: <c>starting</c>, <c>stopping</c>, <c>ready</c>, or <c>standby</c> for one in recovery that takes
/// no connections (pidfile.h); empty before it wrote one.
/// </param>
public sealed record RunningServer(int ProcessId, int? Port, string? SocketDirectory, string Status)
{
    /// <summary>Whether it takes connections.</summary>
    public bool IsReady => Status == "ready";
}
