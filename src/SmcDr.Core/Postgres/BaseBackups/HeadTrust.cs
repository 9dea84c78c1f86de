namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>
/// When the head of a page, its LSN and its checksum, proves that it is the page that the parent holds, without hashing it: with
/// SHA-256 a comparison costs several times what the page's own checksum does.
/// </summary>
/// <remarks>
/// <para>
/// Every change that is in the WAL gives the page a higher LSN, so one whose LSN is lower than the parent's start was changed by none since. What
/// is not in the WAL are hints, which cost nothing to lose (storage/buffer/README: "hint bits"), and with data checksums the first hint after
/// a checkpoint is in the WAL as well (MarkBufferDirtyHint). Both the head must be the known one and the whole content fit its checksum, so a page
/// that was half-written, has rotted, or came there with another file, is seen as it is in a full backup.
/// </para>
/// <para>
/// The parent's page must be older than the parent's start, or it might have been half-written there, for the WAL to put right. Free-space and
/// visibility maps change without getting an LSN (fsm_set_avail, visibilitymap_clear), and index builds use LSNs below all real ones (GistBuildLSN).
/// </para>
/// </remarks>
/// <param name="before">The parent's start.</param>
/// <param name="first">The lowest LSN that a WAL record can have.</param>
/// <param name="pageSize">The size of a page.</param>
/// <param name="firstBlock">The number that the first page of the range has in its relation.</param>
internal sealed class HeadTrust(Lsn before, Lsn first, int pageSize, uint firstBlock)
{
    public bool IsSame(ReadOnlySpan<byte> head, ReadOnlySpan<byte> page, int number)
    {
        if (page.Length != pageSize || !page.StartsWith(head))
        {
            return false;
        }

        Lsn lsn = PageChecksum.LsnOf(page);
        return lsn >= first && lsn < before && !PageChecksum.IsNew(page) && PageChecksum.IsValid(page, firstBlock + (uint)number);
    }
}
