using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using SmcDr.Core.Redis;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;

namespace SmcDr.Core.Tests.Redis;

public sealed class RedisConnectionTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ExecuteAsync_BothProtocols_MeanTheSame(bool resp3)
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await server.ExecuteAsync("HSET", "h", "a", "1");
        await server.ExecuteAsync("ZADD", "z", "1.5", "m");
        await using RedisConnection connection = await Connector(server).OpenAsync(resp3, CancellationToken.None);
        RedisReply hash = await connection.ExecuteAsync(new RedisCommand("HGETALL", "h"), CancellationToken.None);
        Assert.Equal(resp3 ? RedisReplyKind.Map : RedisReplyKind.Array, hash.Kind);
        Assert.Equal(["a", "1"], hash.Items.Select(static item => item.Text));
        RedisReply score = await connection.ExecuteAsync(new RedisCommand("ZSCORE", "z", "m"), CancellationToken.None);
        Assert.Equal(resp3 ? RedisReplyKind.Double : RedisReplyKind.Text, score.Kind);
        Assert.Equal(1.5, score.Double);
        Assert.True((await connection.ExecuteAsync(new RedisCommand("GET", "none"), CancellationToken.None)).IsNull);
        Assert.Equal("7.0.15", (await RedisSource.ReadInfoAsync(connection, CancellationToken.None)).Version);
        Assert.Equal(resp3 ? "smcdr" : "", (await connection.ExecuteAsync(new RedisCommand("CLIENT", "GETNAME"), CancellationToken.None)).Text);
    }

    [Fact]
    public async Task ExecuteManyAsync_MoreThanAnyBuffer_KeepsTheOrderAndTheErrors()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await using RedisConnection connection = await Connector(server).OpenAsync(CancellationToken.None);
        byte[] value = new byte[100_000];
        RandomNumberGenerator.Fill(value);
        // 20 MB there and 20 MB back, which no socket buffers: written without reading, both sides would wait for ever.
        List<RedisCommand> commands = [];
        for (int i = 0; i < 200; i++)
        {
            commands.Add(new RedisCommand("ECHO", (byte[])[.. BitConverter.GetBytes(i), .. value]));
            commands.Add(new RedisCommand("NOSUCH", i));
        }

        RedisReply[] replies = await connection.ExecuteManyAsync(commands, CancellationToken.None);
        for (int i = 0; i < 200; i++)
        {
            Assert.Equal(i, BitConverter.ToInt32(replies[2 * i].Bytes.Span));
            Assert.True(replies[2 * i].Bytes.Span[4..].SequenceEqual(value));
            Assert.True(RedisErrors.IsUnknown(replies[(2 * i) + 1]));
        }
    }

    [Fact]
    public async Task ReadReplyAsync_PushBetweenReplies_IsPassedOver()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await using RedisConnection connection = await Connector(server).OpenAsync(CancellationToken.None);
        await connection.ExecuteAsync(new RedisCommand("CLIENT", "TRACKING", "on", "BCAST"), CancellationToken.None);
        await server.ExecuteAsync("SET", "tracked", "1");
        // The message about the key lies before this reply.
        Assert.Equal("1", (await connection.ExecuteAsync(new RedisCommand("GET", "tracked"), CancellationToken.None)).Text);
        Assert.Equal("PONG", (await connection.ExecuteAsync(new RedisCommand("PING"), CancellationToken.None)).Text);
    }

    /// <summary>While much comes, nobody is woken for little; at the end, and after a pause, somebody must be.</summary>
    [Fact]
    public async Task ReadBytesAsync_FewBytesAfterMany_ArriveWhileTheServerStays()
    {
        const int Pieces = 40;
        byte[] piece = new byte[16 << 10];
        TaskCompletionSource taken = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using ScriptedServer server = new(async (command, stream, token) =>
        {
            if (command[0] != "GO")
            {
                await ScriptedServer.SendAsync(stream, "-ERR unknown command 'HELLO'\r\n", token);
                return true;
            }

            for (int i = 0; i < Pieces; i++)
            {
                await stream.WriteAsync(piece, token);
            }

            await taken.Task.WaitAsync(token);
            await stream.WriteAsync("end"u8.ToArray(), token);
            await done.Task.WaitAsync(token);
            return false;
        });
        RedisConnector connector = new(server.Endpoint, new RedisConnectorOptions { IdleTimeout = TimeSpan.FromSeconds(20) });
        await using RedisConnection connection = await connector.OpenAsync(resp3: false, CancellationToken.None);
        connection.Write(new RedisCommand("GO"));
        await connection.FlushAsync(CancellationToken.None);
        byte[] room = new byte[1 << 20];
        int length = 0;
        while (length < Pieces * piece.Length)
        {
            length += await connection.ReadBytesAsync(room, CancellationToken.None);
        }

        Assert.Equal(Pieces * piece.Length, length);
        ValueTask<int> last = connection.ReadBytesAsync(room, CancellationToken.None);
        taken.SetResult();
        Assert.Equal(3, await last);
        ValueTask<int> end = connection.ReadBytesAsync(room, CancellationToken.None);
        done.SetResult();
        Assert.Equal(0, await end);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task OpenAsync_Passwords_AreUsedAndNeverRepeated(bool resp3)
    {
        await using RedisServer server = await RedisServer.StartAsync(new RedisServerOptions
        {
            Password = "hunter2 hunter3", Lines = ["user backup on \">pass word\" -@all +ping", "user off off nopass +@all", "user open on nopass +@all"],
        });
        await PingAsync(Connector(server, password: "hunter2 hunter3"));
        await PingAsync(Connector(server, new RedisConnectorOptions { Username = "backup" }, "pass word"));
        await PingAsync(Connector(server, new RedisConnectorOptions { Username = "open" }));
        await FailsAsync(Connector(server), SmcErrorCode.AuthenticationFailed, "none was given");
        await FailsAsync(Connector(server, password: "secret-wrong"), SmcErrorCode.AuthenticationFailed, "default user");
        await FailsAsync(Connector(server, new RedisConnectorOptions { Username = "nobody" }, "secret-wrong"), SmcErrorCode.AuthenticationFailed, "'nobody'");
        await FailsAsync(Connector(server, new RedisConnectorOptions { Username = "off" }, "secret-wrong"), SmcErrorCode.AuthenticationFailed, "'off'");

        async Task PingAsync(RedisConnector connector)
        {
            await using RedisConnection connection = await connector.OpenAsync(resp3, CancellationToken.None);
            await connection.ExecuteAsync(new RedisCommand("PING"), CancellationToken.None);
        }

        async Task FailsAsync(RedisConnector connector, SmcErrorCode code, string named)
        {
            SmcException error = await code.ThrowsAsync(() => PingAsync(connector));
            Assert.Contains(named, error.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("secret-wrong", error.ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task OpenAsync_ServerWithoutHello_FallsBackAndKeepsThePasswordToItself()
    {
        await using ScriptedServer server = new(static async (command, stream, token) =>
        {
            // As Redis 5 answers: with what it was sent.
            await ScriptedServer.SendAsync(
                stream,
                command[0] == "PING" ? "+PONG\r\n" : $"-ERR unknown command `{command[0]}`, with args beginning with: {string.Join(", ", command.Skip(1).Select(static part => $"`{part}`"))}, \r\n",
                token);
            return true;
        });
        RedisConnector connector = new(server.Endpoint, null, static _ => ValueTask.FromResult<string?>("secret-word"));
        SmcException error = await SmcErrorCode.SettingUnsuitable.ThrowsAsync(() => connector.OpenAsync(CancellationToken.None));
        Assert.Equal(["HELLO 3 AUTH default secret-word SETNAME smcdr", "AUTH secret-word"], server.Commands);
        Assert.DoesNotContain("secret-word", error + error.Recommendation, StringComparison.Ordinal);

        await using RedisConnection connection = await new RedisConnector(server.Endpoint).OpenAsync(CancellationToken.None);
        Assert.Equal("PONG", (await connection.ExecuteAsync(new RedisCommand("PING"), CancellationToken.None)).Text);
    }

    [Fact]
    public async Task ExecuteAsync_RenamedCommands_AreCalledByTheirNewNames()
    {
        await using RedisServer server = await RedisServer.StartAsync(new RedisServerOptions
        {
            Lines = ["rename-command HELLO \"\"", "rename-command CONFIG hidden-config", "rename-command ECHO \"\""],
        });
        RedisConnectorOptions options = new()
        {
            RenamedCommands = new Dictionary<string, string> { ["config"] = "hidden-config", ["ECHO"] = "" },
        };
        await using RedisConnection connection = await Connector(server, options).OpenAsync(CancellationToken.None);
        Assert.Equal("dir", (await connection.ExecuteAsync(new RedisCommand("CONFIG", "GET", "dir"), CancellationToken.None)).Items[0].Text);
        Assert.False(connection.Knows("ECHO"));
        SmcException error = await SmcErrorCode.SettingUnsuitable.ThrowsAsync(() => connection.ExecuteAsync(new RedisCommand("ECHO", "x"), CancellationToken.None));
        Assert.Contains("rename-command", error.Message, StringComparison.Ordinal);

        await using RedisConnection other = await Connector(server).OpenAsync(CancellationToken.None);
        error = await SmcErrorCode.SettingUnsuitable.ThrowsAsync(() => other.ExecuteAsync(new RedisCommand("CONFIG", "GET", "dir"), CancellationToken.None));
        Assert.Contains("rename-command", error.Recommendation, StringComparison.Ordinal);
    }

    [Fact]
    public async Task OpenAsync_Tls_ChecksAuthorityAndName()
    {
        await using RedisServer server = await RedisServer.StartAsync(new RedisServerOptions { Tls = true, Password = "a password" });
        await using (RedisConnection connection = await Open(new RedisTlsOptions { CaFile = server.CertificatePath }))
        {
            // Larger than one record of TLS.
            byte[] value = RandomNumberGenerator.GetBytes(1_000_000);
            Assert.True((await connection.ExecuteAsync(new RedisCommand("ECHO", value), CancellationToken.None)).Bytes.Span.SequenceEqual(value));
        }

        SmcException error = await SmcErrorCode.AuthenticationFailed.ThrowsAsync(() => Open(new RedisTlsOptions()));
        Assert.Contains("not trusted", error.Message, StringComparison.Ordinal);
        error = await SmcErrorCode.AuthenticationFailed.ThrowsAsync(
            () => Open(new RedisTlsOptions { CaFile = server.CertificatePath, ServerName = "redis.example" }));
        Assert.Contains("not for 'redis.example'", error.Message, StringComparison.Ordinal);
        await SmcErrorCode.SecretUnavailable.ThrowsAsync(() => Open(new RedisTlsOptions { CaFile = "/no/such.crt" }));
        await SmcErrorCode.SecretUnavailable.ThrowsAsync(() => Open(new RedisTlsOptions { CaFile = server.ConfigurationPath }));

        // Without TLS towards a port that speaks nothing else.
        error = await SmcErrorCode.ServerUnavailable.ThrowsAsync(
            () => Connector(server, new RedisConnectorOptions { ConnectTimeout = TimeSpan.FromSeconds(5) }).OpenAsync(CancellationToken.None));
        Assert.Contains("TLS", error.Recommendation, StringComparison.Ordinal);

        Task<RedisConnection> Open(RedisTlsOptions tls) =>
            Connector(server, new RedisConnectorOptions { Tls = tls }, "a password").OpenAsync(CancellationToken.None);
    }

    [Fact]
    public async Task OpenAsync_TlsTowardsAPlainPort_SaysSo()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        SmcException error = await SmcErrorCode.ServerUnavailable.ThrowsAsync(() => Connector(
            server, new RedisConnectorOptions { Tls = new RedisTlsOptions(), ConnectTimeout = TimeSpan.FromSeconds(5) }).OpenAsync(CancellationToken.None));
        Assert.Contains("tls-port", error.Recommendation, StringComparison.Ordinal);
    }

    [Fact]
    public async Task OpenAsync_ServerAsksForACertificate_GetsOne()
    {
        using TemporaryDirectory directory = new();
        string certificateFile = Path.Combine(directory.Path, "client.crt");
        string keyFile = Path.Combine(directory.Path, "client.key");
        using (RSA key = RSA.Create(2048))
        {
            CertificateRequest request = new("CN=backup", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
            using X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddDays(1));
            await File.WriteAllTextAsync(certificateFile, certificate.ExportCertificatePem());
            await File.WriteAllTextAsync(keyFile, key.ExportPkcs8PrivateKeyPem());
        }

        await using RedisServer server = await RedisServer.StartAsync(new RedisServerOptions
        {
            Tls = true, Settings = new Dictionary<string, string> { ["tls-auth-clients"] = "optional", ["tls-ca-cert-file"] = certificateFile },
        });
        await server.ExecuteAsync("CONFIG", "SET", "tls-auth-clients", "yes");
        RedisTlsOptions tls = new() { CaFile = server.CertificatePath };
        SmcException error = await SmcErrorCode.ServerUnavailable.ThrowsAsync(() => Open(tls));
        Assert.Contains("client certificate", error.Recommendation, StringComparison.Ordinal);
        await using RedisConnection connection = await Open(tls with { CertificateFile = certificateFile, KeyFile = keyFile });
        Assert.Equal("PONG", (await connection.ExecuteAsync(new RedisCommand("PING"), CancellationToken.None)).Text);
        await SmcErrorCode.SecretUnavailable.ThrowsAsync(() => Open(tls with { CertificateFile = certificateFile, KeyFile = certificateFile }));

        Task<RedisConnection> Open(RedisTlsOptions options) =>
            Connector(server, new RedisConnectorOptions { Tls = options }).OpenAsync(CancellationToken.None);
    }

    [Fact]
    public async Task ExecuteAsync_NoAnswer_EndsInTimeAndTheConnectionWithIt()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await using RedisConnection connection = await Connector(server, new RedisConnectorOptions { CommandTimeout = TimeSpan.FromMilliseconds(300) })
            .OpenAsync(CancellationToken.None);
        SmcException error = await SmcErrorCode.OperationTimedOut.ThrowsAsync(
            () => connection.ExecuteAsync(new RedisCommand("BLPOP", "nothing", 0), CancellationToken.None));
        Assert.Contains("0.3 seconds", error.Message, StringComparison.Ordinal);

        // The answer to BLPOP may still come, and must not be taken for that to PING.
        await SmcErrorCode.ServerUnavailable.ThrowsAsync(() => connection.ExecuteAsync(new RedisCommand("PING"), CancellationToken.None));
    }

    [Fact]
    public async Task ExecuteAsync_Cancelled_EndsAtOnceAsCancelled()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await using RedisConnection connection = await Connector(server).OpenAsync(CancellationToken.None);
        using CancellationTokenSource stop = new();
        Task waiting = connection.ExecuteAsync(new RedisCommand("BLPOP", "nothing", 0), stop.Token);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        await SmcErrorCode.ServerUnavailable.ThrowsAsync(() => connection.ExecuteAsync(new RedisCommand("PING"), CancellationToken.None));
    }

    [Fact]
    public async Task OpenAsync_NobodyThereOrNobodyAnswers_IsUnavailable()
    {
        await SmcErrorCode.ServerUnavailable.ThrowsAsync(() => new RedisConnector(
            string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{PostgresServer.FreePort()}")).OpenAsync(CancellationToken.None));
        await using ScriptedServer silent = new(static async (_, _, token) =>
        {
            await Task.Delay(Timeout.Infinite, token);
            return false;
        });
        Stopwatch watch = Stopwatch.StartNew();
        SmcException error = await SmcErrorCode.ServerUnavailable.ThrowsAsync(() => new RedisConnector(
            silent.Endpoint, new RedisConnectorOptions { ConnectTimeout = TimeSpan.FromMilliseconds(300) }).OpenAsync(CancellationToken.None));
        Assert.Contains("0.3 seconds", error.Message, StringComparison.Ordinal);
        Assert.InRange(watch.Elapsed, TimeSpan.FromMilliseconds(250), TimeSpan.FromSeconds(25));
    }

    [Fact]
    public async Task ExecuteAsync_ServerKilled_IsUnavailable()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await using RedisConnection connection = await Connector(server).OpenAsync(CancellationToken.None);
        Task waiting = connection.ExecuteAsync(new RedisCommand("BLPOP", "nothing", 0), CancellationToken.None);
        await server.KillAsync();
        await SmcErrorCode.ServerUnavailable.ThrowsAsync(() => waiting);
    }

    private static RedisConnector Connector(RedisServer server, RedisConnectorOptions? options = null, string? password = null) => new(
        string.Create(CultureInfo.InvariantCulture, $"localhost:{server.Port}"), options, _ => ValueTask.FromResult(password));
}
