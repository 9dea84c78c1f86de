using System.Globalization;
using System.Text;

namespace SmcDr.Core.Redis;

/// <summary>A reply of a Redis server.</summary>
internal readonly struct RedisReply
{
    private readonly object? _content;
    private readonly long _number;

    private RedisReply(RedisReplyKind kind, object? content, long number = 0)
    {
        Kind = kind;
        _content = content;
        _number = number;
    }

    public static RedisReply Null => default;

    public RedisReplyKind Kind { get; }

    public bool IsNull => Kind == RedisReplyKind.Null;

    public bool IsError => Kind == RedisReplyKind.Error;

    /// <summary>Whether it is the status <c>OK</c>.</summary>
    public bool IsOk => Kind == RedisReplyKind.Status && ReferenceEquals(_content, RedisStatus.Ok);

    /// <summary>The bytes of a string, status, error or big number; empty for others.</summary>
    public ReadOnlyMemory<byte> Bytes => _content as byte[];

    /// <summary>The parts of an array, map, set or push message; empty for others.</summary>
    public IReadOnlyList<RedisReply> Items => _content as RedisReply[] ?? [];

    /// <summary>The value of an integer or boolean, or of a string that is one.</summary>
    /// <exception cref="FormatException">It is no whole number.</exception>
    public long Integer => Kind switch
    {
        RedisReplyKind.Integer or RedisReplyKind.Boolean => _number,
        _ => long.Parse(Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture),
    };

    /// <summary>The value of a floating-point number, or of a string that is one.</summary>
    public double Double => Kind switch
    {
        RedisReplyKind.Double => BitConverter.Int64BitsToDouble(_number),
        RedisReplyKind.Integer => _number,
        _ => double.Parse(Text, NumberStyles.Float, CultureInfo.InvariantCulture),
    };

    /// <summary>A string, status, error or number as text.</summary>
    public string Text => Kind switch
    {
        RedisReplyKind.Integer or RedisReplyKind.Boolean => _number.ToString(CultureInfo.InvariantCulture),
        RedisReplyKind.Double => Double.ToString("R", CultureInfo.InvariantCulture),
        _ => Encoding.UTF8.GetString(Bytes.Span),
    };

    public static RedisReply FromStatus(ReadOnlySpan<byte> text) =>
        new(RedisReplyKind.Status, text.SequenceEqual(RedisStatus.Ok) ? RedisStatus.Ok : text.ToArray());

    public static RedisReply FromError(byte[] text) => new(RedisReplyKind.Error, text);

    public static RedisReply FromInteger(long value) => new(RedisReplyKind.Integer, null, value);

    public static RedisReply FromDouble(double value) => new(RedisReplyKind.Double, null, BitConverter.DoubleToInt64Bits(value));

    public static RedisReply FromBoolean(bool value) => new(RedisReplyKind.Boolean, null, value ? 1 : 0);

    public static RedisReply FromBigNumber(byte[] digits) => new(RedisReplyKind.BigNumber, digits);

    public static RedisReply FromText(byte[] bytes) => new(RedisReplyKind.Text, bytes);

    public static RedisReply FromItems(RedisReplyKind kind, RedisReply[] items) => new(kind, items);

    /// <summary>For debugging.</summary>
    public override string ToString() => _content is RedisReply[] items ? $"{Kind} of {items.Length}" : $"{Kind} {Text}";

    /// <summary>The status that nearly every reply is, once.</summary>
    private static class RedisStatus
    {
        public static readonly byte[] Ok = "OK"u8.ToArray();
    }
}
