namespace SmcDr.Core.Redis.Rdb;

/// <summary>One part of a value as it is written in the file.</summary>
/// <param name="Kind">What stands there.</param>
/// <param name="Body">What a <see cref="RdbPart.Repeat"/> repeats.</param>
/// <param name="Format">What a <see cref="RdbPart.Packed"/> is.</param>
/// <param name="ElementsPerItem">How many elements of a packed structure make one of the value: 2 for a hash.</param>
/// <param name="IsElementCount">Whether the number is that of the value's elements.</param>
internal readonly record struct RdbInstruction(
    RdbPart Kind,
    RdbInstruction[]? Body = null,
    PackedFormat Format = default,
    int ElementsPerItem = 1,
    bool IsElementCount = false);
