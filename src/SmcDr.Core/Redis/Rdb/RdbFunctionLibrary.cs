namespace SmcDr.Core.Redis.Rdb;

/// <summary>A library of functions (Redis 7.0 and later).</summary>
/// <param name="Name">Its name as its first line gives it, or empty if that line is not as expected.</param>
/// <param name="Engine">The language, such as <c>LUA</c>, as its first line gives it.</param>
/// <param name="Code">The whole code, which is what <c>FUNCTION LOAD</c> takes.</param>
public sealed record RdbFunctionLibrary(string Name, string Engine, ReadOnlyMemory<byte> Code)
{
    internal static RdbFunctionLibrary Parse(ReadOnlySpan<byte> code)
    {
        // "#!lua name=mylib" is what Redis demands of the first line.
        int end = code.IndexOfAny((byte)'\n', (byte)'\r');
        ReadOnlySpan<byte> first = code[..Math.Min(end < 0 ? code.Length : end, 1024)];
        string name = "";
        string engine = "";
        if (first.StartsWith("#!"u8))
        {
            foreach (string word in System.Text.Encoding.UTF8.GetString(first[2..]).Split(' ', StringSplitOptions.RemoveEmptyEntries))
            {
                if (engine.Length == 0)
                {
                    engine = word;
                }
                else if (word.StartsWith("name=", StringComparison.OrdinalIgnoreCase))
                {
                    name = word["name=".Length..];
                }
            }
        }

        return new RdbFunctionLibrary(name, engine, code.ToArray());
    }
}
