using System.Threading.Channels;

namespace SmcDr.Core.Redis.Restore;

/// <summary>A server that takes keys: the only one, or a master of a cluster.</summary>
internal sealed class RestoreNode(RedisConnector connector, RedisInfo info, Func<string, string> createKey)
{
    /// <summary>Opens connections to it.</summary>
    public RedisConnector Connector => connector;

    public string Display => connector.Display;

    /// <summary>What it said of itself before anything was changed.</summary>
    public RedisInfo Info => info;

    /// <summary>How many keys it had.</summary>
    public long KeyCount => info.Databases.Sum(static database => database.Keys);

    /// <summary>What its connections are to send. Short, so that memory stays bounded and whoever reads the backup waits for the server.</summary>
    public Channel<RestoreItem> Queue { get; } =
        Channel.CreateBounded<RestoreItem>(new BoundedChannelOptions(2) { SingleWriter = true });

    /// <summary>The batch that is being filled for it, by whoever reads the backup.</summary>
    public RestoreBatch? Filling { get; set; }

    /// <summary>A name that begins so and belongs here, for questions.</summary>
    public string CreateKey(string prefix) => createKey(prefix);
}
