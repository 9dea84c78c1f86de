using System.Runtime.InteropServices;
using Npgsql;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres;

/// <summary>
/// Compares the libraries that the indexes of a cluster were built with, as far as their order of text goes, with those of the server that it
/// is recovered on. PostgreSQL itself says so to whoever connects (CheckMyDatabase in postinit.c), which after a recovery is an application.
/// </summary>
internal static partial class CollationComparison
{
    public const string Libc = "libc";

    /// <summary>The name of a collation provider, as messages and manifests have it.</summary>
    public static string ProviderName(string code) => code switch { "c" => Libc, "i" => "icu", "b" => "builtin", string other => other };

    /// <summary>What can be told before anything is restored: whether this host's C library is another one than the backup's server had.</summary>
    /// <param name="details">The base backup.</param>
    /// <param name="host">The version of this host's C library; null where it tells none.</param>
    /// <returns>A warning; null where there is nothing to tell.</returns>
    public static string? Foresee(DatabaseBackupDetails details, string? host)
    {
        string[] others =
        [
            .. (details.CollationLibraries ?? new Dictionary<string, string>())
                .Where(library => library.Value.StartsWith(Libc + " ", StringComparison.Ordinal) && library.Value != $"{Libc} {host}")
                .OrderBy(static library => library.Key, StringComparer.Ordinal)
                .Select(static library => $"'{library.Key}' ({library.Value})"),
        ];
        return others.Length == 0 ? null
            : $"This host's C library ({(host is null ? "which tells no version" : host)}) is not the one that the text of these databases was sorted by: " +
              $"{string.Join(", ", others)}. {Advice}";
    }

    /// <summary>What can be told before anything is restored: whether this host lacks a locale, without which nobody connects to a database.</summary>
    /// <param name="details">The base backup.</param>
    /// <param name="has">Whether this host has a locale.</param>
    /// <returns>A warning; null where there is nothing to tell.</returns>
    public static string? ForeseeMissing(DatabaseBackupDetails details, Func<string, bool> has)
    {
        string[] missing =
        [
            .. details.CollationVersions
                .Where(static database => database.Value.StartsWith(Libc + " ", StringComparison.Ordinal))
                .Select(static database => (database.Key, Locale: database.Value.Split(' ')[1]))
                .Where(database => !has(database.Locale))
                .OrderBy(static database => database.Key, StringComparer.Ordinal)
                .Select(static database => $"'{database.Locale}' (of '{database.Key}')"),
        ];
        return missing.Length == 0 ? null
            : $"This host lacks locales, without which PostgreSQL opens no database that has them: {string.Join(", ", missing)}. " +
              "Install them first (locale-gen, or the language packs of the distribution).";
    }

    /// <summary>Whether this host has a locale, by the name that a database has of it.</summary>
    public static bool HasLocale(string name)
    {
        if (!OperatingSystem.IsLinux() || name is "C" or "POSIX")
        {
            return true;
        }

        nint locale = NewLocale(CollateAndCharacterType, name, 0);
        if (locale == 0)
        {
            return false;
        }

        FreeLocale(locale);
        return true;
    }

    /// <summary>The changes in words.</summary>
    public static string Describe(IReadOnlyList<CollationChange> changes) =>
        $"The recovered server's libraries may sort text otherwise than those that its indexes were built with: {string.Join(", ", changes)}. {Advice}";

    private static string Advice =>
        "Indexes on text can then miss rows and let duplicates in: check them (pg_amcheck, or bt_index_check of the extension amcheck), or rebuild them " +
        "with REINDEX, and then run ALTER DATABASE … REFRESH COLLATION VERSION, or ALTER COLLATION … REFRESH VERSION.";

    /// <summary>Compares the recovered databases' own collations.</summary>
    public static async Task<List<CollationChange>> ReadDatabasesAsync(
        NpgsqlConnection connection, DatabaseBackupDetails details, CancellationToken cancellationToken)
    {
        List<CollationChange> result = [];
        using NpgsqlCommand command = connection.CreateCommand();
        command.CommandText =
            """
            SELECT d.datname::pg_catalog.text, d.datlocprovider::pg_catalog.text, d.datcollversion, pg_catalog.pg_database_collation_actual_version(d.oid),
                d.datallowconn
            FROM pg_catalog.pg_database d WHERE d.datconnlimit <> -2 ORDER BY d.oid
            """;
        NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
            {
                string name = reader.GetString(0);
                string provider = ProviderName(reader.GetString(1));
                string? recorded = Text(reader, 2);
                string? actual = Text(reader, 3);
                if (recorded is null)
                {
                    // template0 has no version on purpose (make_template0 in initdb.c), and a cluster from before 15 has none yet.
                    if (!reader.GetBoolean(4) || details.CollationLibraries is not { } libraries || !details.CollationVersions.ContainsKey(name))
                    {
                        continue;
                    }

                    recorded = libraries.TryGetValue(name, out string? library) && library.StartsWith(provider + " ", StringComparison.Ordinal)
                        ? library[(provider.Length + 1)..]
                        : null;
                }

                if (recorded != actual)
                {
                    result.Add(new CollationChange { Database = name, Provider = provider, RecordedVersion = recorded, ActualVersion = actual });
                }
            }
        }

        return result;
    }

    /// <summary>Compares the collations that something in a database goes by, and counts what goes by the database's own.</summary>
    public static async Task<List<CollationChange>> ReadCollationsAsync(
        NpgsqlConnection connection, string database, List<CollationChange> databases, CancellationToken cancellationToken)
    {
        // DEFAULT_COLLATION_OID in pg_collation.dat, which stands for the database's own.
        const string Query =
            """
            SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.collname), c.collprovider::pg_catalog.text, c.collversion,
                CASE c.oid WHEN 100 THEN NULL ELSE pg_catalog.pg_collation_actual_version(c.oid) END,
                (SELECT count(*) FROM pg_catalog.pg_index i WHERE c.oid = ANY (i.indcollation)), c.oid = 100
            FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
            WHERE c.oid = 100 OR (c.collversion IS NOT NULL AND EXISTS (
                SELECT FROM pg_catalog.pg_depend d WHERE d.refclassid = 'pg_catalog.pg_collation'::pg_catalog.regclass AND d.refobjid = c.oid))
            ORDER BY 1
            """;
        List<CollationChange> result = [];
        using NpgsqlCommand command = connection.CreateCommand();
        command.CommandText = Query;
        NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
            {
                long count = reader.GetInt64(4);
                string? actual = Text(reader, 3);
                if (reader.GetBoolean(5))
                {
                    result.AddRange(databases.Where(d => d.Database == database).Select(d => d with { IndexCount = count }));
                }
                else if (reader.GetString(2) != actual)
                {
                    result.Add(new CollationChange
                    {
                        Database = database,
                        Collation = reader.GetString(0),
                        Provider = ProviderName(reader.GetString(1)),
                        RecordedVersion = reader.GetString(2),
                        ActualVersion = actual,
                        IndexCount = count,
                    });
                }
            }
        }

        return result;
    }

    /// <summary>The version of this host's C library, which is that of every program on it; null where it is not glibc.</summary>
    public static string? HostLibrary()
    {
        if (!OperatingSystem.IsLinux())
        {
            return null;
        }

        try
        {
            return Marshal.PtrToStringUTF8(GetGnuLibcVersion());
        }
        catch (Exception e) when (e is EntryPointNotFoundException or DllNotFoundException)
        {
            return null;
        }
    }

    private static string? Text(NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetString(column);

    // LC_CTYPE_MASK and LC_COLLATE_MASK in locale.h, of glibc and musl alike.
    private const int CollateAndCharacterType = (1 << 0) | (1 << 3);

    [LibraryImport("libc", EntryPoint = "newlocale", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint NewLocale(int mask, string name, nint previous);

    [LibraryImport("libc", EntryPoint = "freelocale")]
    private static partial void FreeLocale(nint locale);

    // PostgreSQL takes it for the version of libc's collations (get_collation_actual_version in pg_locale.c).
    [LibraryImport("libc", EntryPoint = "gnu_get_libc_version")]
    private static partial nint GetGnuLibcVersion();
}
