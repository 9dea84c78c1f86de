using System.Globalization;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Recovery;

/// <summary>
/// How a recovered cluster is kept from touching anything of production: it archives nothing, follows and subscribes to nobody, waits for
/// no standby, runs no jobs, loads nothing that sessions are configured to load, and is reached by nobody but its own account.
/// </summary>
public sealed record ServerIsolation
{
    /// <summary>The port, of which the name of the socket has a part; also of TCP where <see cref="ListenLocally"/> is set.</summary>
    public int Port { get; init; } = 5432;

    /// <summary>Whether it also takes connections at 127.0.0.1, with passwords. Otherwise only through a socket in its data directory.</summary>
    public bool ListenLocally { get; init; }

    /// <summary>Whether transactions are read-only unless they say otherwise.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>The isolation that was asked for in words; null where none was.</summary>
    /// <param name="isSideInstance">Whether a side instance is wanted.</param>
    /// <param name="port">Its port.</param>
    /// <param name="listenLocally">Whether it listens at 127.0.0.1.</param>
    /// <param name="dataDirectory">The data directory that was named for it.</param>
    /// <param name="productionDirectory">The data directory of the site's own server.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: something is missing, or is asked for in vain.</exception>
    public static ServerIsolation? Create(bool isSideInstance, int? port, bool listenLocally, string? dataDirectory, string? productionDirectory)
    {
        if (!isSideInstance)
        {
            return port is null && !listenLocally ? null : throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "A port, and whether it listens, can only be chosen for a side instance.",
                recommendation: "Ask for a side instance, or set the server's port as a setting.");
        }

        if (dataDirectory is null || DirectoryPath.IsSame(dataDirectory, productionDirectory ?? "/"))
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "A side instance needs a data directory of its own.",
                recommendation: "Name one that is not the site's.",
                target: dataDirectory);
        }

        return port is null && listenLocally
            ? throw new SmcException(
                SmcErrorCode.ArgumentInvalid, "A side instance that listens at 127.0.0.1 needs a port of its own.", recommendation: "Name one that is free.")
            : new ServerIsolation { Port = port ?? 5432, ListenLocally = listenLocally };
    }

    internal const string LogFileName = "smcdr-side-instance.log";
    private const string AccessFileName = "smcdr_side_hba.conf";
    private const string IdentitiesFileName = "smcdr_side_ident.conf";

    // sun_path in sys/un.h, with its end.
    private const int MaximumSocketPath = 107;

    /// <summary>Whether the path of a server's socket in a directory is short enough.</summary>
    internal static bool CanHoldSocket(string directory, int port) =>
        System.Text.Encoding.UTF8.GetByteCount(string.Create(CultureInfo.InvariantCulture, $"{directory}/.s.PGSQL.{port}")) <= MaximumSocketPath;

    /// <summary>What every isolated server is started with, whatever its configuration says.</summary>
    internal static Dictionary<string, string> Common(int major)
    {
        Dictionary<string, string> settings = new(StringComparer.Ordinal)
        {
            ["external_pid_file"] = "",
            ["unix_socket_permissions"] = "0700",
            ["superuser_reserved_connections"] = "1",
            ["ssl"] = "off",
            ["bonjour"] = "off",
            // "on" is no start where there are none (sysv_shmem.c, CreateAnonymousSegment), and those that there are belong to production.
            ["huge_pages"] = "off",
            ["archive_mode"] = "off",
            ["primary_conninfo"] = "",
            ["primary_slot_name"] = "",
            ["synchronous_standby_names"] = "",
            ["max_logical_replication_workers"] = "0",
            // Where pg_cron is not loaded it is a name that nobody reads.
            ["cron.launch_active_jobs"] = "off",
            ["session_preload_libraries"] = "",
            ["local_preload_libraries"] = "",
            ["logging_collector"] = "off",
            ["log_destination"] = "stderr",
        };
        if (major >= 17)
        {
            // Triggers on login came with 17, and the setting with them.
            settings["event_triggers"] = "off";
            // Neither are slots of a primary fetched, nor do logical senders wait for standbys that do not follow this server (slot.c,
            // StandbySlotsHaveCaughtup).
            settings["sync_replication_slots"] = "off";
            settings["synchronized_standby_slots"] = "";
        }

        if (major >= 18)
        {
            // io_uring, which the primary may use, is missing from many builds and forbidden in many containers: no start with it.
            settings["io_method"] = "worker";
        }

        return settings;
    }

    /// <summary>The settings of the server once it is recovered.</summary>
    /// <param name="dataDirectory">Its data directory.</param>
    /// <param name="major">Its major version.</param>
    /// <param name="preloadLibraries">What it loads at its start; null = as it is configured.</param>
    internal Dictionary<string, string> Settings(string dataDirectory, int major, string? preloadLibraries)
    {
        Dictionary<string, string> settings = Common(major);
        settings["data_directory"] = dataDirectory;
        settings["hba_file"] = Path.Combine(dataDirectory, AccessFileName);
        settings["ident_file"] = Path.Combine(dataDirectory, IdentitiesFileName);
        settings["listen_addresses"] = ListenLocally ? "127.0.0.1" : "";
        settings["unix_socket_directories"] = dataDirectory;
        settings["port"] = Port.ToString(CultureInfo.InvariantCulture);
        if (ReadOnly)
        {
            settings["default_transaction_read_only"] = "on";
        }

        if (preloadLibraries is not null)
        {
            settings["shared_preload_libraries"] = preloadLibraries;
        }

        return settings;
    }

    /// <summary>
    /// Makes the isolation a part of the cluster, so that it holds whoever starts it, and however: the files that say who comes in, and the
    /// settings at the end of the configuration that is read last.
    /// </summary>
    internal void Persist(string dataDirectory, IReadOnlyDictionary<string, string> settings, Action<string, string> write)
    {
        // The directory of the socket is open to the account alone.
        write(Path.Combine(dataDirectory, AccessFileName), "local all all trust\n" + (ListenLocally ? "host all all 127.0.0.1/32 scram-sha-256\n" : ""));
        write(Path.Combine(dataDirectory, IdentitiesFileName), "");
        string path = Path.Combine(dataDirectory, RecoveryConfiguration.FileName);
        write(path, RecoveryConfiguration.AddIsolation(
            File.Exists(path) ? LosslessText.ReadFile(path) : "",
            // The file cannot say where it lies itself.
            settings.Where(static s => s.Key != "data_directory")));
    }
}
