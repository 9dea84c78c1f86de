using System.Globalization;

namespace SmcDr.Core.Redis.Offline;

/// <summary>The settings that decide where a server's data is, who reaches it and how much it holds: as it will start, and as it runs now.</summary>
internal sealed class OfflineSettings
{
    /// <summary>What a server does without being told (config.c). They are the same in all versions since 5, but for the last two.</summary>
    private static readonly Dictionary<string, string> s_defaults = new(StringComparer.OrdinalIgnoreCase)
    {
        ["dir"] = ".",
        ["dbfilename"] = "dump.rdb",
        ["appendonly"] = "no",
        ["appendfilename"] = "appendonly.aof",
        ["appenddirname"] = "appendonlydir",
        ["port"] = "6379",
        ["tls-port"] = "0",
        ["databases"] = "16",
        ["cluster-enabled"] = "no",
        ["maxmemory"] = "0",
        ["maxmemory-policy"] = "noeviction",
        ["logfile"] = "",
        ["requirepass"] = "",
        ["unixsocket"] = "",
        ["aclfile"] = "",
        ["protected-mode"] = "yes",
        ["daemonize"] = "no",
        ["pidfile"] = "",
    };

    /// <summary>What is handed to a server that is started as a process of its own, where it ran with something else than its file says.</summary>
    private static readonly string[] s_kept = ["dir", "dbfilename", "appendonly", "appendfilename", "appenddirname", "port", "tls-port", "databases", "bind"];

    /// <summary>What a restart loses where it was changed while the server ran.</summary>
    private static readonly string[] s_lost = ["maxmemory", "maxmemory-policy", "protected-mode", "unixsocket", "aclfile", "save"];

    private readonly RedisConfiguration _written;
    private readonly IReadOnlyDictionary<string, string>? _running;
    private readonly bool _keepsRunning;
    private readonly bool _isWrittenKnown;

    /// <summary>Puts both together.</summary>
    /// <param name="written">The configuration that it starts with.</param>
    /// <param name="running">What it runs with; null where that is not known.</param>
    /// <param name="keepsRunning">Whether it is started with what it runs with now, where that matters.</param>
    /// <param name="isWrittenKnown">Whether all that it starts with is known, so that what it runs with can be compared with that.</param>
    public OfflineSettings(
        RedisConfiguration written, IReadOnlyDictionary<string, string>? running, bool keepsRunning, bool isWrittenKnown = true)
    {
        (_written, _running, _keepsRunning, _isWrittenKnown) = (written, running, keepsRunning, isWrittenKnown);
    }

    /// <summary>The names of the settings that are asked of a running server.</summary>
    public static IReadOnlyList<string> Names => [.. s_kept.Concat(s_lost).Concat(["cluster-enabled", "logfile", "requirepass", "pidfile"])];

    /// <summary>What the server will start with.</summary>
    public string this[string name] => _keepsRunning && s_kept.Contains(name) && _running?.GetValueOrDefault(name) is { } running
        ? running
        : Written(name) ?? _running?.GetValueOrDefault(name) ?? s_defaults.GetValueOrDefault(name, "");

    /// <summary>What the server runs with; null where that is not known.</summary>
    public string? Running(string name) => _running?.GetValueOrDefault(name);

    /// <summary>What its configuration says; null where that says nothing.</summary>
    public string? Written(string name) => _written[name] is { } values ? string.Join(' ', values) : null;

    /// <summary>The arguments with which a server that ran with other settings than its configuration says starts as it ran.</summary>
    public IEnumerable<string> Arguments() => _running is null ? [] : s_kept.Where(static name => name != "dir").Where(IsDifferent).SelectMany(name => (string[])
    [
        "--" + name,
        .. name == "bind" ? _running[name].Split(' ', StringSplitOptions.RemoveEmptyEntries) : [_running[name]],
    ]);

    /// <summary>The settings that were changed while the server ran, and are not as its configuration says.</summary>
    public IEnumerable<string> Lost() => _running is null ? [] : s_lost.Concat(_keepsRunning ? [] : s_kept.Where(static name => name != "dir")).Where(IsDifferent);

    /// <summary>Whether it runs with a password that its configuration does not have: it would start without one.</summary>
    public bool LosesPassword => _running?.GetValueOrDefault("requirepass") is { Length: > 0 } && IsDifferent("requirepass");

    /// <summary>A size as a configuration file may have it (util.c, memtoull): bytes, or with a unit.</summary>
    public static long? ParseSize(string text)
    {
        string lower = text.ToLowerInvariant();
        int digits = lower.TakeWhile(char.IsAsciiDigit).Count();
        if (!long.TryParse(lower.AsSpan(0, digits), NumberStyles.None, CultureInfo.InvariantCulture, out long number))
        {
            return null;
        }

        long factor = lower[digits..] switch
        {
            "" or "b" => 1,
            "k" => 1000,
            "kb" => 1 << 10,
            "m" => 1_000_000,
            "mb" => 1 << 20,
            "g" => 1_000_000_000,
            "gb" => 1 << 30,
            _ => 0,
        };
        return factor == 0 || number > long.MaxValue / factor ? null : number * factor;
    }

    private bool IsDifferent(string name)
    {
        if (!_isWrittenKnown || _running?.GetValueOrDefault(name) is not { } running)
        {
            return false;
        }

        string? expected = Written(name) ?? s_defaults.GetValueOrDefault(name);
        return name switch
        {
            // Without either, what a server does depends on its version.
            _ when expected is null => false,
            "maxmemory" => ParseSize(expected) != ParseSize(running),
            "dir" => Path.TrimEndingDirectorySeparator(expected) != Path.TrimEndingDirectorySeparator(running),
            _ => !expected.Equals(running, StringComparison.OrdinalIgnoreCase),
        };
    }
}
