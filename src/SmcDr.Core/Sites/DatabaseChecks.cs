using System.Globalization;
using System.Runtime.CompilerServices;
using Npgsql;
using Npgsql.Replication;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Preparation;

namespace SmcDr.Core.Sites;

/// <summary>Whether a PostgreSQL server can be backed up, its WAL streamed, and what comes of it relied on.</summary>
internal sealed class DatabaseChecks(RegionSettings region, DatabaseSettings database, SecretResolver secrets, TimeProvider clock)
{
    private const int OldestMajor = 15;
    private const int NewestMajor = 18;
    private static readonly TimeSpan s_skewLimit = TimeSpan.FromSeconds(2);

    private readonly PostgresConnector _connector = database.CreateConnector(region, secrets);
    private int _major;

    public async IAsyncEnumerable<CheckResult> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        CheckRun run = new($"{region.Name} ({_connector.Display})", clock);
        (NpgsqlConnection? opened, IReadOnlyList<CheckResult> opening) = await OpenAsync(run, cancellationToken).ConfigureAwait(false);
        try
        {
            foreach (CheckResult result in opening)
            {
                yield return result;
            }

            if (opened is null)
            {
                foreach (string name in ServerChecks(null!, default).Select(static check => check.Name).Prepend("ServerVersion"))
                {
                    yield return run.Skip(name, "There is no connection to the database.");
                }
            }
            else
            {
                CheckResult version = await run.CheckAsync(
                    "ServerVersion", () => CheckVersionAsync(opened, cancellationToken), _connector).ConfigureAwait(false);
                yield return version;
                foreach ((string name, Func<Task<CheckFinding>> check) in ServerChecks(opened, cancellationToken))
                {
                    yield return version.Outcome == CheckOutcomes.Failed
                        ? run.Skip(name, "ServerVersion did not pass.")
                        : await run.CheckAsync(name, check, _connector).ConfigureAwait(false);
                }
            }
        }
        finally
        {
            if (opened is not null)
            {
                await opened.DisposeAsync().ConfigureAwait(false);
            }
        }

        if (database.DataDirectory is null)
        {
            yield break;
        }

        yield return await run.CheckAsync("DataDirectory", () => Task.FromResult(CheckDataDirectory())).ConfigureAwait(false);
        yield return _major == 0
            ? run.Skip("ServerPrograms", "The server's version is not known.")
            : await run.CheckAsync("ServerPrograms", () => CheckProgramsAsync(cancellationToken)).ConfigureAwait(false);
    }

    private (string Name, Func<Task<CheckFinding>> Check)[] ServerChecks(NpgsqlConnection connection, CancellationToken cancellationToken) =>
    [
        ("ServerRole", () => CheckRoleAsync(connection, cancellationToken)),
        ("BackupPrivileges", () => CheckPrivilegesAsync(connection, cancellationToken)),
        ("WalLevel", () => CheckSettingAsync(connection, SettingRule.WalLevel, null, true, cancellationToken)),
        ("WalSenders", () => CheckSendersAsync(connection, cancellationToken)),
        ("ReplicationConnection", () => CheckReplicationAsync(cancellationToken)),
        ("ReplicationSlot", () => CheckSlotAsync(connection, cancellationToken)),
        ("SlotRetention", () => CheckSettingAsync(
            connection, SettingRule.SlotLimit, "A stalled WAL stream keeps at most {0} on the server's disk.", false, cancellationToken)),
        .. _major < SettingRule.FirstWithIdleSlotTimeout ? Array.Empty<(string, Func<Task<CheckFinding>>)>() :
        [
            ("IdleSlotTimeout", () => CheckSettingAsync(connection, SettingRule.IdleSlotTimeout, null, false, cancellationToken)),
        ],
        ("WalArchiving", () => CheckArchivingAsync(connection, cancellationToken)),
        ("Fsync", () => CheckSettingAsync(connection, SettingRule.Fsync, null, true, cancellationToken)),
        ("FullPageWrites", () => CheckSettingAsync(connection, SettingRule.FullPageWrites, null, false, cancellationToken)),
        ("DataChecksums", () => CheckSettingAsync(connection, SettingRule.DataChecksums, "Data checksums are on.", false, cancellationToken)),
        ("ClockSkew", () => CheckClockAsync(connection, cancellationToken)),
    ];

    /// <summary>Connection and authentication are told apart by what refuses us.</summary>
    private async Task<(NpgsqlConnection? Connection, IReadOnlyList<CheckResult> Results)> OpenAsync(
        CheckRun run, CancellationToken cancellationToken)
    {
        NpgsqlConnection? connection = null;
        SmcException? refused = null;
        CheckResult reached = await run.CheckAsync("DatabaseConnection", async () =>
        {
            try
            {
                connection = await _connector.OpenAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.SecretUnavailable)
            {
                refused = e;
                return CheckFinding.Skipped("The password is not available.");
            }
            catch (SmcException e) when (e.Code != SmcErrorCode.ServerUnavailable)
            {
                refused = e;
            }

            return CheckFinding.Passed($"PostgreSQL at {_connector.Display} answers.");
        }, _connector).ConfigureAwait(false);
        if (reached.Outcome == CheckOutcomes.Failed)
        {
            return (null, [reached, run.Skip("DatabaseAuthentication", "DatabaseConnection did not pass.")]);
        }

        CheckResult authenticated = await run.CheckAsync("DatabaseAuthentication", () => Task.FromResult(refused is null
            ? CheckFinding.Passed($"The server takes user '{_connector.Username}'.")
            : CheckFinding.Failed(refused.Message, refused.Recommendation))).ConfigureAwait(false);
        return (connection, [reached, authenticated]);
    }

    private async Task<CheckFinding> CheckVersionAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        string number = await ShowAsync(connection, "server_version_num", cancellationToken).ConfigureAwait(false);
        string version = await ShowAsync(connection, "server_version", cancellationToken).ConfigureAwait(false);
        _major = int.Parse(number, CultureInfo.InvariantCulture) / 10000;
        return _major is >= OldestMajor and <= NewestMajor
            ? CheckFinding.Passed($"PostgreSQL {version}.")
            : CheckFinding.Failed(
                $"PostgreSQL {version} is not supported.",
                string.Create(CultureInfo.InvariantCulture, $"Use PostgreSQL {OldestMajor} to {NewestMajor}."));
    }

    private static async Task<CheckFinding> CheckRoleAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        bool standby = await ScalarAsync<bool>(connection, "SELECT pg_catalog.pg_is_in_recovery()", cancellationToken).ConfigureAwait(false);
        return standby
            ? CheckFinding.Warning(
                "The server is a standby, and the site file says that this region is primary.",
                "Correct the roles of the regions in the site file, or the address of the database.")
            : CheckFinding.Passed("The server is a primary.");
    }

    private async Task<CheckFinding> CheckPrivilegesAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        (bool isSuperuser, bool mayReplicate) = await QueryAsync(
            connection,
            "SELECT rolsuper, rolreplication FROM pg_catalog.pg_roles WHERE rolname = current_user",
            static row => (row.GetBoolean(0), row.GetBoolean(1)),
            cancellationToken).ConfigureAwait(false);
        if (isSuperuser)
        {
            return CheckFinding.Passed($"User '{_connector.Username}' is a superuser.");
        }

        string user = QuoteIdentifier(_connector.Username!);
        List<string> missing = [];
        List<string> remedies = [];
        foreach (string function in BackupPrivileges.Functions)
        {
            if (!await ScalarAsync<bool>(
                connection,
                "SELECT pg_catalog.has_function_privilege($1, 'EXECUTE')",
                cancellationToken,
                function).ConfigureAwait(false))
            {
                missing.Add(BackupPrivileges.NameOf(function));
                remedies.Add($"GRANT EXECUTE ON FUNCTION {function} TO {user};");
            }
        }

        if (!await ScalarAsync<bool>(
            connection, "SELECT pg_catalog.pg_has_role($1, 'USAGE')", cancellationToken, BackupPrivileges.Membership).ConfigureAwait(false))
        {
            missing.Add(BackupPrivileges.Membership);
            remedies.Add($"{BackupPrivileges.GrantMembership(user, _major)};");
        }

        if (!mayReplicate)
        {
            missing.Add("REPLICATION");
            remedies.Add($"ALTER ROLE {user} REPLICATION;");
        }

        return missing.Count == 0
            ? CheckFinding.Passed($"User '{_connector.Username}' may take base backups and stream WAL.")
            : CheckFinding.Failed(
                $"User '{_connector.Username}' is no superuser and lacks {string.Join(", ", missing)}.",
                $"Use a superuser, or run as one, in the database that the connection string names: {string.Join(' ', remedies)}");
    }

    private static async Task<CheckFinding> CheckSettingAsync(
        NpgsqlConnection connection, SettingRule rule, string? right, bool isFailure, CancellationToken cancellationToken)
    {
        string value = await ShowAsync(connection, rule.Name, cancellationToken).ConfigureAwait(false);
        return rule.IsRight(value) ? CheckFinding.Passed(right is null ? $"{rule.Name} is {value}." : string.Format(CultureInfo.InvariantCulture, right, value))
            : isFailure ? CheckFinding.Failed(rule.Problem(value), rule.Advice)
            : CheckFinding.Warning(rule.Problem(value), rule.Advice);
    }

    private async Task<CheckFinding> CheckArchivingAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        ArchivingState state = (await QueryAsync(
            connection,
            ArchivingState.Query,
            row => new ArchivingState(
                _major,
                row.GetString(0),
                row.GetString(1),
                row.GetString(2),
                row.IsDBNull(3) ? null : row.GetString(3),
                row.IsDBNull(4) ? null : new DateTimeOffset(row.GetDateTime(4).ToUniversalTime(), TimeSpan.Zero)),
            cancellationToken).ConfigureAwait(false))!;
        return state.Find() is { } found ? CheckFinding.Warning(found.Problem, found.Advice)
            : CheckFinding.Passed(state.Mode == "off" ? "The server archives nothing by itself." : "What the server archives by itself, it archives.");
    }

    private static async Task<CheckFinding> CheckSendersAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        int most = int.Parse(
            await ShowAsync(connection, "max_wal_senders", cancellationToken).ConfigureAwait(false), CultureInfo.InvariantCulture);
        if (most == 0)
        {
            return CheckFinding.Failed(
                "max_wal_senders is 0, so that the server streams no WAL.",
                "ALTER SYSTEM SET max_wal_senders = 10; then restart the server.");
        }

        long used = await ScalarAsync<long>(
            connection,
            // Not pg_stat_activity, which hides the kind of other users' backends.
            "SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_replication",
            cancellationToken).ConfigureAwait(false);
        string message = string.Create(CultureInfo.InvariantCulture, $"{used} of {most} WAL senders are in use.");
        return used < most
            ? CheckFinding.Passed(message)
            : CheckFinding.Failed(message, "Raise max_wal_senders and restart the server, or end a standby that is no longer needed.");
    }

    private async Task<CheckFinding> CheckReplicationAsync(CancellationToken cancellationToken)
    {
        try
        {
            PhysicalReplicationConnection connection = await _connector.OpenReplicationAsync(cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                ReplicationSystemIdentification system = await connection.IdentifySystem(cancellationToken).ConfigureAwait(false);
                return CheckFinding.Passed(string.Create(
                    CultureInfo.InvariantCulture, $"WAL can be streamed: system {system.SystemId}, timeline {system.Timeline}."));
            }
        }
        catch (SmcException e) when (e.Code is SmcErrorCode.AuthenticationFailed)
        {
            return CheckFinding.Failed(
                e.Message,
                $"Let user '{_connector.Username}' have the attribute REPLICATION and pg_hba.conf a line for it whose database is 'replication', then reload the server.");
        }
    }

    private async Task<CheckFinding> CheckSlotAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        SlotState? slot = await FindSlotAsync(connection, cancellationToken).ConfigureAwait(false);
        if (slot is null)
        {
            long used = await ScalarAsync<long>(
                connection, "SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots", cancellationToken).ConfigureAwait(false);
            int most = int.Parse(
                await ShowAsync(connection, "max_replication_slots", cancellationToken).ConfigureAwait(false), CultureInfo.InvariantCulture);
            return used < most
                ? CheckFinding.Warning(
                    $"The replication slot '{database.Slot}' does not exist yet, so nothing keeps WAL for the stream.",
                    "Start the WAL stream (Start-SmcWalStream, or smcdr wal stream): it creates the slot.")
                : CheckFinding.Failed(
                    string.Create(CultureInfo.InvariantCulture, $"All {most} replication slots are taken, and '{database.Slot}' does not exist yet."),
                    "Raise max_replication_slots and restart the server, or drop a slot that is no longer needed.");
        }

        if (slot.Type != "physical")
        {
            return CheckFinding.Failed(
                $"The replication slot '{database.Slot}' is {slot.Type}, and WAL is streamed through a physical one.",
                "Give another name by 'slot' in the site file.");
        }

        // wal_status (pg_replication_slots): reserved and extended are safe, unreserved is about to be lost, lost is a gap.
        return slot.WalStatus switch
        {
            "lost" => CheckFinding.Failed(
                $"The replication slot '{database.Slot}' is lost: the server has removed WAL that was not streamed yet.",
                "Drop the slot, start the WAL stream anew and take a new base backup at once: there is a gap before it."),
            "unreserved" => CheckFinding.Failed(
                $"The replication slot '{database.Slot}' is about to lose WAL that was not streamed yet.",
                "Start the WAL stream now, and raise max_slot_wal_keep_size."),
            _ when !slot.IsActive => CheckFinding.Warning(
                $"Nobody streams from the replication slot '{database.Slot}': the repository falls behind, and the server's disk fills.",
                "Start the WAL stream by Start-SmcWalStream, or find out why it ended."),
            _ => CheckFinding.Passed($"The replication slot '{database.Slot}' is in use and keeps its WAL ({slot.WalStatus ?? "nothing reserved"})."),
        };
    }

    /// <summary>A recovery to a time goes by the server's clock, and the operator reads another one.</summary>
    private async Task<CheckFinding> CheckClockAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        // As NTP does: of several exchanges the fastest says most, and the answer is taken for the middle of it.
        TimeSpan best = TimeSpan.MaxValue;
        TimeSpan skew = default;
        for (int i = 0; i < 5; i++)
        {
            DateTimeOffset before = clock.GetUtcNow();
            long start = clock.GetTimestamp();
            DateTime server = await ScalarAsync<DateTime>(
                connection, "SELECT pg_catalog.clock_timestamp()", cancellationToken).ConfigureAwait(false);
            TimeSpan elapsed = clock.GetElapsedTime(start);
            if (elapsed < best)
            {
                best = elapsed;
                skew = new DateTimeOffset(server.ToUniversalTime(), TimeSpan.Zero) - (before + elapsed / 2);
            }
        }

        string direction = skew < TimeSpan.Zero ? "behind" : "ahead of";
        string message = string.Create(
            CultureInfo.InvariantCulture,
            $"The server's clock is {Math.Abs(skew.TotalSeconds):0.000} s {direction} this one (give or take {best.TotalSeconds / 2:0.000} s).");
        return skew.Duration() - best / 2 <= s_skewLimit
            ? CheckFinding.Passed(message)
            : CheckFinding.Warning(
                message, "Synchronize both clocks by NTP: a recovery to a time goes by the server's clock.");
    }

    private CheckFinding CheckDataDirectory()
    {
        string path = database.DataDirectory!;
        try
        {
            string version = File.ReadAllText(Path.Combine(path, "PG_VERSION")).Trim();
            return _major == 0 || version == _major.ToString(CultureInfo.InvariantCulture)
                ? CheckFinding.Passed($"'{path}' holds a cluster of PostgreSQL {version}.")
                : CheckFinding.Failed(
                    $"'{path}' holds a cluster of PostgreSQL {version}, and the server that answers is {_major}.",
                    "Correct dataDirectory or connection in the site file: they belong to two servers, and a recovery would replace the wrong one.");
        }
        catch (UnauthorizedAccessException)
        {
            return CheckFinding.Warning(
                $"'{path}' is closed to this account, so that a recovery from here could not write it.",
                "Run recoveries as root or as the account that the server runs as.");
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return CheckFinding.Warning(
                $"There is no cluster in '{path}'.",
                "Check dataDirectory in the site file; on a machine that only takes over, it is right that it is empty.");
        }
    }

    private async Task<CheckFinding> CheckProgramsAsync(CancellationToken cancellationToken)
    {
        string? directory = database.BinDirectory ?? FindBinDirectory();
        if (directory is null)
        {
            return CheckFinding.Failed(
                $"The programs of PostgreSQL {_major} are not on this host, where the site file has its data directory.",
                $"Install PostgreSQL {_major} on this host, or name its directory by binDirectory in the site file.");
        }

        foreach (string program in new[] { "postgres", "pg_ctl" })
        {
            if (!File.Exists(Path.Combine(directory, ProgramName(program))))
            {
                return CheckFinding.Failed(
                    $"There is no {program} in '{directory}'.", "Correct binDirectory in the site file: it is where postgres and pg_ctl are.");
            }
        }

        int major = await ProgramVersion.ReadMajorAsync(Path.Combine(directory, ProgramName("postgres")), cancellationToken).ConfigureAwait(false);
        return major == _major
            ? CheckFinding.Passed($"The programs of PostgreSQL {major} are in '{directory}'.")
            : CheckFinding.Failed(
                $"The programs in '{directory}' are of PostgreSQL {major}, and the server is {_major}: they cannot start its data directory.",
                $"Name the directory of PostgreSQL {_major}'s programs by binDirectory in the site file.");
    }

    private string? FindBinDirectory()
    {
        string major = _major.ToString(CultureInfo.InvariantCulture);
        // Where Debian and its family, and the RPMs of the PostgreSQL project, put each version; then the path.
        return new[] { $"/usr/lib/postgresql/{major}/bin", $"/usr/pgsql-{major}/bin" }
            .Concat((Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
            .FirstOrDefault(static path => File.Exists(Path.Combine(path, ProgramName("postgres"))));
    }

    private static string ProgramName(string name) => OperatingSystem.IsWindows() ? name + ".exe" : name;

    private async Task<SlotState?> FindSlotAsync(NpgsqlConnection connection, CancellationToken cancellationToken) =>
        await QueryAsync(
            connection,
            "SELECT slot_type, active, wal_status FROM pg_catalog.pg_replication_slots WHERE slot_name = $1",
            static row => new SlotState(row.GetString(0), row.GetBoolean(1), row.IsDBNull(2) ? null : row.GetString(2)),
            cancellationToken,
            database.Slot).ConfigureAwait(false);

    private static Task<string> ShowAsync(NpgsqlConnection connection, string setting, CancellationToken cancellationToken) =>
        ScalarAsync<string>(connection, "SELECT pg_catalog.current_setting($1)", cancellationToken, setting);

    private static async Task<T> ScalarAsync<T>(
        NpgsqlConnection connection, string sql, CancellationToken cancellationToken, params string[] parameters) =>
        (await QueryAsync(connection, sql, static row => row.GetFieldValue<T>(0), cancellationToken, parameters).ConfigureAwait(false))!;

    private static async Task<T?> QueryAsync<T>(
        NpgsqlConnection connection,
        string sql,
        Func<NpgsqlDataReader, T> read,
        CancellationToken cancellationToken,
        params string[] parameters)
    {
        NpgsqlCommand command = new(sql, connection);
        await using (command.ConfigureAwait(false))
        {
            foreach (string parameter in parameters)
            {
                command.Parameters.AddWithValue(parameter);
            }

            NpgsqlDataReader row = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (row.ConfigureAwait(false))
            {
                return await row.ReadAsync(cancellationToken).ConfigureAwait(false) ? read(row) : default;
            }
        }
    }

    private static string QuoteIdentifier(string name) => $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    private sealed record SlotState(string Type, bool IsActive, string? WalStatus);
}
