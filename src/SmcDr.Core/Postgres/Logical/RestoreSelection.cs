namespace SmcDr.Core.Postgres.Logical;

/// <summary>Chooses entries of an archive by table or schema.</summary>
/// <remarks>
/// <c>pg_restore --table</c> leaves out the table's indexes, constraints, triggers and sequences without a word. Here what belongs to a table
/// comes with it, by the dependencies that pg_dump wrote down.
/// </remarks>
internal static class RestoreSelection
{
    /// <summary>The chosen entries, in the archive's order.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: the dump holds no such table or schema.</exception>
    public static List<ArchiveEntry> Choose(
        ArchiveContents contents, IReadOnlyList<string> tables, IReadOnlyList<string> schemas, IReadOnlySet<string> existingSchemas)
    {
        HashSet<int> chosen = [];
        foreach (string schema in schemas)
        {
            int before = chosen.Count;
            foreach (ArchiveEntry entry in contents.Entries.Where(entry =>
                entry.Schema == schema || (entry.Schema is null && entry.Kind == ArchiveKinds.Schema && entry.Tag == schema)))
            {
                chosen.Add(entry.DumpId);
            }

            ThrowIfNone(before, chosen.Count, "schema", schema, contents);
        }

        foreach (string table in tables)
        {
            int before = chosen.Count;
            foreach (ArchiveEntry entry in contents.Entries.Where(entry =>
                ArchiveKinds.Relations.Contains(entry.Kind) && (entry.Tag == table || $"{entry.Schema}.{entry.Tag}" == table)).ToList())
            {
                AddRelation(contents, entry, chosen);
            }

            ThrowIfNone(before, chosen.Count, "table", table, contents);
        }

        // A table's schema is made where it is missing, and left as it is where it is there.
        HashSet<string> needed = [.. contents.Entries.Where(entry => chosen.Contains(entry.DumpId)).Select(static entry => entry.Schema).OfType<string>()];
        foreach (ArchiveEntry entry in contents.Entries.Where(static entry => entry.Kind == ArchiveKinds.Schema))
        {
            if (existingSchemas.Contains(entry.Tag))
            {
                chosen.Remove(entry.DumpId);
            }
            else if (needed.Contains(entry.Tag))
            {
                chosen.Add(entry.DumpId);
            }
        }

        return [.. contents.Entries.Where(entry => chosen.Contains(entry.DumpId))];
    }

    private static void AddRelation(ArchiveContents contents, ArchiveEntry relation, HashSet<int> chosen)
    {
        if (!chosen.Add(relation.DumpId))
        {
            return;
        }

        HashSet<int> own = [relation.DumpId];
        List<ArchiveEntry> partitions = [];
        bool hasGrown = true;
        while (hasGrown)
        {
            hasGrown = false;
            foreach (ArchiveEntry entry in contents.Entries)
            {
                if (!own.Contains(entry.DumpId) && ArchiveKinds.Parts.Contains(entry.Kind) && entry.Dependencies.Any(own.Contains) && Belongs(entry, relation))
                {
                    own.Add(entry.DumpId);
                    hasGrown = true;
                    if (entry.Kind == ArchiveKinds.TableAttach && entry.Tag != relation.Tag)
                    {
                        partitions.AddRange(contents.Entries.Where(other =>
                            other.Kind == ArchiveKinds.Table && other.DumpId != relation.DumpId && entry.Dependencies.Contains(other.DumpId)));
                    }

                    if (entry.Kind == ArchiveKinds.Default)
                    {
                        // nextval() of a sequence that the column uses.
                        hasGrown |= contents.Entries
                            .Where(other => other.Kind == ArchiveKinds.Sequence && entry.Dependencies.Contains(other.DumpId))
                            .Aggregate(false, (grown, sequence) => own.Add(sequence.DumpId) || grown);
                    }
                }
            }
        }

        chosen.UnionWith(own);
        foreach (ArchiveEntry partition in partitions)
        {
            AddRelation(contents, partition, chosen);
        }
    }

    private static bool Belongs(ArchiveEntry entry, ArchiveEntry relation) =>
        // A foreign key of another table depends on this one as well, and is the other's.
        !ArchiveKinds.NamedAfterRelation.Contains(entry.Kind) ||
        (entry.Schema == relation.Schema && entry.Tag.StartsWith(relation.Tag + " ", StringComparison.Ordinal));

    private static void ThrowIfNone(int before, int after, string kind, string name, ArchiveContents contents)
    {
        if (before == after)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"The dump of '{contents.Database}' holds no {kind} '{name}'.",
                recommendation: "Give names as they are, in capital and small letters; a table's schema in front, such as sales.orders, is possible.",
                target: name);
        }
    }
}
