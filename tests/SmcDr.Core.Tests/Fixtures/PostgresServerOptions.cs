namespace SmcDr.Core.Tests.Fixtures;

/// <summary>How a <see cref="PostgresServer"/> differs from the usual one.</summary>
public sealed record PostgresServerOptions
{
    /// <summary>Server settings beyond the fixture's own, or instead of them: <c>wal_level</c>, <c>max_wal_senders</c> and so on.</summary>
    public IReadOnlyDictionary<string, string> Settings { get; init; } = new Dictionary<string, string>();

    /// <summary>Whether pages have checksums.</summary>
    public bool DataChecksums { get; init; } = true;

    /// <summary>Whether the server syncs. Turned off it is faster, and what it acknowledged need not survive a machine's crash.</summary>
    public bool Fsync { get; init; } = true;

    /// <summary>The size of WAL segments in megabytes: a power of two from 1 to 1024.</summary>
    public int WalSegmentMegabytes { get; init; } = 16;

    /// <summary>Whether the server offers TLS by a self-signed certificate, and the connection string demands it and checks it.</summary>
    public bool Tls { get; init; }

    /// <summary>
    /// A data directory that exists already, such as one that was restored: no <c>initdb</c>, nothing in it is edited, port and
    /// settings go on the command line, and it stays when the server is disposed of.
    /// </summary>
    public string? ExistingDataDirectory { get; init; }

    /// <summary>The superuser's password where <see cref="ExistingDataDirectory"/> is given: that of the server it comes from.</summary>
    public string? Password { get; init; }
}
