namespace SmcDr;

/// <summary>An order of text that the recovered server's libraries may see otherwise than those that its indexes were built with.</summary>
public sealed record CollationChange
{
    /// <summary>The database.</summary>
    public required string Database { get; init; }

    /// <summary>The collation, with its schema and quoted as SQL needs it; null for the database's own order.</summary>
    public string? Collation { get; init; }

    /// <summary>Whose order it is: <c>libc</c>, <c>icu</c> or <c>builtin</c>.</summary>
    public required string Provider { get; init; }

    /// <summary>The version that the cluster, or else the backup, remembers; null where its library told none.</summary>
    public string? RecordedVersion { get; init; }

    /// <summary>The version that the recovered server's library has; null where it tells none.</summary>
    public string? ActualVersion { get; init; }

    /// <summary>How many indexes go by it; null where the database takes no connections.</summary>
    public long? IndexCount { get; init; }

    /// <summary>The change in words.</summary>
    public override string ToString() =>
        (Collation is null ? $"database '{Database}'" : $"collation {Collation} in database '{Database}'") +
        $" ({Provider} {RecordedVersion ?? "of no version"}, here {ActualVersion ?? "of no version"}" +
        (IndexCount is { } count ? FormattableString.Invariant($"; {count} {(count == 1 ? "index" : "indexes")})") : ")");
}
