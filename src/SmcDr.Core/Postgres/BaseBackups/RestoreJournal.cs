using System.Text.Json;
using System.Text.Json.Serialization;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>
/// The file that stands in a data directory while it is being restored: what it is being restored from, so that a second run may
/// go on in a directory that is not empty, and only in one that the first run left.
/// </summary>
/// <param name="Backup">The backup's id.</param>
/// <param name="Repository">The repository's id.</param>
/// <param name="Tablespaces">Where the tablespaces were restored to.</param>
/// <param name="SystemId">The cluster; null in a journal of an earlier version.</param>
/// <param name="Delta">Whether files may lie there that the backup does not hold.</param>
internal sealed record RestoreJournal(
    string Backup, Guid Repository, IReadOnlyList<string> Tablespaces, string? SystemId = null, bool Delta = false)
{
    /// <summary>The file's name.</summary>
    public const string FileName = "smcdr-restore.json";

    /// <summary>Reads the journal of a directory; null where there is none that can be read.</summary>
    public static RestoreJournal? TryRead(string directory)
    {
        try
        {
            return JsonSerializer.Deserialize(
                File.ReadAllBytes(Path.Combine(directory, FileName)), RestoreJournalJson.Default.RestoreJournal);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Writes the journal, durable, before the first file.</summary>
    public void Write(string directory)
    {
        string path = Path.Combine(directory, FileName);
        string temporary = path + ".tmp";
        using (FileStream stream = new(temporary, FileMode.Create, FileAccess.Write))
        {
            JsonSerializer.Serialize(stream, this, RestoreJournalJson.Default.RestoreJournal);
            stream.Flush(flushToDisk: true);
        }

        File.Move(temporary, path, overwrite: true);
        Posix.SyncDirectory(directory);
    }

    /// <summary>Removes the journal: the directory is a data directory now.</summary>
    public static void Remove(string directory)
    {
        File.Delete(Path.Combine(directory, FileName));
        File.Delete(Path.Combine(directory, FileName + ".tmp"));
        Posix.SyncDirectory(directory);
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(RestoreJournal))]
internal sealed partial class RestoreJournalJson : JsonSerializerContext;
