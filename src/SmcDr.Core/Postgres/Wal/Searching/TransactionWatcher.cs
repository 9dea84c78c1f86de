using System.Buffers.Binary;
using System.Globalization;

namespace SmcDr.Core.Postgres.Wal.Searching;

/// <summary>
/// Reads the records of the WAL for what transactions did, and reports those that were committed. What rolled back, as a whole or a
/// subtransaction of it, is forgotten.
/// </summary>
/// <remarks>
/// <para>
/// With <c>wal_level = replica</c> neither DROP TABLE nor TRUNCATE has a record of its own. Both show in the commit record, which lists the
/// files to remove. They, and what merely rewrites a table, are told apart so: a dropped relation's statistics are dropped in the same
/// record; a rewrite (VACUUM FULL, CLUSTER, ALTER TABLE; cluster.c, make_new_heap) goes through a new relation that is called
/// <c>pg_temp_</c> and the id of the old one; what is left got a new file, and was emptied where that is the file of an empty table.
/// </para>
/// <para>The operation codes are those of PostgreSQL 15 to 18.</para>
/// </remarks>
internal sealed class TransactionWatcher
{
    private const byte ManagerXlog = 0;
    private const byte ManagerTransaction = 1;
    private const byte ManagerStorage = 2;
    private const byte ManagerDatabase = 4;
    private const byte ManagerStandby = 8;
    private const byte ManagerHeap2 = 9;
    private const byte ManagerHeap = 10;
    private const byte ManagerSequence = 15;
    private const byte OperationMask = 0x70;

    // So many rows of pg_class are remembered: a hundred thousand relations with their indexes.
    private const int MaximumCatalogRows = 500_000;
    private const string TransientPrefix = "pg_temp_";

    private readonly long _minimumRows;
    private readonly Action<FoundTransaction> _found;
    private readonly Dictionary<uint, OpenTransaction> _open = [];
    private readonly Dictionary<(uint Database, uint File), CatalogRow> _catalog = [];
    private readonly Dictionary<uint, Lsn> _invalid = [];
    private readonly WalBlock[] _blocks = new WalBlock[WalRecordLayout.MaximumBlocks];
    private readonly byte[] _page = new byte[8192];
    private uint? _firstSurelySeen;

    /// <summary>Creates a watcher.</summary>
    /// <param name="minimumRows">A transaction that did nothing else must have deleted or updated so many rows of one table.</param>
    /// <param name="found">Called at each commit that is worth telling.</param>
    public TransactionWatcher(long minimumRows, Action<FoundTransaction> found)
    {
        _minimumRows = minimumRows;
        _found = found;
    }

    /// <summary>Whether every commit is told, whatever was done, with the rows of tables that it made itself.</summary>
    public bool TellsAll { get; init; }

    /// <summary>Whether it is told, too, into which blocks new versions of rows were written.</summary>
    public bool TellsBlocks { get; init; }

    /// <summary>Which records it needs.</summary>
    public static bool Selects(byte manager, byte info) => manager switch
    {
        ManagerXlog => (info & 0xF0) is 0xA0 or 0xB0,
        ManagerTransaction => (info & OperationMask) is 0x00 or 0x20 or 0x30 or 0x40,
        ManagerStorage => (info & 0xF0) == 0x10,
        ManagerDatabase => (info & 0xF0) == 0x20,
        ManagerStandby => (info & 0xF0) == 0x10,
        ManagerHeap or ManagerHeap2 => true,
        ManagerSequence => (info & 0xF0) == 0x00,
        _ => false,
    };

    /// <summary>Forgets what was open: the WAL goes on behind a gap.</summary>
    public void Restart()
    {
        _open.Clear();
        _firstSurelySeen = null;
    }

    /// <summary>Takes a record; false where its parts do not fit together.</summary>
    public bool Take(WalRecord record)
    {
        if (!WalRecordLayout.TryRead(record.Body, _blocks, out int count, out ReadOnlySpan<byte> main))
        {
            return false;
        }

        ReadOnlySpan<WalBlock> blocks = _blocks.AsSpan(0, count);
        switch (record.Manager)
        {
            case ManagerXlog:
                TakeImages(record, blocks);
                return true;
            case ManagerTransaction:
                return TakeEnd(record, main);
            case ManagerStorage:
                return TakeCreatedFile(record, main);
            case ManagerDatabase:
                return TakeDroppedDatabase(record, main);
            case ManagerStandby:
                return TakeRunning(main);
            case ManagerSequence:
                if (blocks is [var sequence, ..])
                {
                    Find(record)?.AddContent(sequence.File, FileContent.Sequence);
                }

                return true;
            case ManagerHeap2:
                return TakeHeap2(record, blocks, main);
            default:
                return TakeHeap(record, blocks, main);
        }
    }

    private OpenTransaction? Find(WalRecord record) => _open.GetValueOrDefault(record.Xid);

    private OpenTransaction Open(WalRecord record)
    {
        if (!_open.TryGetValue(record.Xid, out OpenTransaction? transaction))
        {
            _open[record.Xid] = transaction = new OpenTransaction(record.StartLsn);
        }

        return transaction;
    }

    private bool TakeHeap(WalRecord record, ReadOnlySpan<WalBlock> blocks, ReadOnlySpan<byte> main)
    {
        const byte Insert = 0x00, Delete = 0x10, Update = 0x20, Truncate = 0x30, HotUpdate = 0x40, InPlace = 0x70;
        const byte IsSuper = 0x08, IsPartitionMove = 0x10;
        int operation = record.Info & OperationMask;
        if (operation == Truncate)
        {
            return TakeTruncate(record, main);
        }

        if (blocks.IsEmpty)
        {
            return false;
        }

        WalBlock block = blocks[0];
        if (block.File.Number == CatalogPages.ClassFile)
        {
            TakeCatalog(record, blocks, operation == Insert ? main : default);
        }

        if (operation == InPlace && block.File.Database == 0)
        {
            TakeInvalidDatabase(record, block, main);
        }

        if (record.Xid == 0)
        {
            return true;
        }

        OpenTransaction transaction = Open(record);
        if (block.File.IsBootstrapCatalog)
        {
            return true;
        }

        switch (operation)
        {
            case Insert:
                Note(transaction.Count(block.File), block).Inserted++;
                return true;
            case Delete when main.Length < 8:
                return false;
            case Delete when (main[7] & IsSuper) != 0:
                // INSERT … ON CONFLICT found that it was not needed after all: it takes its own row back.
                transaction.Count(block.File).Inserted--;
                return true;
            case Delete when (main[7] & IsPartitionMove) != 0:
                transaction.Count(block.File).Updated++;
                return true;
            case Delete:
                transaction.Count(block.File).Deleted++;
                return true;
            case Update or HotUpdate:
                // The first block is that of the new version (heapam.c, log_heap_update).
                Note(transaction.Count(block.File), block).Updated++;
                return true;
            default:
                return true;
        }
    }

    private bool TakeHeap2(WalRecord record, ReadOnlySpan<WalBlock> blocks, ReadOnlySpan<byte> main)
    {
        const byte MultiInsert = 0x50;
        if (blocks is [{ File.Number: CatalogPages.ClassFile }, ..])
        {
            TakeCatalog(record, blocks, default);
        }

        if ((record.Info & OperationMask) != MultiInsert)
        {
            return true;
        }

        // xl_heap_multi_insert: flags, padding, the number of rows.
        if (blocks.IsEmpty || main.Length < 4)
        {
            return false;
        }

        if (!blocks[0].File.IsBootstrapCatalog)
        {
            Note(Open(record).Count(blocks[0].File), blocks[0]).Inserted += BinaryPrimitives.ReadUInt16LittleEndian(main[2..]);
        }

        return true;
    }

    private RowCounts Note(RowCounts counts, WalBlock block)
    {
        if (TellsBlocks)
        {
            (counts.Blocks ??= new BlockRanges()).Add(block.Number);
        }

        return counts;
    }

    /// <summary>Sees what pg_class says of relations: in images of its pages, and in rows that are inserted.</summary>
    private void TakeCatalog(WalRecord record, ReadOnlySpan<WalBlock> blocks, ReadOnlySpan<byte> insert)
    {
        TakeImages(record, blocks);
        // xl_heap_insert: the place in the page, flags.
        if (insert.Length < 3 || blocks is not [{ Fork: 0 } block])
        {
            return;
        }

        ReadOnlySpan<byte> data = record.Body.Slice(block.DataOffset, block.DataLength);
        CatalogRow? row = !data.IsEmpty
            ? CatalogPages.ReadInserted(data, record.Xid, record.MajorVersion)
            : block.HasImage && CatalogPages.TryRestorePage(block, record.Body, _page)
                ? CatalogPages.ReadRow(_page, BinaryPrimitives.ReadUInt16LittleEndian(insert), record.MajorVersion)
                : null;
        if (row is null)
        {
            return;
        }

        Remember(block.File.Database, row);
        OpenTransaction transaction = Open(record);
        transaction.AddCreatedRelation(row.Oid);
        if (row.Name.StartsWith(TransientPrefix, StringComparison.Ordinal) &&
            uint.TryParse(row.Name.AsSpan(TransientPrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out uint rewritten))
        {
            transaction.AddRewritten(rewritten);
        }
    }

    private void TakeImages(WalRecord record, ReadOnlySpan<WalBlock> blocks)
    {
        OpenTransaction? transaction = null;
        foreach (WalBlock block in blocks)
        {
            if (!block.HasImage || block.Fork != 0)
            {
                continue;
            }

            if (block.File.Number == CatalogPages.ClassFile)
            {
                if (CatalogPages.TryRestorePage(block, record.Body, _page))
                {
                    foreach (CatalogRow row in CatalogPages.ReadRows(_page, record.MajorVersion))
                    {
                        Remember(block.File.Database, row);
                    }
                }
            }
            else if (record.Manager == ManagerXlog && (transaction ??= Find(record)) is { } writer &&
                writer.Created?.ContainsKey(block.File) == true)
            {
                writer.AddContent(
                    block.File,
                    !CatalogPages.TryRestorePage(block, record.Body, _page) ? FileContent.Unknown
                        : CatalogPages.IsIndexPage(_page) ? FileContent.IndexPages : FileContent.TablePages);
            }
        }
    }

    private void Remember(uint database, CatalogRow row)
    {
        // Of two versions of a row in one page, the newer one counts; ids of transactions wrap around.
        if (row.File != 0 && (_catalog.TryGetValue((database, row.File), out CatalogRow? known)
            ? unchecked((int)(row.Xmin - known.Xmin)) >= 0
            : _catalog.Count < MaximumCatalogRows))
        {
            _catalog[(database, row.File)] = row;
        }
    }

    private bool TakeCreatedFile(WalRecord record, ReadOnlySpan<byte> main)
    {
        const int Main = 0, Init = 3;
        if (main.Length < 16)
        {
            return false;
        }

        // Of an unlogged relation only the init fork is logged.
        if (record.Xid != 0 && BinaryPrimitives.ReadInt32LittleEndian(main[12..]) is Main or Init)
        {
            Open(record).AddCreated(WalRecordLayout.ReadFile(main));
        }

        return true;
    }

    /// <summary>Of what all databases share, only pg_database is changed in place: the record brings the row, or the page that it is in.</summary>
    private void TakeInvalidDatabase(WalRecord record, WalBlock block, ReadOnlySpan<byte> main)
    {
        ReadOnlySpan<byte> columns = record.Body.Slice(block.DataOffset, block.DataLength);
        if (columns.IsEmpty && main.Length >= 2 && block.HasImage && CatalogPages.TryRestorePage(block, record.Body, _page))
        {
            columns = CatalogPages.FindColumns(_page, BinaryPrimitives.ReadUInt16LittleEndian(main));
        }

        if (CatalogPages.ReadInvalidDatabase(columns) is { } database)
        {
            // Where a DROP DATABASE failed and was repeated, the first one counts.
            _invalid.TryAdd(database, record.StartLsn);
        }
    }

    private bool TakeDroppedDatabase(WalRecord record, ReadOnlySpan<byte> main)
    {
        if (main.Length < 4)
        {
            return false;
        }

        uint database = BinaryPrimitives.ReadUInt32LittleEndian(main);
        OpenTransaction transaction = Open(record);
        transaction.AddDroppedDatabase(database);
        if (_invalid.Remove(database, out Lsn invalid))
        {
            transaction.BeganAt(invalid);
        }

        return true;
    }

    private bool TakeTruncate(WalRecord record, ReadOnlySpan<byte> main)
    {
        // xl_heap_truncate: database, number of relations, flags, padding, relations.
        const int Head = 12;
        if (main.Length < Head)
        {
            return false;
        }

        uint database = BinaryPrimitives.ReadUInt32LittleEndian(main);
        uint relations = BinaryPrimitives.ReadUInt32LittleEndian(main[4..]);
        if (relations > (uint)(main.Length - Head) / sizeof(uint))
        {
            return false;
        }

        OpenTransaction transaction = Open(record);
        for (int i = 0; i < relations; i++)
        {
            transaction.AddTruncated(database, BinaryPrimitives.ReadUInt32LittleEndian(main[(Head + (i * sizeof(uint)))..]));
        }

        return true;
    }

    private bool TakeRunning(ReadOnlySpan<byte> main)
    {
        // xl_running_xacts: numbers of transactions and of subtransactions, overflow and padding, next, oldest running.
        if (main.Length < 20)
        {
            return false;
        }

        _firstSurelySeen ??= BinaryPrimitives.ReadUInt32LittleEndian(main[12..]);
        // What is older has ended; where it did without a record, the server crashed. (Prepared transactions count as running.)
        uint oldest = BinaryPrimitives.ReadUInt32LittleEndian(main[16..]);
        foreach (uint xid in _open.Keys.Where(xid => Precedes(xid, oldest)).ToList())
        {
            _open.Remove(xid);
        }

        return true;
    }

    private static bool Precedes(uint left, uint right) => unchecked((int)(left - right)) < 0;

    private bool TakeEnd(WalRecord record, ReadOnlySpan<byte> main)
    {
        int operation = record.Info & OperationMask;
        bool isCommit = operation is 0x00 or 0x30;
        bool isPrepared = operation is 0x30 or 0x40;
        if (!TransactionEnd.TryRead(main, record.Info, record.Xid, isCommit, isPrepared, record.MajorVersion, out TransactionEnd end))
        {
            return false;
        }

        _open.Remove(end.Xid, out OpenTransaction? transaction);
        for (int i = 0; i < end.SubtransactionCount; i++)
        {
            if (_open.Remove(end.Subtransaction(i), out OpenTransaction? child))
            {
                if (transaction is null)
                {
                    transaction = child;
                }
                else if (isCommit)
                {
                    transaction.Add(child);
                }
            }
        }

        if (isCommit)
        {
            Commit(record, end, isPrepared, transaction);
        }

        return true;
    }

    private void Commit(WalRecord record, TransactionEnd end, bool isPrepared, OpenTransaction? transaction)
    {
        List<FoundRelation> relations = end.FileCount > 0 || transaction?.Truncated is not null ? FindRelations(end, transaction) : [];
        bool hasMany = false;
        foreach ((RelationFile file, RowCounts counts) in transaction?.Rows ?? [])
        {
            // Rows of a table that the transaction made itself are nobody's loss.
            if (!TellsAll && transaction!.Created?.ContainsKey(file) == true)
            {
                continue;
            }

            hasMany |= counts.Deleted >= _minimumRows || counts.Updated >= _minimumRows;
            int known = relations.FindIndex(relation => relation.File == file);
            if (known >= 0)
            {
                relations[known].Rows.Add(counts);
            }
            else
            {
                CatalogRow? row = _catalog.GetValueOrDefault((file.Database, file.Number));
                relations.Add(new FoundRelation(file, row, row?.Oid, TransactionKinds.None, counts));
            }
        }

        if (!TellsAll && !hasMany && transaction?.DroppedDatabases is null && !relations.Exists(static relation => relation.Kind != 0))
        {
            return;
        }

        uint[] subtransactions = new uint[end.SubtransactionCount];
        for (int i = 0; i < subtransactions.Length; i++)
        {
            subtransactions[i] = end.Subtransaction(i);
        }

        _found(new FoundTransaction(
            end.Xid,
            subtransactions,
            end.Time,
            end.Database != 0 ? end.Database : relations.FirstOrDefault()?.File.Database ?? 0,
            transaction?.FirstLsn,
            record.StartLsn,
            record.EndLsn,
            isPrepared,
            _firstSurelySeen is not { } first || Precedes(end.Xid, first),
            [.. transaction?.DroppedDatabases ?? []],
            relations));
    }

    /// <summary>The relations whose files go with the commit, and why.</summary>
    private List<FoundRelation> FindRelations(TransactionEnd end, OpenTransaction? transaction)
    {
        List<RelationFile> removed = [];
        HashSet<RelationFile> all = [];
        for (int i = 0; i < end.FileCount; i++)
        {
            RelationFile file = end.File(i);
            if (all.Add(file) && transaction?.Created?.ContainsKey(file) != true)
            {
                removed.Add(file);
            }
        }

        HashSet<uint> dropped = end.DroppedRelations();
        dropped.ExceptWith(transaction?.CreatedRelations ?? []);
        Dictionary<RelationFile, FileContent> made = [];
        foreach ((RelationFile file, FileContent content) in transaction?.Created ?? [])
        {
            if (!all.Contains(file))
            {
                made[file] = content | (transaction!.Rows?.ContainsKey(file) == true ? FileContent.Rows : FileContent.None);
            }
        }

        List<FoundRelation> result = [];
        HashSet<uint> truncated = [.. (transaction?.Truncated ?? []).Select(static relation => relation.Oid)];
        foreach (RelationFile file in removed)
        {
            CatalogRow? row = _catalog.GetValueOrDefault((file.Database, file.Number));
            TransactionKinds kind = row is not null
                ? Judge(file, row, dropped, truncated, made, transaction)
                : JudgeUnknown(file, removed.Count, dropped, made, transaction);
            result.Add(new FoundRelation(file, row, row?.Oid, kind, new RowCounts()));
        }

        // What a server with wal_level = logical said itself: also of tables whose row was not seen.
        foreach ((uint database, uint oid) in transaction?.Truncated ?? [])
        {
            if (!result.Exists(relation => relation.Oid == oid) && transaction!.CreatedRelations?.Contains(oid) != true)
            {
                result.Add(new FoundRelation(new RelationFile(0, database, 0), null, oid, TransactionKinds.Truncate, new RowCounts()));
            }
        }

        return result;
    }

    private static TransactionKinds Judge(
        RelationFile file,
        CatalogRow row,
        HashSet<uint> dropped,
        HashSet<uint> truncated,
        Dictionary<RelationFile, FileContent> made,
        OpenTransaction? transaction)
    {
        if (dropped.Contains(row.Oid))
        {
            return TransactionKinds.Drop;
        }

        if (row.Kind is 'i' or 'S')
        {
            return TransactionKinds.Rewrite;
        }

        const string ToastPrefix = "pg_toast_";
        uint table = row.Kind == 't' && row.Name.StartsWith(ToastPrefix, StringComparison.Ordinal) &&
            uint.TryParse(row.Name.AsSpan(ToastPrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out uint owner)
                ? owner
                : row.Oid;
        return truncated.Contains(table) ? TransactionKinds.Truncate
            : transaction?.Rewritten?.Contains(table) == true ? TransactionKinds.Rewrite
            : HasEmptied(file, made) ? TransactionKinds.Truncate
            : TransactionKinds.Rewrite;
    }

    private static TransactionKinds JudgeUnknown(
        RelationFile file, int removed, HashSet<uint> dropped, Dictionary<RelationFile, FileContent> made, OpenTransaction? transaction)
    {
        // Each file that goes belongs to a relation that goes: nothing was merely exchanged.
        if (made.Count == 0 || dropped.Count >= removed)
        {
            return TransactionKinds.Drop;
        }

        TransactionKinds exchanged =
            transaction?.Rewritten is not { Count: > 0 } && HasEmptied(file, made) ? TransactionKinds.Truncate : TransactionKinds.Rewrite;
        return dropped.Count == 0 ? exchanged : TransactionKinds.Drop | exchanged;
    }

    /// <summary>
    /// Whether a file may have been exchanged for that of an empty table, into which rows may have come since. A table that moves to
    /// another tablespace is copied page by page.
    /// </summary>
    private static bool HasEmptied(RelationFile file, Dictionary<RelationFile, FileContent> made) => made.Any(other =>
        other.Key.Tablespace == file.Tablespace && other.Key.Database == file.Database && other.Value is FileContent.None or FileContent.Rows);
}
