using System.Globalization;
using System.Text;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>
/// The file <c>tablespace_map</c>: a line for each tablespace, its object id and its location. PostgreSQL makes the links in
/// <c>pg_tblspc</c> from it when it finds <c>backup_label</c> (read_tablespace_map in access/transam/xlogrecovery.c); a line end in a
/// location has a backslash before it.
/// </summary>
internal static class TablespaceMapFile
{
    /// <summary>The tablespaces that a map names, with their lines as they stand.</summary>
    public static List<(uint Oid, string Line)> Parse(string text)
    {
        List<(uint, string)> result = [];
        int start = 0;
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] == '\\')
            {
                i++;
            }
            else if (text[i] == '\n')
            {
                string line = text[start..i];
                int space = line.IndexOf(' ', StringComparison.Ordinal);
                if (space < 1 || !uint.TryParse(line.AsSpan(0, space), NumberStyles.None, CultureInfo.InvariantCulture, out uint oid))
                {
                    throw Invalid();
                }

                result.Add((oid, line));
                start = i + 1;
            }
        }

        return start == text.Length ? result : throw Invalid();
    }

    /// <summary>The map with other locations. Lines of tablespaces that stay where they were are not touched.</summary>
    public static string Rewrite(string text, IReadOnlyDictionary<uint, string> moved)
    {
        StringBuilder result = new(text.Length);
        foreach ((uint oid, string line) in Parse(text))
        {
            result.Append(moved.TryGetValue(oid, out string? location)
                ? string.Create(CultureInfo.InvariantCulture, $"{oid} {location}")
                : line).Append('\n');
        }

        return result.ToString();
    }

    private static SmcException Invalid() =>
        new(SmcErrorCode.ManifestInvalid, "The file 'tablespace_map' is not valid.", target: BackupFileRules.TablespaceMap);
}
