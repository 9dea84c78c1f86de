using System.Diagnostics.CodeAnalysis;

namespace SmcDr.Core.Redis.Rdb;

/// <summary>
/// How a value is written in an RDB file: the type byte before its key. The numbers and names are those of Redis's <c>rdb.h</c>;
/// the comment says which version began to write it.
/// </summary>
[SuppressMessage("Naming", "CA1720", Justification = "Redis calls the type so.")]
public enum RdbEncoding : byte
{
    String = 0,
    List = 1,
    Set = 2,
    /// <summary>Scores as text.</summary>
    SortedSet = 3,
    Hash = 4,
    /// <summary>Scores as binary doubles (RDB 8, Redis 4.0).</summary>
    SortedSet2 = 5,
    /// <summary>A module's value of Redis 4.0's release candidates, whose end nobody but the module finds.</summary>
    ModulePreGa = 6,
    /// <summary>A module's value in parts that say what they are (RDB 8, Redis 4.0).</summary>
    Module2 = 7,
    HashZipmap = 9,
    ListZiplist = 10,
    SetIntset = 11,
    SortedSetZiplist = 12,
    HashZiplist = 13,
    /// <summary>A list of ziplists (RDB 7, Redis 3.2).</summary>
    ListQuicklist = 14,
    /// <summary>RDB 9, Redis 5.0.</summary>
    StreamListpacks = 15,
    /// <summary>RDB 10, Redis 7.0.</summary>
    HashListpack = 16,
    /// <summary>RDB 10, Redis 7.0.</summary>
    SortedSetListpack = 17,
    /// <summary>A list of listpacks and of large elements (RDB 10, Redis 7.0).</summary>
    ListQuicklist2 = 18,
    /// <summary>RDB 10, Redis 7.0.</summary>
    StreamListpacks2 = 19,
    /// <summary>RDB 11, Redis 7.2.</summary>
    SetListpack = 20,
    /// <summary>RDB 11, Redis 7.2.</summary>
    StreamListpacks3 = 21,
    /// <summary>A hash whose fields expire, of Redis 7.4's release candidates.</summary>
    HashMetadataPreGa = 22,
    /// <summary>A small hash whose fields expire, of Redis 7.4's release candidates.</summary>
    HashListpackExpiringPreGa = 23,
    /// <summary>A hash whose fields expire (RDB 12, Redis 7.4).</summary>
    HashMetadata = 24,
    /// <summary>A small hash whose fields expire (RDB 12, Redis 7.4).</summary>
    HashListpackExpiring = 25,
}
