namespace SmcDr.Core.Platform;

/// <summary>The way to servers that cannot be connected to from here by their address, such as those in pods. Safe for concurrent use.</summary>
public interface IServerRoute
{
    /// <summary>Where it leads, for messages, such as <c>the namespace 'orders' of east</c>.</summary>
    string Display { get; }

    /// <summary>Opens a connection to a server. Null: its address can be connected to directly.</summary>
    /// <exception cref="SmcException">Nothing is there that could be connected to, or the way is closed.</exception>
    Task<Stream?> ConnectAsync(string host, int port, CancellationToken cancellationToken);

    /// <summary>
    /// Opens a port of this host that leads to a server, for clients that make their connections themselves. Null: its address can be connected to
    /// directly.
    /// </summary>
    /// <exception cref="SmcException">Nothing is there that could be connected to, or the way is closed.</exception>
    Task<IRoutedPort?> ListenAsync(string host, int port, CancellationToken cancellationToken);
}
