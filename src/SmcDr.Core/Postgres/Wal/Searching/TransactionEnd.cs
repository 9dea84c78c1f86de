using System.Buffers.Binary;

namespace SmcDr.Core.Postgres.Wal.Searching;

/// <summary>The parts of a commit or abort record (xactdesc.c, ParseCommitRecord and ParseAbortRecord).</summary>
internal readonly ref struct TransactionEnd
{
    private const uint HasDatabase = 1;
    private const uint HasSubtransactions = 2;
    private const uint HasRelations = 4;
    private const uint HasInvalidations = 8;
    private const uint HasTwoPhase = 16;
    private const uint HasDroppedStatistics = 256;
    private const int FileLength = 12;
    private const int StatisticsRelation = 2;

    private readonly ReadOnlySpan<byte> _subtransactions;
    private readonly ReadOnlySpan<byte> _files;
    private readonly ReadOnlySpan<byte> _statistics;
    private readonly int _statisticsLength;

    private TransactionEnd(
        uint xid,
        DateTimeOffset time,
        uint database,
        ReadOnlySpan<byte> subtransactions,
        ReadOnlySpan<byte> files,
        ReadOnlySpan<byte> statistics,
        int statisticsLength)
    {
        Xid = xid;
        Time = time;
        Database = database;
        _subtransactions = subtransactions;
        _files = files;
        _statistics = statistics;
        _statisticsLength = statisticsLength;
    }

    /// <summary>The transaction: for a prepared one its own id.</summary>
    public uint Xid { get; }

    public DateTimeOffset Time { get; }

    /// <summary>The database that it was in; 0 where the record does not tell.</summary>
    public uint Database { get; }

    public int SubtransactionCount => _subtransactions.Length / sizeof(uint);

    /// <summary>How many files are removed with the end of the transaction.</summary>
    public int FileCount => _files.Length / FileLength;

    /// <summary>Takes the record apart; false where the parts do not fit.</summary>
    public static bool TryRead(ReadOnlySpan<byte> main, byte info, uint xid, bool isCommit, bool isPrepared, int majorVersion, out TransactionEnd result)
    {
        const byte HasInfo = 0x80;
        result = default;
        if (main.Length < sizeof(long))
        {
            return false;
        }

        DateTimeOffset time = WalRecordBody.ReadTime(main);
        ReadOnlySpan<byte> rest = main[sizeof(long)..];
        uint parts = 0;
        if ((info & HasInfo) != 0)
        {
            if (rest.Length < sizeof(uint))
            {
                return false;
            }

            parts = BinaryPrimitives.ReadUInt32LittleEndian(rest);
            rest = rest[sizeof(uint)..];
        }

        uint database = 0;
        if ((parts & HasDatabase) != 0)
        {
            if (rest.Length < 8)
            {
                return false;
            }

            database = BinaryPrimitives.ReadUInt32LittleEndian(rest);
            rest = rest[8..];
        }

        ReadOnlySpan<byte> subtransactions = default, files = default, statistics = default;
        // A dropped statistics item has its object as 32 bits up to PostgreSQL 17 and as 64 from 18 on.
        int statisticsLength = majorVersion >= 18 ? 16 : 12;
        if (((parts & HasSubtransactions) != 0 && !TryTakeArray(rest, sizeof(uint), out subtransactions, out rest)) ||
            ((parts & HasRelations) != 0 && !TryTakeArray(rest, FileLength, out files, out rest)) ||
            ((parts & HasDroppedStatistics) != 0 && !TryTakeArray(rest, statisticsLength, out statistics, out rest)) ||
            (isCommit && (parts & HasInvalidations) != 0 && !TryTakeArray(rest, 16, out _, out rest)))
        {
            return false;
        }

        if (isPrepared)
        {
            if ((parts & HasTwoPhase) == 0 || rest.Length < sizeof(uint))
            {
                return false;
            }

            xid = BinaryPrimitives.ReadUInt32LittleEndian(rest);
        }

        result = new TransactionEnd(xid, time, database, subtransactions, files, statistics, statisticsLength);
        return true;
    }

    public uint Subtransaction(int index) => BinaryPrimitives.ReadUInt32LittleEndian(_subtransactions[(index * sizeof(uint))..]);

    public RelationFile File(int index) => WalRecordLayout.ReadFile(_files[(index * FileLength)..]);

    /// <summary>
    /// The ids of the relations that were dropped: since PostgreSQL 15 the end of a transaction lists the statistics that go with it.
    /// </summary>
    public HashSet<uint> DroppedRelations()
    {
        HashSet<uint> result = [];
        for (ReadOnlySpan<byte> rest = _statistics; rest.Length >= _statisticsLength && !rest.IsEmpty; rest = rest[_statisticsLength..])
        {
            if (BinaryPrimitives.ReadInt32LittleEndian(rest) == StatisticsRelation)
            {
                result.Add(BinaryPrimitives.ReadUInt32LittleEndian(rest[8..]));
            }
        }

        return result;
    }

    /// <summary>Takes an array, of which the count comes first.</summary>
    private static bool TryTakeArray(ReadOnlySpan<byte> from, int itemLength, out ReadOnlySpan<byte> items, out ReadOnlySpan<byte> rest)
    {
        items = default;
        rest = default;
        if (from.Length < sizeof(int))
        {
            return false;
        }

        long length = (long)BinaryPrimitives.ReadInt32LittleEndian(from) * itemLength;
        if (length < 0 || length > from.Length - sizeof(int))
        {
            return false;
        }

        items = from.Slice(sizeof(int), (int)length);
        rest = from[(sizeof(int) + (int)length)..];
        return true;
    }
}
