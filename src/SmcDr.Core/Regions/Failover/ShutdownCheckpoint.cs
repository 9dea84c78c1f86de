using System.Buffers.Binary;
using System.Globalization;
using Npgsql;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Regions.Failover;

/// <summary>
/// Whether a primary was shut down cleanly, by the last record that its successor has of it: that of the shutdown's checkpoint, behind which nothing can have
/// been written. A primary that was killed has none.
/// </summary>
internal static class ShutdownCheckpoint
{
    // The record has some 114 bytes in versions 15 to 18 (pg_control.h, CheckPoint, and xlogrecord.h), and may begin on the page before.
    private const int WindowSize = 512;
    private const int ShortestRecord = 90;
    private const int LongestRecord = 200;
    private const int HeaderSize = 24;
    private const int CrcOffset = 20;

    // xlog_internal.h: SizeOfXLogShortPHD, and SizeOfXLogLongPHD on a segment's first page.
    private const int PageHeaderSize = 24;
    private const int LongPageHeaderSize = 40;

    /// <summary>Whether the WAL before a switch of timelines ends with the checkpoint of a clean shutdown.</summary>
    /// <param name="connection">The promoted server.</param>
    /// <param name="timeline">Its timeline.</param>
    /// <param name="parent">The timeline before.</param>
    /// <param name="end">Where it was left.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="PostgresException">Its WAL may not be read.</exception>
    public static async Task<bool> IsBeforeAsync(
        NpgsqlConnection connection, uint timeline, uint parent, Lsn end, CancellationToken cancellationToken)
    {
        int segmentSize = await ReadSizeAsync(connection, "wal_segment_size", cancellationToken).ConfigureAwait(false);
        int pageSize = await ReadSizeAsync(connection, "wal_block_size", cancellationToken).ConfigureAwait(false);
        int inside = (int)(end.Value % (uint)segmentSize);
        // The first segment of a timeline begins with what the one before has of it, unless that ended with a segment (xlog.c, XLogInitNewTimeline).
        WalSegmentName name = WalSegmentName.ContainingEnd(end, inside == 0 ? parent : timeline, segmentSize);
        inside = inside == 0 ? segmentSize : inside;
        int length = Math.Min(WindowSize, inside);
        NpgsqlCommand command = new("SELECT pg_catalog.pg_read_binary_file($1, $2, $3, true)", connection)
        {
            Parameters =
            {
                new NpgsqlParameter<string> { TypedValue = $"{BackupFileRules.Wal}/{name}" },
                new NpgsqlParameter<long> { TypedValue = inside - length },
                new NpgsqlParameter<long> { TypedValue = length },
            },
        };
        await using (command.ConfigureAwait(false))
        {
            return await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false) is byte[] bytes && bytes.Length == length &&
                EndsWithShutdown(bytes, inside - length, pageSize);
        }
    }

    /// <summary>Whether bytes of a segment end with the record of a shutdown's checkpoint.</summary>
    /// <param name="bytes">The bytes, up to the end of the record.</param>
    /// <param name="offset">Where in the segment they begin.</param>
    /// <param name="pageSize">The size of a page of WAL.</param>
    internal static bool EndsWithShutdown(byte[] bytes, int offset, int pageSize) => EndsWithShutdown(WithoutPageHeaders(bytes, offset, pageSize));

    private static async Task<int> ReadSizeAsync(NpgsqlConnection connection, string setting, CancellationToken cancellationToken) => int.Parse(
        await ServerFacts.ScalarAsync<string>(
            connection, $"SELECT setting FROM pg_catalog.pg_settings WHERE name = '{setting}'", cancellationToken).ConfigureAwait(false),
        CultureInfo.InvariantCulture);

    private static byte[] WithoutPageHeaders(byte[] bytes, int offset, int pageSize)
    {
        List<byte> content = [];
        int header = 0;
        for (int i = 0; i < bytes.Length; i++)
        {
            int position = offset + i;
            header = position % pageSize != 0 ? header - 1 : position == 0 ? LongPageHeaderSize : PageHeaderSize;
            if (header <= 0)
            {
                content.Add(bytes[i]);
            }
        }

        return [.. content];
    }

    private static bool EndsWithShutdown(ReadOnlySpan<byte> wal)
    {
        const byte XlogManager = 0;
        const byte Shutdown = 0x00;
        for (int length = ShortestRecord; length <= LongestRecord; length++)
        {
            // Records begin at multiples of eight.
            int aligned = (length + 7) & ~7;
            if (aligned > wal.Length)
            {
                break;
            }

            ReadOnlySpan<byte> record = wal[^aligned..][..length];
            if (BinaryPrimitives.ReadUInt32LittleEndian(record) == length && record[17] == XlogManager && (record[16] & 0xF0) == Shutdown &&
                BinaryPrimitives.ReadUInt32LittleEndian(record[CrcOffset..]) ==
                    ~Crc32C.Append(Crc32C.Append(uint.MaxValue, record[HeaderSize..]), record[..CrcOffset]))
            {
                return true;
            }
        }

        return false;
    }
}
