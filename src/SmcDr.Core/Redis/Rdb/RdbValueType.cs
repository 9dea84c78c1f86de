namespace SmcDr.Core.Redis.Rdb;

/// <summary>What a value is to those who use it, whatever its <see cref="RdbEncoding"/>.</summary>
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
