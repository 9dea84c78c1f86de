using System.IO.Compression;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal.Importing;

/// <summary>A file of an archive that an <c>archive_command</c> wrote.</summary>
/// <param name="Path">Its path.</param>
/// <param name="Kind">What it is.</param>
/// <param name="Segment">The segment that it is named after.</param>
/// <param name="Timeline">The timeline that it is named after.</param>
/// <param name="Compression">How it is compressed: <c>.gz</c>, <c>.zst</c>, or not at all where empty.</param>
/// <param name="Length">Its length as it is.</param>
internal sealed record WalFile(string Path, WalFileKind Kind, WalSegmentName Segment, uint Timeline, string Compression, long Length)
{
    private const string Gzip = ".gz";
    private const string Zstandard = ".zst";

    /// <summary>The file, judged by its name alone.</summary>
    public static WalFile Of(FileInfo info)
    {
        string name = info.Name;
        string compression = name.EndsWith(Gzip, StringComparison.Ordinal) ? Gzip : name.EndsWith(Zstandard, StringComparison.Ordinal) ? Zstandard : "";
        ReadOnlySpan<char> plain = name.AsSpan(0, name.Length - compression.Length);
        WalFileKind kind = WalFileKind.Unknown;
        WalSegmentName segment = default;
        uint timeline = 0;
        const string History = ".history", Partial = ".partial", Backup = ".backup";
        if (plain.EndsWith(History) && plain.Length == 8 + History.Length && WalSegmentName.TryParseHex(plain[..8], out timeline) && timeline > 0)
        {
            kind = WalFileKind.History;
        }
        else if (plain.Length >= WalSegmentName.Length && WalSegmentName.TryParse(plain[..WalSegmentName.Length], out segment))
        {
            timeline = segment.Timeline;
            ReadOnlySpan<char> rest = plain[WalSegmentName.Length..];
            kind = rest.IsEmpty ? WalFileKind.Segment
                : rest.SequenceEqual(Partial) ? WalFileKind.Partial
                : rest.Length == 9 + Backup.Length && rest[0] == '.' && WalSegmentName.TryParseHex(rest[1..9], out _) && rest.EndsWith(Backup)
                    ? WalFileKind.Label
                    : WalFileKind.Unknown;
        }

        return new WalFile(info.FullName, kind, segment, timeline, compression, info.Length);
    }

    /// <summary>Reads what is in the file, decompressed, but not more than <paramref name="limit"/> bytes and one: whoever gets that one has too many.</summary>
    public async Task<byte[]> ReadAsync(int limit, CancellationToken cancellationToken)
    {
        try
        {
            FileStream file = new(Path, new FileStreamOptions
            {
                Access = FileAccess.Read,
                Share = FileShare.ReadWrite | FileShare.Delete,
                Options = FileOptions.SequentialScan,
                BufferSize = 0,
            });
            Stream stream = Compression switch
            {
                Gzip => new GZipStream(file, CompressionMode.Decompress),
                Zstandard => new ZstdDecompressStream(file),
                _ => file,
            };
            await using (stream.ConfigureAwait(false))
            {
                // A plain file says how long it is; others need not be longer than what they should be.
                int room = Compression.Length == 0 ? (int)Math.Min(Length, limit + 1L) : limit;
                byte[] content = GC.AllocateUninitializedArray<byte>(room);
                int length = await stream.ReadAtLeastAsync(content, room, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
                // The end of a compressed file holds its checksum, so it is read; and nothing may come behind the content.
                byte[] behind = new byte[1];
                if (length == room && room <= limit && await stream.ReadAsync(behind, cancellationToken).ConfigureAwait(false) > 0)
                {
                    return [.. content, behind[0]];
                }

                return length == room ? content : content[..length];
            }
        }
        catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            throw new SmcException(SmcErrorCode.WalInvalid, $"The file '{Path}' cannot be read: {e.Message}", e, target: Path);
        }
    }
}
