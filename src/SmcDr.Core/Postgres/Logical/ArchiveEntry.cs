namespace SmcDr.Core.Postgres.Logical;

/// <summary>An entry of the table of contents of pg_dump's custom format.</summary>
internal sealed record ArchiveEntry
{
    public required int DumpId { get; init; }

    /// <summary>Whether data of it follows the table of contents.</summary>
    public required bool HasData { get; init; }

    /// <summary>The name, or for what belongs to something else the other's name in front: <c>orders orders_pkey</c>.</summary>
    public required string Tag { get; init; }

    /// <summary>What it is, such as <c>TABLE</c>, <c>TABLE DATA</c> or <c>FK CONSTRAINT</c>.</summary>
    public required string Kind { get; init; }

    public required string? Schema { get; init; }

    public required string? Tablespace { get; init; }

    public required string? Owner { get; init; }

    public required IReadOnlyList<int> Dependencies { get; init; }
}
