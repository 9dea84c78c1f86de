using System.Globalization;

namespace SmcDr.Core.Redis.Rdb;

/// <summary>What a reader says of a file that it cannot read.</summary>
internal static class RdbFault
{
    public static SmcException Damaged(string name, long offset, string fault) => new(
        SmcErrorCode.RdbInvalid,
        string.Create(CultureInfo.InvariantCulture, $"{name} is damaged at byte {offset}: {fault}."),
        target: name);

    public static SmcException Unsupported(string name, long offset, string what) => new(
        SmcErrorCode.RdbUnsupported,
        string.Create(CultureInfo.InvariantCulture, $"{name} cannot be read from byte {offset} on: {what}."),
        target: name);
}
