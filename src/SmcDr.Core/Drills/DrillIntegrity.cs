using System.Globalization;
using Npgsql;
using SmcDr.Core.Postgres;
using SmcDr.Core.Recovery;

namespace SmcDr.Core.Drills;

/// <summary>Reads a recovered cluster as a whole, by the server's own means.</summary>
internal static class DrillIntegrity
{
    /// <summary>Whether the server has the extension <c>amcheck</c> at hand.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ProgramNotFound"/>.</exception>
    public static async Task RequireAmcheckAsync(PostgresConnector server, CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await server.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            if (!await ClusterIntegrity.HasAmcheckAsync(connection, cancellationToken).ConfigureAwait(false))
            {
                throw new SmcException(
                    SmcErrorCode.ProgramNotFound,
                    "PostgreSQL's extension 'amcheck' is not installed, and a recovered cluster cannot be checked without it.",
                    recommendation: "Install PostgreSQL's contrib modules (package postgresql-contrib) and run the drill again.",
                    target: "amcheck");
            }
        }
    }

    /// <summary>amcheck over each database. Returns how many relations were read and what was found wrong.</summary>
    public static async Task<(int Relations, IReadOnlyList<string> Problems)> AmcheckAsync(
        PostgresConnector server, CancellationToken cancellationToken)
    {
        int relations = 0;
        List<string> problems = [];
        foreach (string database in new[] { "postgres", DrillDatabase.Name })
        {
            (int read, IReadOnlyList<string> found) = await ClusterIntegrity
                .AmcheckAsync(server, database, TimeSpan.FromMinutes(10), cancellationToken).ConfigureAwait(false);
            relations += read;
            problems.AddRange(found);
        }

        return (relations, problems);
    }

    /// <summary>pg_checksums over every page of a stopped cluster. Returns what it said, and whether all were right.</summary>
    public static async Task<(string Summary, bool Passed)> ChecksumsAsync(HostServer server, CancellationToken cancellationToken)
    {
        ProgramResult result = await server.RunAsync("pg_checksums", ["--check", "-D", server.DataDirectory], cancellationToken).ConfigureAwait(false);
        string? Line(string label) => result.Output.Split('\n')
            .FirstOrDefault(line => line.StartsWith(label, StringComparison.Ordinal))?[label.Length..].Trim();
        string? pages = Line("Blocks scanned:");
        string? bad = Line("Bad checksums:");
        return result.ExitCode == 0 && pages is not null && bad == "0"
            ? (long.Parse(pages, CultureInfo.InvariantCulture).ToString("N0", CultureInfo.InvariantCulture), true)
            : (result.Tail, false);
    }
}
