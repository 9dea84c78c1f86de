using System.Globalization;

namespace SmcDr.Core.Redis.Rdb;

/// <summary>What an RDB file holds, as far as it has been read.</summary>
public sealed class RdbSummary
{
    // Memory must not follow a hostile file: a server has 16 databases and a dozen auxiliary fields.
    private const int MaximumAuxiliaryFields = 256;
    private const int MaximumAuxiliaryLength = 4096;
    private readonly SortedDictionary<int, RdbDatabaseSummary> _databases = [];
    private readonly Dictionary<string, string> _auxiliaryFields = new(StringComparer.Ordinal);
    private readonly SortedSet<string> _modules = new(StringComparer.Ordinal);
    private readonly List<RdbFunctionLibrary> _functions = [];

    internal RdbSummary()
    {
    }

    /// <summary>The version of the format, 10 for Redis 7.0.</summary>
    public int Version { get; internal set; }

    /// <summary>How many bytes the dump has, the checksum included.</summary>
    public long Length { get; internal set; }

    /// <summary>What the checksum at the end proves.</summary>
    public RdbChecksumState Checksum { get; internal set; }

    /// <summary>Databases that have keys, by number.</summary>
    public IReadOnlyCollection<RdbDatabaseSummary> Databases => _databases.Values;

    /// <summary>How many keys, expired ones among them, empty ones not.</summary>
    public long Keys => _databases.Values.Sum(static database => database.Keys);

    /// <summary>How many keys expire at some time.</summary>
    public long KeysWithExpiry => _databases.Values.Sum(static database => database.KeysWithExpiry);

    /// <summary>How many keys have expired at <see cref="RdbReaderOptions.ExpiryInstant"/>.</summary>
    public long ExpiredKeys => _databases.Values.Sum(static database => database.ExpiredKeys);

    /// <summary>How many collections without elements every server drops on loading.</summary>
    public long EmptyKeys => _databases.Values.Sum(static database => database.EmptyKeys);

    /// <summary>How many packed structures were longer than <see cref="RdbReaderOptions.MaximumPackedLength"/> and so not looked into.</summary>
    public long StructuresNotChecked { get; internal set; }

    /// <summary>Auxiliary fields, such as <c>redis-ver</c>; the scripts that old servers write as fields <c>lua</c> are only counted.</summary>
    public IReadOnlyDictionary<string, string> AuxiliaryFields => _auxiliaryFields;

    /// <summary>How many scripts a server before 7.0 wrote for its replicas.</summary>
    public long LuaScripts { get; private set; }

    /// <summary>Libraries of functions.</summary>
    public IReadOnlyList<RdbFunctionLibrary> Functions => _functions;

    /// <summary>The types of modules, by their nine-letter names, that a server must have to load the dump.</summary>
    public IReadOnlyCollection<string> ModuleTypes => _modules;

    /// <summary>Whether the file comes from a cluster that writes what each slot holds (Redis 7.4 and later).</summary>
    public bool HasSlots { get; internal set; }

    /// <summary>The server's version.</summary>
    public string? RedisVersion => _auxiliaryFields.GetValueOrDefault("redis-ver");

    /// <summary>When the dump was begun.</summary>
    public DateTimeOffset? CreatedAt =>
        Number("ctime") is >= 0 and <= 253402300799 and { } seconds ? DateTimeOffset.FromUnixTimeSeconds(seconds) : null;

    /// <summary>How much memory the server used.</summary>
    public long? UsedMemory => Number("used-mem");

    /// <summary>The database that the replication stream had selected.</summary>
    public long? ReplicationDatabase => Number("repl-stream-db");

    /// <summary>The id of the replication history that the dump is a point of.</summary>
    public string? ReplicationId => _auxiliaryFields.GetValueOrDefault("repl-id");

    /// <summary>The offset in that history.</summary>
    public long? ReplicationOffset => Number("repl-offset");

    /// <summary>Whether the file is the base of an append-only file, or its preamble: expired keys are then loaded as well.</summary>
    public bool IsAppendOnlyBase => Number("aof-base") is > 0 || Number("aof-preamble") is > 0;

    internal long FunctionBytes { get; private set; }

    internal int DatabaseCount => _databases.Count;

    internal RdbDatabaseSummary Database(int number)
    {
        if (!_databases.TryGetValue(number, out RdbDatabaseSummary? summary))
        {
            summary = new RdbDatabaseSummary(number);
            _databases.Add(number, summary);
        }

        return summary;
    }

    internal bool HasDatabase(int number) => _databases.ContainsKey(number);

    internal void AddAuxiliaryField(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        if (name.SequenceEqual("lua"u8))
        {
            LuaScripts++;
        }
        else if (name.Length <= MaximumAuxiliaryLength && value.Length <= MaximumAuxiliaryLength
            && _auxiliaryFields.Count < MaximumAuxiliaryFields)
        {
            _auxiliaryFields[System.Text.Encoding.UTF8.GetString(name)] = System.Text.Encoding.UTF8.GetString(value);
        }
    }

    internal void AddFunction(ReadOnlySpan<byte> code)
    {
        _functions.Add(RdbFunctionLibrary.Parse(code));
        FunctionBytes += code.Length;
    }

    internal void AddModule(ulong id)
    {
        if (_modules.Count < MaximumAuxiliaryFields)
        {
            _modules.Add(RdbModules.NameOf(id));
        }
    }

    private long? Number(string name) =>
        _auxiliaryFields.TryGetValue(name, out string? text)
            && long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number)
                ? number
                : null;
}
