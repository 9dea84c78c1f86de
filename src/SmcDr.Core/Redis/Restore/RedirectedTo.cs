using System.Globalization;

namespace SmcDr.Core.Redis.Restore;

/// <summary>Where a cluster's node says that a key is.</summary>
/// <param name="Connector">The node.</param>
/// <param name="Slot">The slot that has moved there; negative where it has not.</param>
/// <param name="IsAsk">Whether that holds for this one command, while the slot is moving.</param>
internal readonly record struct RedirectedTo(RedisConnector Connector, int Slot, bool IsAsk)
{
    public bool IsElsewhere => IsAsk || Slot >= 0;

    /// <summary>From an error such as <c>MOVED 3999 127.0.0.1:6381</c>; any other means the same server.</summary>
    public static RedirectedTo Read(RedisReply reply, RedisConnector asked)
    {
        string[] words = reply.Text.Split(' ');
        if (words is not ["MOVED" or "ASK", var slotText, var address, ..] ||
            !int.TryParse(slotText, NumberStyles.None, CultureInfo.InvariantCulture, out int slot) ||
            address.LastIndexOf(':') is var colon && colon < 0 ||
            !int.TryParse(address.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int port) ||
            port is < 1 or > 65535)
        {
            return new RedirectedTo(asked, -1, false);
        }

        // A node that does not know its own address leaves it out.
        RedisConnector there = asked.WithEndpoint(colon == 0 ? asked.Host : address[..colon], port);
        return words[0] == "ASK" ? new RedirectedTo(there, -1, true) : new RedirectedTo(there, slot, false);
    }
}
