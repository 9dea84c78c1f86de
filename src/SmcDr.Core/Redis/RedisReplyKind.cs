namespace SmcDr.Core.Redis;

/// <summary>What a reply is. The several ways in which RESP2 and RESP3 write one thing are one kind.</summary>
internal enum RedisReplyKind
{
    /// <summary>No value: RESP3's null, and RESP2's strings and arrays of length -1.</summary>
    Null,

    /// <summary>A status, such as <c>OK</c>.</summary>
    Status,

    /// <summary>An error, as a line or as RESP3's long form.</summary>
    Error,

    /// <summary>A whole number.</summary>
    Integer,

    /// <summary>RESP3's floating-point number.</summary>
    Double,

    /// <summary>RESP3's true or false.</summary>
    Boolean,

    /// <summary>RESP3's number of any size, as its digits.</summary>
    BigNumber,

    /// <summary>A string of bytes; RESP3's verbatim strings without their format.</summary>
    Text,

    /// <summary>A list.</summary>
    Array,

    /// <summary>RESP3's map: names and values in turn.</summary>
    Map,

    /// <summary>RESP3's set.</summary>
    Set,

    /// <summary>RESP3's message that nobody asked for.</summary>
    Push,
}
