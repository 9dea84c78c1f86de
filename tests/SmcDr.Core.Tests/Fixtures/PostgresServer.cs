using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Npgsql;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres;
using SmcDr.Core.Recovery;

namespace SmcDr.Core.Tests.Fixtures;

/// <summary>
/// A real PostgreSQL server of its own for a test: new cluster with data checksums in a temporary directory, on a free loopback
/// port, TCP only, SCRAM passwords, superuser <c>postgres</c>. Everything that the tests do to it stays in its directory.
/// </summary>
/// <example>
/// <code>
/// await using PostgresServer server = await PostgresServer.StartAsync(new() { Settings = new Dictionary&lt;string, string&gt; { ["wal_keep_size"] = "64MB" } });
/// await server.ExecuteAsync("CREATE TABLE t (id int)");
/// PostgresConnector connector = server.CreateConnector();   // what the engine takes
/// await server.KillAsync();                                 // kill -9 of every process
/// await server.ResumeAsync();                               // crash recovery
/// </code>
/// For one server per test class use <see cref="PostgresServerFixture"/>.
/// </example>
public sealed class PostgresServer : IAsyncDisposable
{
    private static readonly ConcurrentDictionary<PostgresServer, bool> s_running = new();
    private readonly PostgresServerOptions _options;
    private readonly Dictionary<string, string> _settings;
    private string _initialConfiguration = "";

    static PostgresServer()
    {
        // A test run that is ended from outside must not leave servers behind.
        AppDomain.CurrentDomain.ProcessExit += static (_, _) =>
        {
            foreach (PostgresServer server in s_running.Keys)
            {
                server.KillProcesses();
            }
        };
    }

    private PostgresServer(PostgresServerOptions options)
    {
        _options = options;
        RootDirectory = PostgresPrograms.CreateDirectory();
        DataDirectory = options.ExistingDataDirectory ?? Path.Combine(RootDirectory, "data");
        LogPath = Path.Combine(RootDirectory, "server.log");
        Password = options.Password ?? Convert.ToHexString(RandomNumberGenerator.GetBytes(12));
        _settings = new(StringComparer.Ordinal)
        {
            ["listen_addresses"] = "127.0.0.1",
            ["unix_socket_directories"] = "",
            // In files of the data directory: they go with it when a test kills the server.
            ["dynamic_shared_memory_type"] = "mmap",
            ["max_connections"] = "50",
            ["shared_buffers"] = "16MB",
            ["log_min_messages"] = "info",
            ["log_line_prefix"] = "%m [%p] ",
            ["log_timezone"] = "UTC",
            ["fsync"] = options.Fsync ? "on" : "off",
        };
        foreach ((string name, string value) in options.Settings)
        {
            _settings[name] = value;
        }
    }

    /// <summary>Where the server's directory, log and certificate are. Removed when the server is disposed of.</summary>
    public string RootDirectory { get; }

    /// <summary>The data directory.</summary>
    public string DataDirectory { get; }

    /// <summary>The server's log.</summary>
    public string LogPath { get; }

    /// <summary>The loopback port.</summary>
    public int Port { get; private set; }

    /// <summary>The password of the superuser <c>postgres</c>.</summary>
    public string Password { get; }

    /// <summary>The process id of the postmaster while the server runs.</summary>
    public int? ProcessId { get; private set; }

    /// <summary>The server's certificate in PEM form, where it has one: what a client trusts.</summary>
    public string? CertificatePath { get; private set; }

    /// <summary>An Npgsql connection string for superuser and database <c>postgres</c>, without password.</summary>
    public string ConnectionString
    {
        get
        {
            NpgsqlConnectionStringBuilder builder = new()
            {
                Host = "127.0.0.1",
                Port = Port,
                Username = "postgres",
                Database = "postgres",
                SslMode = CertificatePath is null ? SslMode.Disable : SslMode.VerifyFull,
            };
            if (CertificatePath is not null)
            {
                builder.RootCertificate = CertificatePath;
            }

            return builder.ConnectionString;
        }
    }

    /// <summary>Creates a cluster and starts its server; returns when it takes connections.</summary>
    public static async Task<PostgresServer> StartAsync(PostgresServerOptions? options = null)
    {
        PostgresServer server = new(options ?? new PostgresServerOptions());
        try
        {
            await server.InitializeAsync();
            await server.ResumeAsync();
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>What the engine takes to reach this server.</summary>
    public PostgresConnector CreateConnector(string database = "postgres") =>
        new PostgresConnector(ConnectionString, _ => ValueTask.FromResult<string?>(Password)).WithDatabase(database);

    /// <summary>Opens a plain, unpooled connection as superuser. The caller disposes of it.</summary>
    public async Task<NpgsqlConnection> OpenAsync(string database = "postgres")
    {
        NpgsqlConnectionStringBuilder builder = new(ConnectionString) { Password = Password, Database = database, Pooling = false };
        NpgsqlConnection connection = new(builder.ConnectionString);
        await connection.OpenAsync();
        return connection;
    }

    /// <summary>Runs statements as superuser on a connection of their own, and returns how many rows they changed.</summary>
    public async Task<int> ExecuteAsync(string sql, string database = "postgres")
    {
        await using NpgsqlConnection connection = await OpenAsync(database);
        await using NpgsqlCommand command = new(sql, connection) { CommandTimeout = 0 };
        return await command.ExecuteNonQueryAsync();
    }

    /// <summary>Runs a query as superuser on a connection of its own, and returns the first value of its first row.</summary>
    public async Task<T> ScalarAsync<T>(string sql, string database = "postgres")
    {
        await using NpgsqlConnection connection = await OpenAsync(database);
        await using NpgsqlCommand command = new(sql, connection) { CommandTimeout = 0 };
        return (T)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>Starts the server again after <see cref="StopAsync"/> or <see cref="KillAsync"/>, on the same port; returns when it takes connections.</summary>
    public async Task ResumeAsync()
    {
        for (int attempt = 1; ; attempt++)
        {
            if (Port == 0)
            {
                Port = FreePort();
            }

            if (_options.ExistingDataDirectory is null)
            {
                await WriteConfigurationAsync();
            }

            List<string> arguments = ["start", "-w", "-t", "120", "-s", "-D", DataDirectory, "-l", LogPath];
            if (_options.ExistingDataDirectory is not null)
            {
                arguments.Add("-o");
                arguments.Add(string.Join(' ', AllSettings().Select(static s => $"-c {ShellQuote($"{s.Key}={s.Value}")}")));
            }

            (int exitCode, string output, string error) = await PostgresPrograms.TryRunAsync("pg_ctl", arguments);
            if (exitCode == 0)
            {
                string[] lines = await File.ReadAllLinesAsync(Path.Combine(DataDirectory, "postmaster.pid"));
                ProcessId = int.Parse(lines[0], CultureInfo.InvariantCulture);
                s_running[this] = true;
                return;
            }

            string log = await ReadLogAsync();
            KillProcesses();
            // Between choosing the port and the server's bind somebody else may have taken it.
            if (attempt == 5 || !log.Contains("Address already in use", StringComparison.Ordinal))
            {
                throw new InvalidOperationException($"The server in {DataDirectory} does not start: {output}{error}\n{log}");
            }

            File.Delete(LogPath);
            Port = 0;
        }
    }

    /// <summary>Stops the server: <c>smart</c>, <c>fast</c> (clean) or <c>immediate</c> (as in a crash, but orderly).</summary>
    public async Task StopAsync(string mode = "fast")
    {
        await PostgresPrograms.RunAsync("pg_ctl", ["stop", "-w", "-t", "120", "-s", "-m", mode, "-D", DataDirectory]);
        ProcessId = null;
        s_running.TryRemove(this, out _);
    }

    /// <summary>Stops the server cleanly and starts it again, with settings changed.</summary>
    public async Task RestartAsync(IReadOnlyDictionary<string, string>? settings = null)
    {
        await StopAsync();
        foreach ((string name, string value) in settings ?? new Dictionary<string, string>())
        {
            _settings[name] = value;
        }

        await ResumeAsync();
    }

    /// <summary>kill -9 of the postmaster and every backend at once; returns when all are gone.</summary>
    public Task KillAsync()
    {
        if (ProcessId is null)
        {
            throw new InvalidOperationException("The server does not run.");
        }

        KillProcesses();
        return Task.CompletedTask;
    }

    /// <summary>The same of whatever works in the data directory, whoever started it; nothing where nobody does.</summary>
    public void KillAny() => KillProcesses();

    /// <summary>What the server has logged.</summary>
    public async Task<string> ReadLogAsync() => File.Exists(LogPath) ? await File.ReadAllTextAsync(LogPath) : "";

    /// <summary>Kills what still runs and removes the directory.</summary>
    public ValueTask DisposeAsync()
    {
        KillProcesses();
        if (Directory.Exists(RootDirectory))
        {
            Directory.Delete(RootDirectory, recursive: true);
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>A loopback port that nobody listens on at this moment.</summary>
    public static int FreePort()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private async Task InitializeAsync()
    {
        if (_options.Tls)
        {
            await CreateCertificateAsync();
        }

        if (_options.ExistingDataDirectory is not null)
        {
            return;
        }

        string passwordFile = Path.Combine(RootDirectory, "password");
        await File.WriteAllTextAsync(passwordFile, Password + "\n");
        PostgresPrograms.GiveToServer(passwordFile);
        List<string> arguments =
        [
            "-D", DataDirectory, "-U", "postgres", "-A", "scram-sha-256", $"--pwfile={passwordFile}", "-E", "UTF8", "--no-locale",
            "--no-sync", "--no-instructions", $"--wal-segsize={_options.WalSegmentMegabytes.ToString(CultureInfo.InvariantCulture)}",
        ];
        // PostgreSQL 18 turned checksums on by default and brought the option to turn them off.
        if (_options.DataChecksums)
        {
            arguments.Add("--data-checksums");
        }
        else if (await MajorVersionAsync() >= 18)
        {
            arguments.Add("--no-data-checksums");
        }

        await PostgresPrograms.RunAsync("initdb", arguments);
        File.Delete(passwordFile);
        _initialConfiguration = await File.ReadAllTextAsync(Path.Combine(DataDirectory, "postgresql.conf"));
    }

    private static async Task<int> MajorVersionAsync()
    {
        string version = await PostgresPrograms.RunAsync("postgres", ["--version"]);
        string number = version.Split(' ').First(static word => word.Length > 0 && char.IsAsciiDigit(word[0]));
        return int.Parse(string.Concat(number.TakeWhile(char.IsAsciiDigit)), CultureInfo.InvariantCulture);
    }

    private IEnumerable<KeyValuePair<string, string>> AllSettings() =>
        _settings.Append(new("port", Port.ToString(CultureInfo.InvariantCulture)));

    private async Task WriteConfigurationAsync()
    {
        string path = Path.Combine(DataDirectory, "postgresql.conf");
        string settings = string.Concat(AllSettings().Select(
            static s => $"{s.Key} = '{s.Value.Replace("'", "''", StringComparison.Ordinal)}'\n"));
        // Written in place, so that the file keeps its owner.
        await File.WriteAllTextAsync(path, $"{_initialConfiguration}\n{settings}");
    }

    private async Task CreateCertificateAsync()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new("CN=localhost", key, HashAlgorithmName.SHA256);
        SubjectAlternativeNameBuilder names = new();
        names.AddDnsName("localhost");
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        // The certificate is its own authority, so that a client can trust it by name.
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        DateTimeOffset now = DateTimeOffset.UtcNow;
        using X509Certificate2 certificate = request.CreateSelfSigned(now.AddHours(-1), now.AddDays(2));

        CertificatePath = Path.Combine(RootDirectory, "server.crt");
        string keyPath = Path.Combine(RootDirectory, "server.key");
        await File.WriteAllTextAsync(CertificatePath, certificate.ExportCertificatePem() + "\n");
        FileStreamOptions options = new()
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        };
        await using (StreamWriter writer = new(keyPath, options))
        {
            await writer.WriteAsync(key.ExportPkcs8PrivateKeyPem() + "\n");
        }

        PostgresPrograms.GiveToServer(CertificatePath);
        PostgresPrograms.GiveToServer(keyPath);
        _settings["ssl"] = "on";
        _settings["ssl_cert_file"] = CertificatePath;
        _settings["ssl_key_file"] = keyPath;
    }

    private static string ShellQuote(string text) => $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    /// <summary>
    /// Kills every process of this server and of no other: they all work in the data directory. The number in postmaster.pid
    /// alone would not do, since it may belong to somebody else by now.
    /// </summary>
    private void KillProcesses()
    {
        // What a killed postmaster leaves is taken by the next start in the directory only, and a test's directory is removed.
        int? memory = HostServer.FindSharedMemory(DataDirectory);
        bool killed = false;
        while (ServerProcesses() is { Count: > 0 } processes)
        {
            killed = true;

            // The postmaster first: it would start the others again.
            foreach (int id in processes.OrderByDescending(id => id == ProcessId))
            {
                try
                {
                    using Process process = Process.GetProcessById(id);
                    process.Kill();
                    process.WaitForExit(TimeSpan.FromSeconds(30));
                }
                catch (ArgumentException)
                {
                    // It ended by itself.
                }
            }
        }

        if (killed && memory is { } segment)
        {
            Posix.RemoveSharedMemory(segment);
        }

        ProcessId = null;
        s_running.TryRemove(this, out _);
    }

    private List<int> ServerProcesses()
    {
        List<int> result = [];
        string data = Path.GetFullPath(DataDirectory);
        foreach (string path in Directory.GetDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(path), NumberStyles.None, CultureInfo.InvariantCulture, out int id))
            {
                continue;
            }

            try
            {
                string? work = File.ResolveLinkTarget(Path.Combine(path, "cwd"), returnFinalTarget: false)?.FullName;
                if (work == data)
                {
                    result.Add(id);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Ended meanwhile, or somebody else's.
            }
        }

        return result;
    }
}
