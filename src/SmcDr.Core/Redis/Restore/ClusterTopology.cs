using System.Globalization;

namespace SmcDr.Core.Redis.Restore;

/// <summary>Which masters a cluster has, and which of them has each slot.</summary>
internal sealed class ClusterTopology
{
    private ClusterTopology(IReadOnlyList<(string Host, int Port)> masters, int[] owners)
    {
        (Masters, Owners) = (masters, owners);
    }

    public IReadOnlyList<(string Host, int Port)> Masters { get; }

    /// <summary>For each slot the number of its master.</summary>
    public IReadOnlyList<int> Owners { get; }

    /// <summary>Asks a node.</summary>
    /// <exception cref="SmcException">Slots are without a master, or the answer is not understood.</exception>
    public static async Task<ClusterTopology> ReadAsync(RedisConnection connection, CancellationToken cancellationToken)
    {
        // CLUSTER SHARDS, which came with Redis 7, says the same.
        RedisReply reply = await connection.ExecuteAsync(new RedisCommand("CLUSTER", "SLOTS"), cancellationToken).ConfigureAwait(false);
        List<(string Host, int Port)> masters = [];
        int[] owners = new int[HashSlot.Count];
        Array.Fill(owners, -1);
        foreach (RedisReply range in reply.Items)
        {
            if (range.Items is not [var first, var last, { Items: [var host, var port, ..] }, ..] ||
                first.Integer < 0 || last.Integer >= HashSlot.Count || port.Integer is < 1 or > 65535)
            {
                throw new SmcException(
                    SmcErrorCode.ServerUnavailable,
                    $"What Redis at {connection.Display} says of its cluster's slots is not understood.",
                    recommendation: "Look at CLUSTER SLOTS on the server; update SmcDr where its form is a new one.",
                    target: connection.Display);
            }

            // A node that does not know its own address means the one that was asked.
            (string Host, int Port) master = (host.IsNull || host.Bytes.IsEmpty ? connection.Connector.Host : host.Text, (int)port.Integer);
            int index = masters.IndexOf(master);
            if (index < 0)
            {
                index = masters.Count;
                masters.Add(master);
            }

            for (long slot = first.Integer; slot <= last.Integer; slot++)
            {
                owners[slot] = index;
            }
        }

        int missing = owners.Count(static owner => owner < 0);
        return missing == 0 ? new ClusterTopology(masters, owners) : throw new SmcException(
            SmcErrorCode.TargetUnsuitable,
            string.Create(CultureInfo.InvariantCulture, $"The cluster of Redis at {connection.Display} is not whole: {missing} of its {HashSlot.Count} slots have no master."),
            recommendation: "Repair the cluster first (redis-cli --cluster check, then --cluster fix), then run the command again.",
            target: connection.Display);
    }
}
