namespace SmcDr.Core.Redis.Rdb;

/// <summary>What values are put together from.</summary>
internal enum RdbPart
{
    /// <summary>Any string.</summary>
    String,
    /// <summary>A string of the 16 bytes of a stream's id.</summary>
    StreamId,
    /// <summary>A number in the form of a length.</summary>
    Number,
    /// <summary>Eight bytes: a time, or a number.</summary>
    Bytes8,
    /// <summary>Sixteen bytes: a stream's id.</summary>
    Bytes16,
    /// <summary>A binary double, which must be a number.</summary>
    Double,
    /// <summary>A number as text, after its length in one byte; 253 to 255 instead of a length are NaN and the infinities.</summary>
    TextDouble,
    /// <summary>A number in the form of a length, and then so many times the body.</summary>
    Repeat,
    /// <summary>A string that is a packed structure.</summary>
    Packed,
    /// <summary>A node of a list: its container, and an element (1) or a listpack (2).</summary>
    ListNode,
    /// <summary>A module's type.</summary>
    ModuleType,
    /// <summary>Parts that say what they are, to the one that says that it is the last.</summary>
    ModuleParts,
}
