using System.Text.Json;
using SmcDr.Core.Notifications;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Tests.Notifications;

public sealed class AlertSenderTests : IDisposable
{
    private readonly AlertLab _lab = new();

    public void Dispose() => _lab.Dispose();

    [Fact]
    public async Task SendAsync_Webhook_GetsTheWholeAlertAsJson()
    {
        await using Receiver receiver = await Receiver.StartAsync("http", "204");
        _lab.Channels.Add(new NotificationSettings { Webhook = _lab.Secret(receiver.Url), Authorization = _lab.Secret("Bearer hunter4") });

        AlertResult result = Assert.Single(await _lab.SendAsync(_lab.Alert(AlertSeverity.Critical, text: "Line 1\nLine 2")));
        JsonElement request = await receiver.NextAsync();
        JsonElement body = JsonDocument.Parse(request.GetProperty("body").GetString()!).RootElement;

        Assert.Equal(("Sent", "webhook", 1, null), (result.State, result.Channel, result.Attempts, result.Problem));
        Assert.Equal("POST", request.GetProperty("method").GetString());
        Assert.Equal("/services/hunter2/hook?key=hunter3", request.GetProperty("path").GetString());
        Assert.Equal("Bearer hunter4", request.GetProperty("headers").GetProperty("Authorization").GetString());
        Assert.Equal("application/json; charset=utf-8", request.GetProperty("headers").GetProperty("Content-Type").GetString());
        Assert.Equal(1, body.GetProperty("version").GetInt32());
        Assert.Equal("orders", body.GetProperty("site").GetString());
        Assert.Equal("critical", body.GetProperty("severity").GetString());
        Assert.Equal("firing", body.GetProperty("state").GetString());
        Assert.Equal("backup", body.GetProperty("key").GetString());
        Assert.Equal("The backup failed", body.GetProperty("title").GetString());
        Assert.Equal("Line 1\nLine 2", body.GetProperty("text").GetString());
        Assert.Equal("20261122T081500Z-full", body.GetProperty("fields").GetProperty("Backup").GetString());
        Assert.Equal(TimeSpan.Zero, body.GetProperty("time").GetDateTimeOffset().Offset);
    }

    [Fact]
    public async Task SendAsync_Slack_GetsAMessageWithinItsLimitsAndWithoutMentions()
    {
        await using Receiver receiver = await Receiver.StartAsync("http", "200=ok");
        _lab.Channels.Add(new NotificationSettings { Slack = _lab.Secret(receiver.Url) });
        Alert alert = Alert.Create(
            "orders",
            AlertSeverity.Error,
            "<!channel> a & b",
            new string('<', 9000),
            Enumerable.Range(0, 25).Select(static i => new AlertField($"Field {i}", new string('x', 5000))),
            null,
            false,
            DateTimeOffset.UtcNow);

        Assert.Equal("Sent", Assert.Single(await _lab.SendAsync(alert)).State);
        JsonElement body = JsonDocument.Parse((await receiver.NextAsync()).GetProperty("body").GetString()!).RootElement;
        JsonElement[] blocks = [.. body.GetProperty("attachments")[0].GetProperty("blocks").EnumerateArray()];

        Assert.Equal("[ERROR] orders: &lt;!channel&gt; a &amp; b", body.GetProperty("text").GetString());
        Assert.DoesNotContain("<", body.ToString(), StringComparison.Ordinal);
        Assert.Equal([10, 10, 5], blocks.Where(static block => block.TryGetProperty("fields", out _)).Select(static block => block.GetProperty("fields").GetArrayLength()));
        Assert.All(blocks.Where(static block => block.TryGetProperty("text", out _)), static block => Assert.InRange(block.GetProperty("text").GetProperty("text").GetString()!.Length, 1, 3000));
        Assert.All(
            blocks.Where(static block => block.TryGetProperty("fields", out _)).SelectMany(static block => block.GetProperty("fields").EnumerateArray()),
            static field => Assert.InRange(field.GetProperty("text").GetString()!.Length, 1, 2000));
    }

    [Fact]
    public async Task SendAsync_ReceiverThatFailsAtTimes_IsToldOnceAndKnowsThatItIsTheSame()
    {
        await using Receiver receiver = await Receiver.StartAsync("http", "503", "drop", "429:1", "200");
        _lab.Channels.Add(new NotificationSettings { Webhook = _lab.Secret(receiver.Url) });

        AlertResult result = Assert.Single(await _lab.SendAsync());
        IReadOnlyList<JsonElement> requests = await receiver.EndAsync();

        Assert.Equal(("Sent", 4), (result.State, result.Attempts));
        Assert.Equal(4, requests.Count);
        Assert.Single(requests.Select(static request => request.GetProperty("headers").GetProperty("Idempotency-Key").GetString()).Distinct());
        Assert.Single(requests.Select(static request => request.GetProperty("body").GetString()).Distinct());
        // Retry-After is kept, though the client's own pauses are of milliseconds.
        Assert.True(requests[3].GetProperty("time").GetDouble() - requests[2].GetProperty("time").GetDouble() >= 0.99);
        Assert.Contains("503", _lab.Said, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter", _lab.Said, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("404=no_service", "answers 404 (no_service)", 1)]
    [InlineData("400=hunter2 is not a hook", "answers 400.", 1)]
    [InlineData("302=http://127.0.0.1:1/", "A redirect is not followed", 1)]
    [InlineData("429:3600", "It asks to wait for 1 h", 1)]
    public async Task SendAsync_ReceiverThatRefuses_IsNotAskedAgainAndSaysWhy(string step, string why, int attempts)
    {
        await using Receiver receiver = await Receiver.StartAsync("http", step);
        _lab.Channels.Add(new NotificationSettings { Webhook = _lab.Secret(receiver.Url) });

        IReadOnlyList<AlertResult> results = await _lab.SendAsync();
        SmcException failure = AlertSender.FindFailure(results)!;

        Assert.Equal(("Failed", attempts), (results[0].State, results[0].Attempts));
        Assert.Equal(attempts, (await receiver.EndAsync()).Count);
        Assert.Contains(why, failure.Message, StringComparison.Ordinal);
        Assert.Equal(SmcErrorCode.AlertNotDelivered, failure.Code);
        Assert.DoesNotContain("hunter", results[0].ToString() + failure + _lab.Said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task SendAsync_ReceiverThatAnswersWithALongPage_IsToldOnce()
    {
        await using Receiver receiver = await Receiver.StartAsync("http", "200=" + new string('x', 100_000), "403=" + new string('x', 100_000));
        _lab.Channels.Add(new NotificationSettings { Webhook = _lab.Secret(receiver.Url) });

        AlertResult taken = Assert.Single(await _lab.SendAsync(_lab.Alert(title: "One")));
        AlertResult refused = Assert.Single(await _lab.SendAsync(_lab.Alert(AlertSeverity.Critical)));

        Assert.Equal(("Sent", 1), (taken.State, taken.Attempts));
        Assert.Equal(("Failed", 1, "The receiver answers 403."), (refused.State, refused.Attempts, refused.Problem));
        Assert.Equal(2, (await receiver.EndAsync()).Count);
    }

    [Fact]
    public async Task SendAsync_QuestionThatEndsTheCommand_TellsNobodyBefore()
    {
        await using Receiver receiver = await Receiver.StartAsync("http", "200");
        _lab.Channels.Add(new NotificationSettings { Webhook = _lab.Secret(receiver.Url) });
        _lab.Channels.Add(new NotificationSettings { Slack = _lab.Secret(receiver.Url) });

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _lab.SendAsync(
            options: new AlertSendOptions
            {
                Approve = static name => name == "webhook" ? Task.FromResult(true) : throw new OperationCanceledException(),
            }));

        Assert.Empty(await receiver.EndAsync());
        Assert.False(Directory.Exists(_lab.StateDirectory) && Directory.GetFiles(_lab.StateDirectory, "*", SearchOption.AllDirectories).Length > 0);
    }

    [Fact]
    public async Task SendAsync_NobodyListens_GivesUpInTimeWithoutTheAddress()
    {
        int port;
        await using (Receiver gone = await Receiver.StartAsync("http"))
        {
            port = gone.Port;
        }

        _lab.Channels.Add(new NotificationSettings { Slack = _lab.Secret(FormattableString.Invariant($"http://127.0.0.1:{port}/hunter2")) });
        AlertResult result = Assert.Single(await _lab.SendAsync(options: new AlertSendOptions { Delivery = _lab.Patience with { Timeout = TimeSpan.FromMilliseconds(50) } }));

        Assert.Equal("Failed", result.State);
        Assert.True(result.Attempts > 1);
        Assert.Contains("does not take connections (ConnectionRefused)", result.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", result.ToString() + _lab.Said, StringComparison.Ordinal);
        Assert.DoesNotContain(FormattableString.Invariant($"{port}"), result.ToString() + _lab.Said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task SendAsync_OneOfTwoChannelsFails_TheOtherIsToldAndAloneNotAgain()
    {
        await using Receiver good = await Receiver.StartAsync("http", "200");
        await using Receiver bad = await Receiver.StartAsync("http", "400", "200");
        _lab.Channels.Add(new NotificationSettings { Name = "bad", Webhook = _lab.Secret(bad.Url) });
        _lab.Channels.Add(new NotificationSettings { Slack = _lab.Secret(good.Url) });
        _lab.Channels.Add(new NotificationSettings { Slack = SecretReference.Parse("env:SMCDR_TEST_NO_SUCH") });

        IReadOnlyList<AlertResult> first = await _lab.SendAsync();
        IReadOnlyList<AlertResult> second = await _lab.SendAsync();

        Assert.Equal([("bad", "Failed"), ("slack", "Sent"), ("slack-2", "Failed")], first.Select(static result => (result.Channel, result.State)));
        Assert.Contains("SMCDR_TEST_NO_SUCH", first[2].Problem, StringComparison.Ordinal);
        Assert.Equal(["Sent", "Suppressed", "Failed"], second.Select(static result => result.State));
        Assert.Equal(first[1].Time, second[1].LastSentTime);
        Assert.Single(await good.EndAsync());
    }

    [Fact]
    public async Task SendAsync_SameKey_IsRepeatedAfterAWhileOrWhenItIsWorse()
    {
        await using Receiver receiver = await Receiver.StartAsync("http", "200");
        _lab.Channels.Add(new NotificationSettings { Slack = _lab.Secret(receiver.Url) });
        _lab.Settings = new AlertSettings { RepeatAfter = TimeSpan.FromHours(2) };

        Assert.Equal("Sent", await StateAsync(AlertSeverity.Warning));
        Assert.Equal("Suppressed", await StateAsync(AlertSeverity.Warning));
        Assert.Equal("Sent", await StateAsync(AlertSeverity.Critical));
        Assert.Equal("Suppressed", await StateAsync(AlertSeverity.Error));
        Assert.Equal("Sent", (await _lab.SendAsync(options: new AlertSendOptions { Force = true })).Single().State);
        Assert.Equal("Sent", (await _lab.SendAsync(options: new AlertSendOptions { RepeatAfter = TimeSpan.Zero })).Single().State);
        _lab.Clock.Shift = TimeSpan.FromHours(2) - TimeSpan.FromMinutes(10);
        Assert.Equal("Suppressed", await StateAsync(AlertSeverity.Warning));
        _lab.Clock.Shift = TimeSpan.FromHours(2) + TimeSpan.FromMinutes(1);
        Assert.Equal("Sent", await StateAsync(AlertSeverity.Warning));
        Assert.Equal(5, (await receiver.EndAsync()).Count);

        async Task<string> StateAsync(AlertSeverity severity) => (await _lab.SendAsync(_lab.Alert(severity))).Single().State;
    }

    [Fact]
    public async Task SendAsync_Resolved_IsToldToWhoWasToldAndBeginsAnew()
    {
        await using Receiver receiver = await Receiver.StartAsync("http", "200");
        _lab.Channels.Add(new NotificationSettings { Webhook = _lab.Secret(receiver.Url), MinimumSeverity = AlertSeverity.Error });
        Alert over = _lab.Alert(AlertSeverity.Information, "The backup is there", isResolved: true);

        Assert.Equal("Suppressed", (await _lab.SendAsync(over)).Single().State);
        Assert.Equal("Sent", (await _lab.SendAsync()).Single().State);
        Assert.Equal("Sent", (await _lab.SendAsync(over)).Single().State);
        Assert.Equal("Suppressed", (await _lab.SendAsync(over)).Single().State);
        Assert.Equal("Sent", (await _lab.SendAsync()).Single().State);
        Assert.Equal(
            ["firing", "resolved", "firing"],
            (await receiver.EndAsync()).Select(static request => JsonDocument.Parse(request.GetProperty("body").GetString()!).RootElement.GetProperty("state").GetString()));
    }

    [Fact]
    public async Task SendAsync_BelowAChannelsSeverityOrPreview_TellsNobody()
    {
        await using Receiver receiver = await Receiver.StartAsync("http", "200");
        _lab.Channels.Add(new NotificationSettings { Webhook = _lab.Secret(receiver.Url), MinimumSeverity = AlertSeverity.Critical });

        Assert.Equal("BelowSeverity", (await _lab.SendAsync()).Single().State);
        Assert.Equal("Planned", (await _lab.SendAsync(_lab.Alert(AlertSeverity.Critical), new AlertSendOptions { IsPreview = true })).Single().State);
        Assert.Empty(await receiver.EndAsync());
        Assert.False(Directory.Exists(_lab.StateDirectory));
    }

    [Fact]
    public async Task SendAsync_StateThatCannotBeReadOrWritten_IsWarnedOfAndTheAlertIsSent()
    {
        await using Receiver receiver = await Receiver.StartAsync("http", "200");
        _lab.Channels.Add(new NotificationSettings { Webhook = _lab.Secret(receiver.Url) });
        Assert.Equal("Sent", (await _lab.SendAsync()).Single().State);
        string file = Directory.GetFiles(Path.Combine(_lab.StateDirectory, "alerts"), "*.json").Single();
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        Assert.DoesNotContain("backup", await File.ReadAllTextAsync(file), StringComparison.Ordinal);

        await File.WriteAllTextAsync(file, "{ \"sightings\": 5");
        Assert.Equal("Sent", (await _lab.SendAsync()).Single().State);
        Assert.Contains("counts for not told", _lab.Said, StringComparison.Ordinal);
        Directory.Delete(_lab.StateDirectory, recursive: true);
        await File.WriteAllTextAsync(_lab.StateDirectory, "a file where a directory should be");
        Assert.Equal("Sent", (await _lab.SendAsync()).Single().State);
        Assert.Contains("cannot be noted", _lab.Said, StringComparison.Ordinal);
        Assert.Equal(3, (await receiver.EndAsync()).Count);
    }

    [Fact]
    public async Task SendAsync_ManyAtOnce_LoseNoNote()
    {
        await using Receiver receiver = await Receiver.StartAsync("http", "200");
        _lab.Channels.Add(new NotificationSettings { Webhook = _lab.Secret(receiver.Url) });
        string[] titles = [.. Enumerable.Range(0, 12).Select(static i => FormattableString.Invariant($"Failure {i}"))];

        await Task.WhenAll(titles.Select(title => _lab.SendAsync(Titled(title))));

        Assert.Equal(12, (await receiver.EndAsync()).Count);
        foreach (string title in titles)
        {
            Assert.Equal("Suppressed", (await _lab.SendAsync(Titled(title))).Single().State);
        }

        static Alert Titled(string title) => Alert.Create("orders", AlertSeverity.Error, title, null, [], null, false, DateTimeOffset.UtcNow);
    }

    [Fact]
    public async Task SendAsync_TextThatHoldsSecrets_GoesWithoutThem()
    {
        await using Receiver receiver = await Receiver.StartAsync("http", "200");
        _lab.Channels.Add(new NotificationSettings { Webhook = _lab.Secret(receiver.Url), Authorization = _lab.Secret("Bearer hunter4") });
        string text = $"POST {receiver.Url} failed for /services/hunter2/hook?key=hunter3; Host=db;Password='hunter5';Username=x, postgres://me:hunter6@db/orders, PGPASSWORD=hunter7";

        await _lab.SendAsync(_lab.Alert(text: text));
        string body = (await receiver.NextAsync()).GetProperty("body").GetString()!;

        Assert.DoesNotContain("hunter", body, StringComparison.Ordinal);
        Assert.Contains("Username=x", body, StringComparison.Ordinal);
        Assert.Contains("postgres://***@db/orders", body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://hooks.invalid/hunter2", "in clear")]
    [InlineData("hunter2", "is not a URL")]
    public async Task SendAsync_AddressThatIsNone_IsAClearFailure(string address, string why)
    {
        _lab.Channels.Add(new NotificationSettings { Webhook = _lab.Secret(address) });

        AlertResult result = Assert.Single(await _lab.SendAsync());

        Assert.Equal(("Failed", 0), (result.State, result.Attempts));
        Assert.Contains(why, result.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain("hunter", result.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("127.0.0.1", 0, true, null)]
    [InlineData("127.0.0.1", 0, false, "no authority that is trusted here")]
    [InlineData("127.0.0.1", -60, true, "it has expired")]
    [InlineData("other.test", 0, true, "it is for another host")]
    public async Task SendAsync_Certificate_IsCheckedAndNamed(string host, int days, bool isTrusted, string? why)
    {
        TestCertificate certificate = TestCertificate.Create(_lab.Directory, "server", host, days == 0 ? null : DateTimeOffset.UtcNow.AddDays(days));
        await using Receiver receiver = await Receiver.StartAsync("http", "--tls", certificate.CertificatePath, certificate.KeyPath, "200");
        _lab.Channels.Add(new NotificationSettings
        {
            Webhook = _lab.Secret(receiver.Url.Replace("http:", "https:", StringComparison.Ordinal)),
            CaFile = isTrusted ? certificate.CertificatePath : null,
        });

        AlertResult result = Assert.Single(await _lab.SendAsync());

        Assert.Equal((why is null ? "Sent" : "Failed", 1), (result.State, result.Attempts));
        Assert.True(why is null ? result.Problem is null : result.Problem!.Contains(why, StringComparison.Ordinal), result.Problem);
        Assert.Equal(why is null ? 1 : 0, (await receiver.EndAsync()).Count);
    }

    [Fact]
    public async Task SendAsync_UnknownChannelOrNone_IsRefusedBeforeAnythingIsSent()
    {
        SmcException none = await Assert.ThrowsAsync<SmcException>(() => _lab.SendAsync());
        _lab.Channels.Add(new NotificationSettings { Webhook = _lab.Secret("https://hooks.invalid/") });
        SmcException unknown = await Assert.ThrowsAsync<SmcException>(() => _lab.SendAsync(options: new AlertSendOptions { Channels = ["pager"] }));

        Assert.Equal(SmcErrorCode.SiteInvalid, none.Code);
        Assert.Equal(SmcErrorCode.ArgumentInvalid, unknown.Code);
        Assert.Contains("webhook", unknown.Recommendation, StringComparison.Ordinal);
    }

    [Fact]
    public async Task SendHeartbeatAsync_ReceiverThatFailsAtTimes_IsTold()
    {
        await using Receiver receiver = await Receiver.StartAsync("http", "500", "200");
        Assert.Equal(SmcErrorCode.SiteInvalid, (await Assert.ThrowsAsync<SmcException>(() => _lab.Sender().SendHeartbeatAsync(_lab.Patience, CancellationToken.None))).Code);
        _lab.Settings = new AlertSettings { HeartbeatUrl = _lab.Secret(receiver.Url) };

        AlertResult result = await _lab.Sender().SendHeartbeatAsync(_lab.Patience, CancellationToken.None);
        JsonElement request = await receiver.NextAsync();

        Assert.Equal(("Sent", 2, "Heartbeat"), (result.State, result.Attempts, result.Kind));
        Assert.Equal("GET", request.GetProperty("method").GetString());
        Assert.Equal("/services/hunter2/hook?key=hunter3", request.GetProperty("path").GetString());
    }

    [Fact]
    public async Task SendAsync_Stopped_EndsAndNotesNobodyWhoWasNotTold()
    {
        await using Receiver slow = await Receiver.StartAsync("http", "429:60", "200");
        _lab.Channels.Add(new NotificationSettings { Webhook = _lab.Secret(slow.Url) });
        using CancellationTokenSource stop = new();
        AlertSendOptions options = new() { StateDirectory = _lab.StateDirectory, Delivery = _lab.Patience };
        Task<IReadOnlyList<AlertResult>> sending = _lab.Sender().SendAsync(_lab.Alert(), options, stop.Token);
        await slow.NextAsync();

        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending);
        Assert.Equal("Sent", (await _lab.SendAsync()).Single().State);
    }

    [Fact]
    public void From_Results_MakeOneAlertByTheWorst()
    {
        BackupTestResult failed = new() { Id = "20261122T081500Z-full", Component = "Database", Outcome = "Failed", Problems = [new BackupProblem("a", "SmcX", "A pack is gone.")], Repository = "/r" };
        CheckResult warning = new() { Name = "WalLevel", Target = "here", Outcome = "Warning", Message = "It is low." };

        AlertDraft draft = AlertDraft.From([failed, failed with { Id = "", Component = "Redis" }, warning])!;

        Assert.Equal(AlertSeverity.Error, draft.Severity);
        Assert.Equal("2 backups are not as they must be; 1 check did not pass", draft.Title);
        Assert.Equal("backups+checks", draft.Key);
        Assert.Equal(["20261122T081500Z-full: Failed. A pack is gone.", "Redis: Failed. A pack is gone.", "WalLevel (here): Warning. It is low."], draft.Lines);
        Assert.Equal(AlertSeverity.Information, AlertDraft.From([failed with { Outcome = "Passed", Problems = [] }])!.Severity);
        Assert.Null(AlertDraft.From([failed, "something else"]));
        Assert.Null(AlertDraft.From([]));
    }
}
