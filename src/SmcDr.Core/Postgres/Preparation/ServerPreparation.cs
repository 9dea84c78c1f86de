using System.Globalization;
using System.Runtime.CompilerServices;
using Npgsql;
using Npgsql.Replication;
using SmcDr.Core.Postgres.Logical;

namespace SmcDr.Core.Postgres.Preparation;

/// <summary>Makes a server ready for base backups and WAL streaming: settings, a role with least privilege, a replication slot.</summary>
/// <remarks>
/// Every change is one statement in a command of its own, since ALTER SYSTEM cannot run in a transaction and several statements in one command are
/// one. What is right is left alone, so that a second run changes nothing, and an interrupted one is continued by the next.
/// </remarks>
public sealed class ServerPreparation
{
    private const int OldestVersion = 150000;
    private const int FirstUnknownVersion = 190000;

    // One connection streams WAL, another is for a base backup while no stream runs; both have a slot.
    private const int OwnConnections = 2;
    private const int UsualNumber = 10;
    private static readonly TimeSpan s_pollInterval = TimeSpan.FromMilliseconds(50);

    private readonly PostgresConnector _administrator;
    private readonly ServerPreparationOptions _options;
    private readonly string _role;
    private readonly Func<PreparationChange, Task<bool>> _approve;
    private bool _isReloadNeeded;

    /// <summary>Creates it. Nothing happens until <see cref="RunAsync"/>.</summary>
    /// <param name="administrator">A superuser, in the database that the backup role connects to.</param>
    /// <param name="options">What is wanted.</param>
    /// <param name="approve">Is asked before each change; what it declines is left as it is.</param>
    public ServerPreparation(
        PostgresConnector administrator, ServerPreparationOptions options, Func<PreparationChange, Task<bool>> approve)
    {
        ArgumentNullException.ThrowIfNull(administrator);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(approve);
        (_administrator, _options, _approve) = (administrator, options, approve);
        _role = options.Backup.Username ?? throw new SmcException(
            SmcErrorCode.ArgumentInvalid,
            "Nothing says which role backups connect as.",
            recommendation: "Give 'Username' in the site's connection string, or the role's credential.");
    }

    /// <summary>Looks at each thing, changes what is wrong, and says how it stands.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.PrivilegeMissing"/>: no superuser. <see cref="SmcErrorCode.SettingUnsuitable"/>: a standby.
    /// </exception>
    public async IAsyncEnumerable<PreparationItem> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await _administrator.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            Server server = await GuardAsync(() => OpenAsync(connection, cancellationToken)).ConfigureAwait(false);
            List<(SettingRule Rule, PreparationItem Item)> settings = [];
            foreach (SettingRule rule in await GuardAsync(() => RulesAsync(server, cancellationToken)).ConfigureAwait(false))
            {
                settings.Add((rule, await GuardAsync(() => SetAsync(server, rule, cancellationToken)).ConfigureAwait(false)));
            }

            if (_isReloadNeeded)
            {
                await GuardAsync(() => ReloadAsync(server, settings, cancellationToken)).ConfigureAwait(false);
            }

            foreach ((SettingRule _, PreparationItem item) in settings)
            {
                yield return item;
            }

            foreach (Func<Task<IReadOnlyList<PreparationItem>>> step in new Func<Task<IReadOnlyList<PreparationItem>>>[]
            {
                () => PrepareRoleAsync(server, cancellationToken),
                () => PrepareSlotAsync(server, cancellationToken),
                () => ConnectAsync(server, cancellationToken),
            })
            {
                foreach (PreparationItem item in await GuardAsync(step).ConfigureAwait(false))
                {
                    yield return item;
                }
            }
        }
    }

    private async Task<T> GuardAsync<T>(Func<Task<T>> work)
    {
        try
        {
            return await work().ConfigureAwait(false);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or IOException)
        {
            throw _administrator.Translate(e);
        }
    }

    private async Task<Server> OpenAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        (int version, bool isStandby, bool isSuperuser, string database, string? address) = await OneAsync(
            connection,
            """
            SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4, pg_catalog.pg_is_in_recovery(), r.rolsuper,
                   pg_catalog.current_database()::pg_catalog.text, pg_catalog.host(pg_catalog.inet_client_addr())
            FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) current_user
            """,
            static row => (row.GetInt32(0), row.GetBoolean(1), row.GetBoolean(2), row.GetString(3), row.IsDBNull(4) ? null : row.GetString(4)),
            cancellationToken).ConfigureAwait(false);
        if (version is < OldestVersion or >= FirstUnknownVersion)
        {
            throw new SmcException(
                SmcErrorCode.VersionUnsupported,
                $"PostgreSQL at {_administrator.Display} is version {connection.PostgreSqlVersion}; versions 15 to 18 are supported.",
                target: _administrator.Display);
        }

        if (isStandby)
        {
            throw new SmcException(
                SmcErrorCode.SettingUnsuitable,
                $"PostgreSQL at {_administrator.Display} is a standby: roles and grants come to it from its primary.",
                recommendation: "Run this against the primary.",
                target: _administrator.Display);
        }

        if (!isSuperuser)
        {
            throw new SmcException(
                SmcErrorCode.PrivilegeMissing,
                $"User '{_administrator.Username}' on {_administrator.Display} is no superuser, and only superusers may change settings and grant what backups need.",
                recommendation: "Give a superuser's credential with -Credential (or --admin and --admin-password).",
                target: _administrator.Username);
        }

        // The verifier of a password belongs into no log and no statistics.
        await ExecuteAsync(
            connection,
            "SELECT pg_catalog.set_config('log_statement', 'none', false), pg_catalog.set_config('log_min_duration_statement', '-1', false), " +
            "pg_catalog.set_config('log_min_error_statement', 'panic', false), pg_catalog.set_config('pg_stat_statements.track_utility', 'off', false)",
            cancellationToken).ConfigureAwait(false);
        return new Server(connection, version, database, address);
    }

    private static async Task<List<SettingRule>> RulesAsync(Server server, CancellationToken cancellationToken)
    {
        (long senders, long slots, bool checksums) = await OneAsync(
            server.Connection,
            """
            SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_replication r WHERE r.application_name OPERATOR(pg_catalog.<>) 'smcdr'),
                   (SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots s
                    WHERE NOT s.temporary AND NOT pg_catalog.starts_with(s.slot_name::pg_catalog.text, 'smcdr_')),
                   pg_catalog.current_setting('data_checksums') OPERATOR(pg_catalog.=) 'on'
            """,
            static row => (row.GetInt64(0), row.GetInt64(1), row.GetBoolean(2)),
            cancellationToken).ConfigureAwait(false);
        List<SettingRule> rules =
        [
            SettingRule.WalLevel,
            AtLeast("max_wal_senders", senders),
            AtLeast("max_replication_slots", slots),
            SettingRule.FullPageWrites,
            SettingRule.Fsync,
            SettingRule.DataChecksums,
            SettingRule.SlotLimit,
            SettingRule.PasswordEncryption,
        ];
        if (server.Version >= SettingRule.FirstWithIdleSlotTimeout * 10000)
        {
            rules.Add(SettingRule.IdleSlotTimeout);
        }

        if (!checksums)
        {
            rules.Add(SettingRule.HintBits);
        }

        return rules;
    }

    private static SettingRule AtLeast(string name, long others)
    {
        long least = others + OwnConnections;
        string wanted = Math.Max(least, UsualNumber).ToString(CultureInfo.InvariantCulture);
        return new SettingRule(
            name,
            wanted,
            true,
            value => long.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) && number >= least,
            value => string.Create(CultureInfo.InvariantCulture, $"{name} is {value}: {others} are used by others, and backups need {OwnConnections}."),
            $"ALTER SYSTEM SET {name} = {wanted}; then restart the server.");
    }

    private async Task<PreparationItem> SetAsync(Server server, SettingRule rule, CancellationToken cancellationToken)
    {
        SettingState state = await ReadAsync(server, rule.Name, cancellationToken).ConfigureAwait(false);
        if (rule.IsRight(state.Value))
        {
            return Item(rule.Name, state.Value, rule.Wanted, PreparationStates.Right) with { Wanted = state.Value };
        }

        if (!rule.IsRequired)
        {
            return Item(rule.Name, state.Value, rule.Wanted, PreparationStates.Advice, $"{rule.Problem(state.Value)} {rule.Advice}");
        }

        // What comes from there goes before every file, also the one that ALTER SYSTEM writes: as with containers, whose command line it is.
        if (state.Source is "command line" or "environment variable")
        {
            return Item(
                rule.Name,
                state.Value,
                rule.Wanted,
                PreparationStates.Missing,
                $"The server is started with {rule.Name} = {state.Value} by its {state.Source}, which goes before ALTER SYSTEM: " +
                $"give {rule.Name} = {rule.Wanted} there, and start the server anew.");
        }

        if (state.FileValue is { } inFile && rule.IsRight(inFile) && state.Context == "postmaster")
        {
            return Restart(rule, state.Value);
        }

        if (state.AlterSystem == "off")
        {
            return Item(
                rule.Name,
                state.Value,
                rule.Wanted,
                PreparationStates.Missing,
                $"The server has allow_alter_system = off: set {rule.Name} = {rule.Wanted} by whatever manages its configuration.");
        }

        string statement = $"ALTER SYSTEM SET {rule.Name} = {Sql.Text(rule.Wanted)}";
        if (!await _approve(new PreparationChange(rule.Name, state.Value, rule.Wanted, statement)).ConfigureAwait(false))
        {
            return Item(rule.Name, state.Value, rule.Wanted, PreparationStates.Missing, $"{rule.Problem(state.Value)} {rule.Advice}");
        }

        await ExecuteAsync(server.Connection, statement, cancellationToken).ConfigureAwait(false);
        _isReloadNeeded = true;
        return Item(rule.Name, state.Value, rule.Wanted, PreparationStates.Changed);
    }

    /// <summary>Has the server read its configuration, and finds out what it has taken: the signal comes to each process in its own time.</summary>
    private async Task<bool> ReloadAsync(
        Server server, List<(SettingRule Rule, PreparationItem Item)> settings, CancellationToken cancellationToken)
    {
        await ExecuteAsync(server.Connection, "SELECT pg_catalog.pg_reload_conf()", cancellationToken).ConfigureAwait(false);
        long start = TimeProvider.System.GetTimestamp();
        for (int i = 0; i < settings.Count; i++)
        {
            (SettingRule rule, PreparationItem item) = settings[i];
            if (item.State != PreparationStates.Changed)
            {
                continue;
            }

            SettingState state = await ReadAsync(server, rule.Name, cancellationToken).ConfigureAwait(false);
            while (!rule.IsRight(state.Value) && !state.PendingRestart && TimeProvider.System.GetElapsedTime(start) < _options.ReloadTimeout)
            {
                await Task.Delay(s_pollInterval, cancellationToken).ConfigureAwait(false);
                state = await ReadAsync(server, rule.Name, cancellationToken).ConfigureAwait(false);
            }

            settings[i] = (rule, rule.IsRight(state.Value) ? item
                : state.PendingRestart ? Restart(rule, state.Value)
                : item with
                {
                    State = PreparationStates.Missing,
                    Recommendation = $"ALTER SYSTEM has set {rule.Name}, and the server has not taken it: see its log, and pg_file_settings.",
                });
        }

        return true;
    }

    private async Task<IReadOnlyList<PreparationItem>> PrepareRoleAsync(Server server, CancellationToken cancellationToken)
    {
        List<PreparationItem> items = [];
        RoleState? role = await FindRoleAsync(server, cancellationToken).ConfigureAwait(false);
        string name = Sql.Name(_role);
        string? password = _options.Password is null ? null : await _options.Password(cancellationToken).ConfigureAwait(false);
        if (role is { IsSuperuser: true })
        {
            return
            [
                Item(
                    "Role",
                    $"{_role}: superuser",
                    "a role with least privilege",
                    PreparationStates.Advice,
                    $"Backups work as '{_role}', and whoever gets at its password owns the server. Name a role of its own in the site's connection " +
                    "string, or give -RoleCredential (or --role and --role-password), and run this as the superuser."),
            ];
        }

        // CREATE ROLE and the password are one statement: a role that can be logged in to without one would be there for a moment otherwise.
        const string Wanted = "LOGIN REPLICATION INHERIT";
        bool isNew = role is null;
        string? current = role?.Attributes;
        if (isNew || current != Wanted)
        {
            string verb = isNew ? "CREATE" : "ALTER";
            string shown = $"{verb} ROLE {name} {Wanted}" + (isNew && password is not null ? " PASSWORD (a SCRAM-SHA-256 verifier)" : "");
            string statement = $"{verb} ROLE {name} {Wanted}" +
                (isNew && password is not null ? $" PASSWORD {Sql.Text(await VerifierAsync(server, password, cancellationToken).ConfigureAwait(false))}" : "");
            bool isDone = await ChangeAsync(server, items, new PreparationChange("Role", current, Wanted, shown), statement, cancellationToken)
                .ConfigureAwait(false);
            if (isNew && !isDone)
            {
                // What is not there can be granted nothing; it is only shown what would be.
                foreach ((string item, string _, string grant) in Grants(server))
                {
                    if (_options.IsPreview)
                    {
                        await _approve(new PreparationChange(item, null, "granted", grant)).ConfigureAwait(false);
                    }

                    items.Add(Item(item, null, "granted", PreparationStates.Missing, $"Run: {grant};"));
                }

                return items;
            }
        }
        else
        {
            items.Add(Item("Role", current, Wanted, PreparationStates.Right));
        }

        if (!isNew && password is not null)
        {
            const string Verifier = "SCRAM-SHA-256 of the password";
            if (ScramVerifier.Matches(role!.Verifier, password))
            {
                items.Add(Item("RolePassword", Verifier, Verifier, PreparationStates.Right));
            }
            else
            {
                string? kind = role.Verifier is null ? null
                    : role.Verifier.StartsWith("SCRAM-SHA-256$", StringComparison.Ordinal) ? "SCRAM-SHA-256 of another password" : "another kind";
                await ChangeAsync(
                    server,
                    items,
                    new PreparationChange("RolePassword", kind, Verifier, $"ALTER ROLE {name} PASSWORD (a SCRAM-SHA-256 verifier)"),
                    $"ALTER ROLE {name} PASSWORD {Sql.Text(await VerifierAsync(server, password, cancellationToken).ConfigureAwait(false))}",
                    cancellationToken).ConfigureAwait(false);
            }
        }

        foreach ((string item, string question, string grant) in Grants(server))
        {
            await GrantAsync(server, items, item, question, grant, cancellationToken).ConfigureAwait(false);
        }

        return items;
    }

    /// <summary>What the role is granted: the item, the question whether it is, and the statement.</summary>
    private IEnumerable<(string Item, string Question, string Grant)> Grants(Server server)
    {
        string role = Sql.Text(_role);
        string name = Sql.Name(_role);
        yield return (
            BackupPrivileges.Membership,
            $"SELECT pg_catalog.pg_has_role({role}, {Sql.Text(BackupPrivileges.Membership)}, 'USAGE')",
            BackupPrivileges.GrantMembership(name, server.Version / 10000));
        yield return (
            $"Connect {server.Database}",
            $"SELECT pg_catalog.has_database_privilege({role}, {Sql.Text(server.Database)}, 'CONNECT')",
            $"GRANT CONNECT ON DATABASE {Sql.Name(server.Database)} TO {name}");
        foreach (string function in BackupPrivileges.Functions)
        {
            yield return (
                $"Execute {BackupPrivileges.NameOf(function)}",
                $"SELECT pg_catalog.has_function_privilege({role}, {Sql.Text(function)}, 'EXECUTE')",
                $"GRANT EXECUTE ON FUNCTION {function} TO {name}");
        }
    }

    private async Task GrantAsync(
        Server server, List<PreparationItem> items, string item, string question, string statement, CancellationToken cancellationToken)
    {
        if (await OneAsync(server.Connection, question, static row => row.GetBoolean(0), cancellationToken).ConfigureAwait(false))
        {
            items.Add(Item(item, "granted", "granted", PreparationStates.Right));
        }
        else
        {
            await ChangeAsync(server, items, new PreparationChange(item, null, "granted", statement), statement, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<IReadOnlyList<PreparationItem>> PrepareSlotAsync(Server server, CancellationToken cancellationToken)
    {
        List<PreparationItem> items = [];
        string wanted = $"{_options.Slot}: physical, keeps WAL";
        (string? type, string? status, bool reserves) = await OneOrDefaultAsync<(string?, string?, bool)>(
            server.Connection,
            "SELECT s.slot_type, s.wal_status, s.restart_lsn IS NOT NULL FROM pg_catalog.pg_replication_slots s " +
            $"WHERE s.slot_name OPERATOR(pg_catalog.=) {Sql.Text(_options.Slot)}::pg_catalog.name",
            static row => (row.GetString(0), row.IsDBNull(1) ? null : row.GetString(1), row.GetBoolean(2)),
            cancellationToken).ConfigureAwait(false);
        if (type is null)
        {
            // Not with the settings that are wanted: with those the server runs with.
            bool canHave = await OneAsync(
                server.Connection,
                "SELECT pg_catalog.current_setting('wal_level') OPERATOR(pg_catalog.<>) 'minimal' AND " +
                "pg_catalog.current_setting('max_replication_slots')::pg_catalog.int4 OPERATOR(pg_catalog.>) " +
                "(SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots)",
                static row => row.GetBoolean(0),
                cancellationToken).ConfigureAwait(false);
            if (!canHave)
            {
                items.Add(Item(
                    "ReplicationSlot",
                    null,
                    wanted,
                    PreparationStates.Missing,
                    "The server can have the slot only with wal_level and max_replication_slots as above: restart it, and run this again."));
                return items;
            }

            string statement = $"SELECT pg_catalog.pg_create_physical_replication_slot({Sql.Text(_options.Slot)}, true)";
            if (await ChangeAsync(server, items, new PreparationChange("ReplicationSlot", null, wanted, statement), statement, cancellationToken)
                .ConfigureAwait(false))
            {
                items[^1] = items[^1] with
                {
                    Recommendation = "From now on the server keeps WAL for the stream: start it soon, with Start-SmcWalStream or 'smcdr wal stream'.",
                };
            }

            return items;
        }

        string current = $"{_options.Slot}: {type}, {status ?? "keeps nothing"}";
        items.Add(type != "physical"
            ? Item("ReplicationSlot", current, wanted, PreparationStates.Missing, "Give another name by 'slot' in the site file.")
            : status == "lost"
                ? Item(
                    "ReplicationSlot",
                    current,
                    wanted,
                    PreparationStates.Missing,
                    $"The server has removed WAL that was not streamed. Drop the slot by SELECT pg_drop_replication_slot({Sql.Text(_options.Slot)}), run this again, " +
                    "start the stream and take a new base backup at once: there is a gap before it.")
                : reserves
                    ? Item("ReplicationSlot", current, wanted, PreparationStates.Right)
                    : Item(
                        "ReplicationSlot",
                        current,
                        wanted,
                        PreparationStates.Missing,
                        "The slot keeps no WAL until somebody streams from it: start the stream with Start-SmcWalStream, or 'smcdr wal stream'."));
        return items;
    }

    /// <summary>Whether pg_hba.conf lets the role in, which only the attempt shows: from this machine, as backups come.</summary>
    private async Task<IReadOnlyList<PreparationItem>> ConnectAsync(Server server, CancellationToken cancellationToken)
    {
        if (await FindRoleAsync(server, cancellationToken).ConfigureAwait(false) is null)
        {
            return [];
        }

        string address = server.ClientAddress is { } client ? $"{client}/{(client.Contains(':') ? 128 : 32)}" : "(the address of this machine)";
        return
        [
            await TryAsync("Connection", $"host {server.Database} {_role} {address} scram-sha-256", async () =>
            {
                NpgsqlConnection connection = await _options.Backup.OpenAsync(cancellationToken).ConfigureAwait(false);
                await connection.DisposeAsync().ConfigureAwait(false);
            }).ConfigureAwait(false),
            await TryAsync("ReplicationConnection", $"host replication {_role} {address} scram-sha-256", async () =>
            {
                PhysicalReplicationConnection connection = await _options.Backup.OpenReplicationAsync(cancellationToken).ConfigureAwait(false);
                await connection.DisposeAsync().ConfigureAwait(false);
            }).ConfigureAwait(false),
        ];

        async Task<PreparationItem> TryAsync(string item, string line, Func<Task> connect)
        {
            try
            {
                await connect().ConfigureAwait(false);
                return Item(item, $"'{_role}' is let in", "let in", PreparationStates.Right);
            }
            catch (SmcException e)
            {
                return Item(
                    item,
                    null,
                    "let in",
                    PreparationStates.Missing,
                    e.InnerException is PostgresException { SqlState: "28000" }
                        ? $"{e.Message} Where it is pg_hba.conf that refuses: add the line '{line}', and SELECT pg_reload_conf()."
                        : e.Code == SmcErrorCode.AuthenticationFailed
                            ? $"{e.Message} Give the role's password, so that it is set: -RoleCredential, --role-password, or 'password' in the site file."
                            : $"{e.Message} Where a restart is waited for above, restart the server and run this again.");
            }
        }
    }

    private async Task<bool> ChangeAsync(
        Server server, List<PreparationItem> items, PreparationChange change, string statement, CancellationToken cancellationToken)
    {
        bool isDone = await _approve(change).ConfigureAwait(false);
        if (isDone)
        {
            await ExecuteAsync(server.Connection, statement, cancellationToken).ConfigureAwait(false);
        }

        items.Add(Item(
            change.Item,
            change.Current,
            change.Wanted,
            isDone ? PreparationStates.Changed : PreparationStates.Missing,
            isDone ? null : $"Run: {change.Statement};"));
        return isDone;
    }

    private static async Task<string> VerifierAsync(Server server, string password, CancellationToken cancellationToken)
    {
        // The setting came with 16.
        string? iterations = await OneAsync(
            server.Connection,
            "SELECT pg_catalog.current_setting('scram_iterations', true)",
            static row => row.IsDBNull(0) ? null : row.GetString(0),
            cancellationToken).ConfigureAwait(false);
        return ScramVerifier.Create(
            password, iterations is null ? ScramVerifier.DefaultIterations : int.Parse(iterations, CultureInfo.InvariantCulture));
    }

    private Task<RoleState?> FindRoleAsync(Server server, CancellationToken cancellationToken) => OneOrDefaultAsync(
        server.Connection,
        $"SELECT a.rolsuper, a.rolcanlogin, a.rolreplication, a.rolinherit, a.rolpassword FROM pg_catalog.pg_authid a " +
        $"WHERE a.rolname OPERATOR(pg_catalog.=) {Sql.Text(_role)}::pg_catalog.name",
        static row => new RoleState(
            row.GetBoolean(0),
            string.Join(' ', new[]
            {
                row.GetBoolean(1) ? "LOGIN" : "NOLOGIN",
                row.GetBoolean(2) ? "REPLICATION" : "NOREPLICATION",
                row.GetBoolean(3) ? "INHERIT" : "NOINHERIT",
            }),
            row.IsDBNull(4) ? null : row.GetString(4)),
        cancellationToken);

    private static Task<SettingState> ReadAsync(Server server, string name, CancellationToken cancellationToken) => OneAsync(
        server.Connection,
        $"""
        SELECT s.setting, s.source, s.context, s.pending_restart,
               (SELECT f.setting FROM pg_catalog.pg_file_settings f WHERE f.name OPERATOR(pg_catalog.=) s.name ORDER BY f.seqno DESC LIMIT 1),
               pg_catalog.current_setting('allow_alter_system', true)
        FROM pg_catalog.pg_settings s WHERE s.name OPERATOR(pg_catalog.=) {Sql.Text(name)}
        """,
        static row => new SettingState(
            row.GetString(0), row.GetString(1), row.GetString(2), row.GetBoolean(3), row.IsDBNull(4) ? null : row.GetString(4),
            row.IsDBNull(5) ? null : row.GetString(5)),
        cancellationToken);

    private PreparationItem Restart(SettingRule rule, string current) => Item(
        rule.Name,
        current,
        rule.Wanted,
        PreparationStates.NeedsRestart,
        $"{rule.Name} is set, and taken when the server starts again: restart it when there is time for it.");

    private PreparationItem Item(string item, string? current, string wanted, string state, string? recommendation = null) => new()
    {
        Item = item,
        Current = current,
        Wanted = wanted,
        State = state,
        Recommendation = recommendation,
        Server = _administrator.Display,
    };

    /// <summary>One statement in one command, without parameters, which ALTER SYSTEM and GRANT do not take.</summary>
    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        NpgsqlCommand command = new(sql, connection);
        await using (command.ConfigureAwait(false))
        {
            await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task<T> OneAsync<T>(
        NpgsqlConnection connection, string sql, Func<NpgsqlDataReader, T> read, CancellationToken cancellationToken) =>
        (await OneOrDefaultAsync(connection, sql, read, cancellationToken).ConfigureAwait(false))!;

    private static async Task<T?> OneOrDefaultAsync<T>(
        NpgsqlConnection connection, string sql, Func<NpgsqlDataReader, T> read, CancellationToken cancellationToken)
    {
        NpgsqlCommand command = new(sql, connection);
        await using (command.ConfigureAwait(false))
        {
            NpgsqlDataReader row = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (row.ConfigureAwait(false))
            {
                return await row.ReadAsync(cancellationToken).ConfigureAwait(false) ? read(row) : default;
            }
        }
    }

    private sealed record Server(NpgsqlConnection Connection, int Version, string Database, string? ClientAddress);

    /// <summary>A setting; <c>allow_alter_system</c>, which came with 17, beside it.</summary>
    private sealed record SettingState(
        string Value, string Source, string Context, bool PendingRestart, string? FileValue, string? AlterSystem);

    private sealed record RoleState(bool IsSuperuser, string Attributes, string? Verifier);
}
