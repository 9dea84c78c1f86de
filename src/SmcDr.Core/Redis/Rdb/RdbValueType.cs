using System.Diagnostics.CodeAnalysis;

namespace SmcDr.Core.Redis.Rdb;

/// <summary>What a value is to those who use it, whatever its <see cref="RdbEncoding"/>.</summary>
[SuppressMessage("Naming", "CA1720", Justification = "Redis calls the type so.")]
public enum RdbValueType
{
    String,
    List,
    Set,
    SortedSet,
    Hash,
    Stream,
    Module,
}
