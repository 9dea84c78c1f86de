using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Dns;

/// <summary>
/// A real DNS server of its own for a test: dnsmasq, which answers authoritatively for <c>example.test</c> on a free loopback port, and knows
/// nothing of the machine's configuration. It ends with the tests.
/// </summary>
/// <example><code>await using DnsmasqServer server = await DnsmasqServer.StartAsync("--cname=api.example.test,west.example.test,60");</code></example>
internal sealed class DnsmasqServer : IAsyncDisposable
{
    public const string Zone = "example.test";

    private static readonly ConcurrentDictionary<Process, bool> s_running = new();
    private readonly Process _process;

    static DnsmasqServer()
    {
        // A test run that is ended from outside must not leave servers behind.
        AppDomain.CurrentDomain.ProcessExit += static (_, _) =>
        {
            foreach (Process process in s_running.Keys)
            {
                process.Kill();
            }
        };
    }

    private DnsmasqServer(Process process, int port)
    {
        _process = process;
        Port = port;
        s_running[process] = true;
    }

    public int Port { get; }

    /// <summary>Host and port, as a site file names a server.</summary>
    public string Endpoint => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{Port}");

    public IPEndPoint Address => new(IPAddress.Loopback, Port);

    /// <summary>Starts a server with records, given as dnsmasq's own options.</summary>
    public static Task<DnsmasqServer> StartAsync(params string[] records) => StartAsync(PostgresServer.FreePort(), records);

    /// <summary>The same at a port.</summary>
    public static async Task<DnsmasqServer> StartAsync(int port, string[] records)
    {
        ProcessStartInfo info = new(Find())
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        string[] arguments =
        [
            "--conf-file=/dev/null", "--keep-in-foreground", "--log-facility=-", "--pid-file=", "--no-resolv", "--no-hosts", "--bind-interfaces",
            "--listen-address=127.0.0.1", $"--port={port.ToString(CultureInfo.InvariantCulture)}", $"--auth-server=ns1.{Zone},127.0.0.1",
            $"--auth-zone={Zone}", $"--auth-soa=1,hostmaster.{Zone},7200,900,1209600", "--auth-ttl=60",
            .. Environment.IsPrivilegedProcess ? ["--user=root"] : Array.Empty<string>(),
            .. records,
        ];
        foreach (string argument in arguments)
        {
            info.ArgumentList.Add(argument);
        }

        Process process = Process.Start(info)!;
        DnsmasqServer server = new(process, port);
        Task<string> errors = process.StandardError.ReadToEndAsync();
        _ = process.StandardOutput.ReadToEndAsync();
        while (!await server.AcceptsAsync())
        {
            if (process.HasExited)
            {
                s_running.TryRemove(process, out _);
                throw new InvalidOperationException("dnsmasq ended: " + await errors);
            }

            await Task.Delay(10);
        }

        return server;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        await _process.WaitForExitAsync();
        s_running.TryRemove(_process, out _);
        _process.Dispose();
    }

    private static string Find() =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Append("/usr/sbin").Append("/usr/local/sbin")
            .Select(static folder => Path.Combine(folder, "dnsmasq")).FirstOrDefault(File.Exists)
        ?? throw new InvalidOperationException("dnsmasq is not on this machine; './build.sh test' installs it.");

    private async Task<bool> AcceptsAsync()
    {
        try
        {
            using TcpClient client = new();
            await client.ConnectAsync(Address);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
