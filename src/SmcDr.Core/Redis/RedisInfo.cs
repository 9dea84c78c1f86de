using System.Globalization;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Redis;

/// <summary>What a server says of itself by <c>INFO</c>. Lines that it adds in later versions are kept; those it does not have are null.</summary>
internal sealed class RedisInfo
{
    private readonly Dictionary<string, string> _values;

    private RedisInfo(Dictionary<string, string> values) => _values = values;

    public string? this[string name] => _values.GetValueOrDefault(name);

    public string Version => this["redis_version"] ?? "unknown";

    /// <summary><c>standalone</c>, <c>cluster</c> or <c>sentinel</c>.</summary>
    public string Mode => this["redis_mode"] ?? "standalone";

    public string? RunId => this["run_id"];

    public bool IsMaster => this["role"] is not "slave";

    public bool IsLoading => Number("loading") is > 0;

    /// <summary>On a replica: whether it hears its master and has all of its data.</summary>
    public bool IsLinkUp => this["master_link_status"] == "up" && Number("master_sync_in_progress") is null or 0;

    /// <summary>Where the server's own stream of changes is.</summary>
    public long? Offset => Number("master_repl_offset");

    public bool IsSaving => Number("rdb_bgsave_in_progress") is > 0;

    /// <summary>Whether the last BGSAVE that ended went well; before the first one it did.</summary>
    public bool LastSaveOk => this["rdb_last_bgsave_status"] is "ok";

    /// <summary>The databases that have keys.</summary>
    public IReadOnlyList<RedisDatabaseSize> Databases { get; private init; } = [];

    /// <summary>The replicas that a server knows.</summary>
    public IReadOnlyList<RedisReplica> Replicas { get; private init; } = [];

    public static RedisInfo Parse(string text)
    {
        Dictionary<string, string> values = new(StringComparer.Ordinal);
        List<RedisDatabaseSize> databases = [];
        List<RedisReplica> replicas = [];
        foreach (ReadOnlySpan<char> part in text.AsSpan().EnumerateLines())
        {
            int colon = part.IndexOf(':');
            if (colon <= 0 || part[0] == '#')
            {
                continue;
            }

            string name = part[..colon].ToString();
            string value = part[(colon + 1)..].ToString();
            values[name] = value;
            if (TryNumber(name, "db", out int database))
            {
                Dictionary<string, string> fields = Fields(value);
                databases.Add(new RedisDatabaseSize(database, Get(fields, "keys") ?? 0, Get(fields, "expires") ?? 0));
            }
            else if (TryNumber(name, "slave", out int _))
            {
                Dictionary<string, string> fields = Fields(value);
                if (fields.TryGetValue("ip", out string? host) && Get(fields, "port") is > 0 and <= 65535 and long port)
                {
                    replicas.Add(new RedisReplica(
                        host, (int)port, fields.GetValueOrDefault("state") == "online", Get(fields, "offset") ?? 0, Get(fields, "lag")));
                }
            }
        }

        return new RedisInfo(values) { Databases = [.. databases.OrderBy(static size => size.Database)], Replicas = replicas };
    }

    public long? Number(string name) =>
        long.TryParse(this[name], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) ? number : null;

    private static long? Get(Dictionary<string, string> fields, string name) =>
        long.TryParse(fields.GetValueOrDefault(name), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) ? number : null;

    private static bool TryNumber(string name, string prefix, out int number)
    {
        number = 0;
        return name.StartsWith(prefix, StringComparison.Ordinal) &&
            int.TryParse(name.AsSpan(prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }

    private static Dictionary<string, string> Fields(string value)
    {
        Dictionary<string, string> fields = new(StringComparer.Ordinal);
        foreach (string field in value.Split(','))
        {
            int equals = field.IndexOf('=', StringComparison.Ordinal);
            if (equals > 0)
            {
                fields[field[..equals]] = field[(equals + 1)..];
            }
        }

        return fields;
    }
}
