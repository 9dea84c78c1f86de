using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Redis;

/// <summary>
/// A real Redis server of its own for a test: an empty directory, a free loopback port, no save points, no append-only file, and
/// nothing of the machine's configuration. It ends with the tests, and its directory with it.
/// </summary>
/// <example>
/// <code>
/// await using RedisServer server = await RedisServer.StartAsync();
/// await server.ExecuteAsync("SET", "key", new byte[] { 0, 255 });
/// byte[] file = await server.SaveAsync();                     // what BGSAVE writes
/// string text = await server.CliAsync("-n", "3", "DBSIZE");   // redis-cli
/// await server.KillAsync();
/// await server.ResumeAsync();
/// </code>
/// </example>
public sealed class RedisServer : IAsyncDisposable
{
    private static readonly ConcurrentDictionary<RedisServer, bool> s_running = new();
    private readonly RedisServerOptions _options;
    private Process? _process;
    private RedisTestClient? _client;

    static RedisServer()
    {
        // A test run that is ended from outside must not leave servers behind.
        AppDomain.CurrentDomain.ProcessExit += static (_, _) =>
        {
            foreach (RedisServer server in s_running.Keys)
            {
                server._process?.Kill();
            }
        };
    }

    private RedisServer(RedisServerOptions options)
    {
        _options = options;
        RootDirectory = Directory.CreateTempSubdirectory("smcdr-test-redis-").FullName;
        DataDirectory = Directory.CreateDirectory(Path.Combine(RootDirectory, "data")).FullName;
    }

    /// <summary>Where everything of this server is. Removed when the server is disposed of.</summary>
    public string RootDirectory { get; }

    /// <summary>The server's <c>dir</c>.</summary>
    public string DataDirectory { get; }

    /// <summary>The file that <c>SAVE</c> and <c>BGSAVE</c> write.</summary>
    public string DumpPath => Path.Combine(DataDirectory, "dump.rdb");

    /// <summary>The server's configuration file.</summary>
    public string ConfigurationPath => Path.Combine(RootDirectory, "redis.conf");

    /// <summary>The server's log.</summary>
    public string LogPath => Path.Combine(RootDirectory, "server.log");

    /// <summary>The loopback port; with <see cref="RedisServerOptions.Tls"/> that of TLS.</summary>
    public int Port { get; private set; }

    /// <summary>The server's certificate in PEM form, where it has one: what a client trusts. It is for <c>localhost</c> and 127.0.0.1.</summary>
    public string? CertificatePath { get; private set; }

    /// <summary>The server's program.</summary>
    public string Program => ServerProgram();

    /// <summary>The process id while the server runs.</summary>
    public int? ProcessId => _process is { HasExited: false } process ? process.Id : null;

    /// <summary>Starts a server; returns when it answers.</summary>
    public static async Task<RedisServer> StartAsync(RedisServerOptions? options = null)
    {
        RedisServer server = new(options ?? new RedisServerOptions());
        try
        {
            if (server._options.Tls)
            {
                await server.CreateCertificateAsync();
            }

            await server.ResumeAsync();
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts the server again after <see cref="StopAsync"/> or <see cref="KillAsync"/>, on the same port; returns when it answers.</summary>
    public async Task ResumeAsync()
    {
        if (ProcessId is not null)
        {
            throw new InvalidOperationException("The server runs already.");
        }

        for (int attempt = 1; ; attempt++)
        {
            if (Port == 0)
            {
                Port = PostgresServer.FreePort();
            }

            await WriteConfigurationAsync();
            _process?.Dispose();
            _process = Process.Start(new ProcessStartInfo(ServerProgram(), _options.IsSentinel ? [ConfigurationPath, "--sentinel"] : [ConfigurationPath])
            {
                WorkingDirectory = RootDirectory,
                RedirectStandardError = true,
            })!;
            // What is wrong with the configuration is said here, before there is a log.
            Task<string> complaint = _process.StandardError.ReadToEndAsync();
            s_running[this] = true;
            if (await WaitUntilReadyAsync())
            {
                return;
            }

            string log = await ReadLogAsync();
            // Between choosing the port and the server's bind somebody else may have taken it.
            if (attempt == 5 || !log.Contains("Address already in use", StringComparison.Ordinal))
            {
                throw new InvalidOperationException($"The server in {DataDirectory} does not start:\n{await complaint}{log}");
            }

            File.Delete(LogPath);
            Port = 0;
        }
    }

    /// <summary>
    /// Sends one command and returns its reply: <c>byte[]</c>, <c>string</c> (a status), <c>long</c>, <c>object?[]</c> or null. Arguments
    /// are <c>string</c> (UTF-8), <c>byte[]</c> or numbers. All commands share one connection, so <c>SELECT</c> stays.
    /// </summary>
    /// <exception cref="RedisTestException">The server answered with an error.</exception>
    public async Task<object?> ExecuteAsync(params object[] arguments)
    {
        _client ??= await ConnectAsync();
        return await _client.ExecuteAsync(arguments);
    }

    /// <summary>Sends commands at once on the same connection and returns their replies.</summary>
    /// <exception cref="RedisTestException">The server answered one of them with an error.</exception>
    public async Task<object?[]> ExecuteManyAsync(IReadOnlyList<object[]> commands)
    {
        _client ??= await ConnectAsync();
        object?[] replies = await _client.ExecuteManyAsync(commands);
        return replies.OfType<RedisTestException>().FirstOrDefault() is { } error ? throw error : replies;
    }

    /// <summary>Opens a connection of the tests' own, authenticated as the user <c>default</c>. The caller disposes of it.</summary>
    public async Task<RedisTestClient> ConnectAsync()
    {
        TcpClient tcp = new() { NoDelay = true };
        try
        {
            await tcp.ConnectAsync("127.0.0.1", Port);
            Stream stream = tcp.GetStream();
            if (CertificatePath is not null)
            {
                X509ChainPolicy policy = new()
                {
                    TrustMode = X509ChainTrustMode.CustomRootTrust,
                    RevocationMode = X509RevocationMode.NoCheck,
                };
                policy.CustomTrustStore.ImportFromPemFile(CertificatePath);
                SslStream tls = new(stream);
                await tls.AuthenticateAsClientAsync(
                    new SslClientAuthenticationOptions { TargetHost = "localhost", CertificateChainPolicy = policy });
                stream = tls;
            }

            RedisTestClient client = new(tcp, stream);
            if (_options.Password is { } password)
            {
                await client.ExecuteAsync("AUTH", password);
            }

            return client;
        }
        catch
        {
            tcp.Dispose();
            throw;
        }
    }

    /// <summary>Runs redis-cli against this server and returns what it printed.</summary>
    /// <exception cref="InvalidOperationException">It failed, or the server answered with an error.</exception>
    public async Task<string> CliAsync(params string[] arguments)
    {
        List<string> all = ["-p", Port.ToString(CultureInfo.InvariantCulture), "-e", "--no-auth-warning"];
        if (CertificatePath is not null)
        {
            all.AddRange(["--tls", "--cacert", CertificatePath]);
        }

        ProcessStartInfo start = new("redis-cli", all.Concat(arguments))
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        if (_options.Password is { } password)
        {
            start.Environment["REDISCLI_AUTH"] = password;
        }

        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0
            ? output
            : throw new InvalidOperationException($"redis-cli ended with {process.ExitCode}:\n{output}\n{await error}");
    }

    /// <summary>Has a child of the server write the file, and returns its bytes.</summary>
    public async Task<byte[]> SaveAsync()
    {
        // BGSAVE answers when the child runs. rdb_saves does not say when it is done: it counts saves that began.
        await ExecuteAsync("BGSAVE");
        while (await InfoNumberAsync("persistence", "rdb_bgsave_in_progress") != 0)
        {
            await Task.Delay(10);
        }

        if (!(await InfoAsync("persistence")).Contains("rdb_last_bgsave_status:ok", StringComparison.Ordinal))
        {
            throw new InvalidOperationException($"BGSAVE failed:\n{await ReadLogAsync()}");
        }

        return await File.ReadAllBytesAsync(DumpPath);
    }

    /// <summary>A section of <c>INFO</c>.</summary>
    public async Task<string> InfoAsync(string section) =>
        System.Text.Encoding.UTF8.GetString((byte[])(await ExecuteAsync("INFO", section))!);

    /// <summary>A number of a section of <c>INFO</c>.</summary>
    public async Task<long> InfoNumberAsync(string section, string name)
    {
        string line = (await InfoAsync(section)).Split("\r\n").Single(line => line.StartsWith(name + ":", StringComparison.Ordinal));
        return long.Parse(line[(name.Length + 1)..], CultureInfo.InvariantCulture);
    }

    /// <summary>Ends the server in order, without saving unless asked for; returns when it is gone.</summary>
    public async Task StopAsync(bool save = false)
    {
        Process process = _process ?? throw new InvalidOperationException("The server does not run.");
        await using (RedisTestClient client = await ConnectAsync())
        {
            try
            {
                await client.ExecuteAsync("SHUTDOWN", save ? "SAVE" : "NOSAVE");
            }
            catch (IOException)
            {
                // The answer to SHUTDOWN is the end of the connection.
            }
        }

        await process.WaitForExitAsync();
        await ForgetAsync();
    }

    /// <summary>kill -9; returns when the server is gone.</summary>
    public async Task KillAsync()
    {
        Process process = _process ?? throw new InvalidOperationException("The server does not run.");
        process.Kill();
        await process.WaitForExitAsync();
        await ForgetAsync();
    }

    /// <summary>What the server has logged.</summary>
    public async Task<string> ReadLogAsync() => File.Exists(LogPath) ? await File.ReadAllTextAsync(LogPath) : "";

    /// <summary>Kills the server if it still runs, and removes the directory.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            if (!_process.HasExited)
            {
                _process.Kill();
            }

            await _process.WaitForExitAsync();
            await ForgetAsync();
        }

        if (Directory.Exists(RootDirectory))
        {
            Directory.Delete(RootDirectory, recursive: true);
        }
    }

    private async Task ForgetAsync()
    {
        if (_client is not null)
        {
            await _client.DisposeAsync();
            _client = null;
        }

        _process?.Dispose();
        _process = null;
        s_running.TryRemove(this, out _);
    }

    private async Task WriteConfigurationAsync()
    {
        string port = Port.ToString(CultureInfo.InvariantCulture);
        Dictionary<string, string> settings = new(StringComparer.Ordinal)
        {
            ["bind"] = "127.0.0.1",
            ["port"] = CertificatePath is null ? port : "0",
            ["dir"] = DataDirectory,
            ["logfile"] = LogPath,
            ["daemonize"] = "no",
            ["save"] = "\"\"",
            ["appendonly"] = "no",
            // What a replica waits for before a save without a file begins: nobody else will come.
            ["repl-diskless-sync-delay"] = "0",
            ["enable-debug-command"] = "local",
        };
        if (CertificatePath is not null)
        {
            settings["tls-port"] = port;
            settings["tls-cert-file"] = CertificatePath;
            settings["tls-key-file"] = Path.ChangeExtension(CertificatePath, ".key");
            settings["tls-auth-clients"] = "no";
        }

        if (_options.Password is { } password)
        {
            settings["requirepass"] = $"\"{password}\"";
        }

        foreach ((string name, string value) in _options.Settings)
        {
            settings[name] = value;
        }

        IEnumerable<string> lines = settings.Select(static setting => $"{setting.Key} {setting.Value}").Concat(_options.Lines);
        await File.WriteAllLinesAsync(ConfigurationPath, lines);
    }

    /// <summary>False if the server ended before it answered.</summary>
    private async Task<bool> WaitUntilReadyAsync()
    {
        Stopwatch watch = Stopwatch.StartNew();
        while (!_process!.HasExited)
        {
            try
            {
                await using RedisTestClient client = await ConnectAsync();
                await client.ExecuteAsync("PING");
                return true;
            }
            catch (Exception exception) when (exception is SocketException or IOException or RedisTestException)
            {
                // It does not listen yet, or is still loading.
                if (watch.Elapsed > TimeSpan.FromMinutes(2))
                {
                    throw new InvalidOperationException($"The server is not ready after two minutes:\n{await ReadLogAsync()}", exception);
                }
            }

            await Task.Delay(20);
        }

        return false;
    }

    /// <summary>
    /// Debian's server program is the program that redis-tools brings under the name redis-check-rdb, called by another name; with
    /// redis-tools alone there is no service on the machine.
    /// </summary>
    private string ServerProgram()
    {
        string[] directories = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator);
        string? Find(string name) => directories.Select(directory => Path.Combine(directory, name)).FirstOrDefault(File.Exists);
        if (Find("redis-server") is { } server)
        {
            return server;
        }

        string link = Path.Combine(RootDirectory, "redis-server");
        if (!File.Exists(link))
        {
            File.CreateSymbolicLink(link, Find("redis-check-rdb") ?? throw new InvalidOperationException(
                "Redis is not on this machine; './build.sh test' installs what its tests need."));
        }

        return link;
    }

    private async Task CreateCertificateAsync()
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new("CN=localhost", key, HashAlgorithmName.SHA256);
        SubjectAlternativeNameBuilder names = new();
        names.AddDnsName("localhost");
        names.AddIpAddress(System.Net.IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        // The certificate is its own authority, so that a client can trust it by name.
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        DateTimeOffset now = DateTimeOffset.UtcNow;
        using X509Certificate2 certificate = request.CreateSelfSigned(now.AddHours(-1), now.AddDays(2));
        CertificatePath = Path.Combine(RootDirectory, "server.crt");
        await File.WriteAllTextAsync(CertificatePath, certificate.ExportCertificatePem() + "\n");
        await File.WriteAllTextAsync(Path.ChangeExtension(CertificatePath, ".key"), key.ExportPkcs8PrivateKeyPem() + "\n");
    }
}
