using System.Text;
using System.Text.Json;
using SmcDr.Core.Notifications;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Tests.Notifications;

public sealed class EmailChannelTests : IDisposable
{
    private readonly AlertLab _lab = new();

    public void Dispose() => _lab.Dispose();

    [Fact]
    public async Task SendAsync_StartTlsAndPassword_DeliversAMailThatCanBeRead()
    {
        TestCertificate certificate = TestCertificate.Create(_lab.Directory, "server", "127.0.0.1");
        await using Receiver server = await StartAsync("--starttls", certificate.CertificatePath, certificate.KeyPath, "--auth", "alerts", "hunter2");
        Add(server, EmailSecurity.StartTls, certificate.CertificatePath, "hunter2", "dba@example.test", "infra@example.test");

        AlertResult result = Assert.Single(await _lab.SendAsync(_lab.Alert(AlertSeverity.Critical, "Größe stimmt nicht", "All of it.\n.\nEnd")));
        JsonElement mail = await server.NextAsync();
        using MimeKit.MimeMessage message = MimeKit.MimeMessage.Load(new MemoryStream(Encoding.UTF8.GetBytes(mail.GetProperty("data").GetString()!)));

        Assert.Equal(("Sent", "Email", 1), (result.State, result.Kind, result.Attempts));
        Assert.True(mail.GetProperty("secure").GetBoolean());
        Assert.Equal("alerts", mail.GetProperty("user").GetString());
        Assert.Equal("smcdr@example.test", mail.GetProperty("from").GetString());
        Assert.Equal(["dba@example.test", "infra@example.test"], mail.GetProperty("to").EnumerateArray().Select(static to => to.GetString()));
        Assert.Equal("[CRITICAL] orders: Größe stimmt nicht", message.Subject);
        Assert.Contains("All of it.\n.\nEnd", message.TextBody!.ReplaceLineEndings("\n"), StringComparison.Ordinal);
        Assert.Contains("Backup: 20261122T081500Z-full", message.TextBody, StringComparison.Ordinal);
        Assert.Equal("auto-generated", message.Headers[MimeKit.HeaderId.AutoSubmitted]);
        Assert.EndsWith("@example.test", message.MessageId, StringComparison.Ordinal);
    }

    [Fact]
    public async Task SendAsync_TlsFromTheBeginning_Delivers()
    {
        TestCertificate certificate = TestCertificate.Create(_lab.Directory, "server", "127.0.0.1");
        await using Receiver server = await StartAsync("--tls", certificate.CertificatePath, certificate.KeyPath);
        Add(server, EmailSecurity.Tls, certificate.CertificatePath, null, "dba@example.test");

        Assert.Equal("Sent", Assert.Single(await _lab.SendAsync()).State);
        Assert.True((await server.NextAsync()).GetProperty("secure").GetBoolean());
    }

    [Theory]
    [InlineData(true, false, "no authority that is trusted here has signed it")]
    [InlineData(false, true, "it is for another host")]
    public async Task SendAsync_CertificateThatIsNotTrusted_IsAClearFailureAndNothingIsSent(bool isOwn, bool isTrusted, string why)
    {
        TestCertificate certificate = TestCertificate.Create(_lab.Directory, "server", isOwn ? "127.0.0.1" : "mail.test");
        await using Receiver server = await StartAsync("--starttls", certificate.CertificatePath, certificate.KeyPath, "--auth", "alerts", "hunter2");
        Add(server, EmailSecurity.StartTls, isTrusted ? certificate.CertificatePath : null, "hunter2", "dba@example.test");

        AlertResult result = Assert.Single(await _lab.SendAsync());

        Assert.Equal(("Failed", 1), (result.State, result.Attempts));
        Assert.Contains(why, result.Problem, StringComparison.Ordinal);
        Assert.Empty(await server.EndAsync());
    }

    [Fact]
    public async Task SendAsync_ServerWithoutStartTls_GetsNothing()
    {
        await using Receiver server = await StartAsync("--auth", "alerts", "hunter2");
        Add(server, EmailSecurity.StartTls, null, "hunter2", "dba@example.test");

        AlertResult result = Assert.Single(await _lab.SendAsync());

        Assert.Equal(("Failed", 1), (result.State, result.Attempts));
        Assert.Contains("does not offer STARTTLS", result.Problem, StringComparison.Ordinal);
        Assert.Empty(await server.EndAsync());
    }

    [Fact]
    public async Task SendAsync_ServerThatFailsAtTimes_TakesTheMailOnce()
    {
        await using Receiver server = await StartAsync("greet421", "drop", "data451", "ok");
        Add(server, EmailSecurity.None, null, null, "dba@example.test");

        AlertResult result = Assert.Single(await _lab.SendAsync());

        Assert.Equal(("Sent", 4), (result.State, result.Attempts));
        Assert.Single(await server.EndAsync());
    }

    [Fact]
    public async Task SendAsync_ServerThatCannotCheckThePasswordNow_IsTriedAgain()
    {
        await using Receiver server = await StartAsync("--auth", "alerts", "hunter2", "auth454", "ok");
        Add(server, EmailSecurity.None, null, "hunter2", "dba@example.test");

        AlertResult result = Assert.Single(await _lab.SendAsync());

        Assert.Equal(("Sent", 2), (result.State, result.Attempts));
        Assert.Equal("alerts", Assert.Single(await server.EndAsync()).GetProperty("user").GetString());
    }

    [Fact]
    public async Task SendAsync_WrongPassword_IsNotTriedAgainAndNotRepeated()
    {
        await using Receiver server = await StartAsync("--auth", "alerts", "hunter2");
        Add(server, EmailSecurity.None, null, "hunter3", "dba@example.test");

        IReadOnlyList<AlertResult> results = await _lab.SendAsync();

        Assert.Equal(("Failed", 1), (results[0].State, results[0].Attempts));
        Assert.Contains("refuses the user 'alerts' or the password", results[0].Problem, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter", results[0].ToString() + AlertSender.FindFailure(results) + _lab.Said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task SendAsync_OneRecipientIsRefused_TheOthersAreToldAndItIsPartial()
    {
        await using Receiver server = await StartAsync("rcpt550=gone@example.test");
        Add(server, EmailSecurity.None, null, null, "dba@example.test", "gone@example.test", "infra@example.test");

        IReadOnlyList<AlertResult> results = await _lab.SendAsync();

        Assert.Equal(("Partial", 1), (results[0].State, results[0].Attempts));
        Assert.Contains("gone@example.test (550 no such mailbox)", results[0].Problem, StringComparison.Ordinal);
        Assert.NotNull(AlertSender.FindFailure(results));
        Assert.Equal(["dba@example.test", "infra@example.test"], Assert.Single(await server.EndAsync()).GetProperty("to").EnumerateArray().Select(static to => to.GetString()));
    }

    [Fact]
    public async Task SendAsync_OneRecipientIsPutOff_GetsItLaterAndTheOthersOnce()
    {
        await using Receiver server = await StartAsync("rcpt450=slow@example.test", "ok");
        Add(server, EmailSecurity.None, null, null, "dba@example.test", "slow@example.test");

        AlertResult result = Assert.Single(await _lab.SendAsync());
        IReadOnlyList<JsonElement> mails = await server.EndAsync();

        Assert.Equal(("Sent", 2), (result.State, result.Attempts));
        Assert.Equal(
            ["dba@example.test", "slow@example.test"], mails.Select(static mail => Assert.Single(mail.GetProperty("to").EnumerateArray()).GetString()));
    }

    [Theory]
    [InlineData("rcpt550=dba@example.test", "does not take mail for dba@example.test (550 no such mailbox).")]
    [InlineData("mail550", "does not take mail from smcdr@example.test (550 5.7.1 not you).")]
    public async Task SendAsync_EverythingIsRefused_Fails(string step, string why)
    {
        await using Receiver server = await StartAsync(step);
        Add(server, EmailSecurity.None, null, null, "dba@example.test");

        AlertResult result = Assert.Single(await _lab.SendAsync());

        Assert.Equal(("Failed", 1), (result.State, result.Attempts));
        Assert.Contains(why, result.Problem, StringComparison.Ordinal);
        Assert.Empty(await server.EndAsync());
    }

    private static Task<Receiver> StartAsync(params string[] arguments) => Receiver.StartAsync(["smtp", .. arguments]);

    private void Add(Receiver server, EmailSecurity security, string? authority, string? password, params string[] to) => _lab.Channels.Add(new NotificationSettings
    {
        Email = new EmailSettings
        {
            Host = "127.0.0.1",
            Port = server.Port,
            Security = security,
            From = "smcdr@example.test",
            To = to,
            UserName = password is null ? null : "alerts",
            Password = password is null ? null : _lab.Secret(password),
        },
        CaFile = authority,
    });
}
