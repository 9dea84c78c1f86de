using System.Globalization;
using System.Text;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>Where things lie in a logical backup.</summary>
internal static class DumpPaths
{
    public const string Globals = "globals.sql";

    public static string Dump(string database) => $"dumps/{Encode(database)}.dump";

    public static string Tables(string database) => $"tables/{Encode(database)}.jsonl";

    /// <summary>A database's name as a file name: what no path may hold becomes % and two hexadecimal digits for each byte.</summary>
    private static string Encode(string name)
    {
        StringBuilder text = new(name.Length);
        foreach (char c in name)
        {
            if (c is '%' or '/' or '\\' || char.IsControl(c))
            {
                foreach (byte b in Encoding.UTF8.GetBytes([c]))
                {
                    text.Append(CultureInfo.InvariantCulture, $"%{b:X2}");
                }
            }
            else
            {
                text.Append(c);
            }
        }

        return text.ToString();
    }
}
