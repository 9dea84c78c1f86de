namespace SmcDr.Core.Postgres.Preparation;

/// <summary>What a role that is no superuser must have been granted for base backups: the one list, for who grants and for who checks.</summary>
/// <remarks>
/// Membership of <c>pg_read_server_files</c> is not among it: all paths are relative to the data directory, tablespaces among them. Nor is
/// <c>pg_monitor</c>: of the statistics only what everybody sees is read.
/// </remarks>
internal static class BackupPrivileges
{
    /// <summary>The predefined role whose rights are needed: settings name files that superusers alone see otherwise.</summary>
    public const string Membership = "pg_read_all_settings";

    private const int FirstWithInheritingGrants = 16;

    /// <summary>The functions, to be granted in the database that the role connects to.</summary>
    public static IReadOnlyList<string> Functions { get; } =
    [
        "pg_catalog.pg_backup_start(text, boolean)",
        "pg_catalog.pg_backup_stop(boolean)",
        "pg_catalog.pg_ls_dir(text, boolean, boolean)",
        "pg_catalog.pg_stat_file(text, boolean)",
        "pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)",
    ];

    /// <summary>
    /// The statement that grants the membership. Since 16 the grant itself says whether its rights are inherited, and what it does not say it takes
    /// from the role, so that a role with NOINHERIT would not have them (user.c, AddRoleMems).
    /// </summary>
    /// <param name="grantee">The role, quoted.</param>
    /// <param name="major">The server's major version.</param>
    public static string GrantMembership(string grantee, int major) =>
        $"GRANT {Membership} TO {grantee}" + (major >= FirstWithInheritingGrants ? " WITH INHERIT TRUE" : "");

    /// <summary>The name alone: <c>pg_backup_stop</c>.</summary>
    public static string NameOf(string function) => function["pg_catalog.".Length..function.IndexOf('(', StringComparison.Ordinal)];
}
