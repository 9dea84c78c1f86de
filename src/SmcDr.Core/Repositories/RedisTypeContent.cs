namespace SmcDr.Core.Repositories;

/// <summary>What an RDB holds of one type in one of a Redis server's numbered databases.</summary>
/// <param name="Type">The type: <c>String</c>, <c>List</c>, <c>Set</c>, <c>SortedSet</c>, <c>Hash</c>, <c>Stream</c> or <c>Module</c>.</param>
/// <param name="Keys">How many keys.</param>
/// <param name="Elements">How many elements their values have; of values whose elements could not be counted, none.</param>
/// <param name="Bytes">How many bytes keys and values take in the RDB.</param>
public sealed record RedisTypeContent(string Type, long Keys, long Elements, long Bytes);
