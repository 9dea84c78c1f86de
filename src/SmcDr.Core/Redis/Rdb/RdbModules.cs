namespace SmcDr.Core.Redis.Rdb;

/// <summary>The types of modules' values.</summary>
internal static class RdbModules
{
    private const string Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    /// <summary>The nine-letter name in a type's id: six bits each, and ten bits of the module's own version.</summary>
    public static string NameOf(ulong id) => string.Create(9, id, static (name, id) =>
    {
        for (int i = 0; i < name.Length; i++)
        {
            name[i] = Letters[(int)(id >> (58 - (6 * i))) & 63];
        }
    });

    /// <summary>The name of the type that a module's value begins with; null where it is cut off.</summary>
    public static string? ReadType(ReadOnlySpan<byte> payload) =>
        RdbLength.Read(payload, out ulong id, out bool isSpecial) > 0 && !isSpecial ? NameOf(id) : null;
}
