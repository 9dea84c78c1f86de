using System.Net;
using System.Net.Sockets;
using SmcDr.Core.Objectives;
using SmcDr.Core.Operations;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Objectives;

public sealed class ObjectiveMetricsTests
{
    private static readonly DateTimeOffset s_time = new(2026, 11, 22, 8, 15, 0, TimeSpan.Zero);

    [Fact]
    public void Format_WhatIsKnownAndWhatIsNot_IsReadByAStrictParser()
    {
        IReadOnlyDictionary<string, double> samples = ExpositionText.Parse(ObjectiveMetrics.Format("orders", [Sample(), Sample() with
        {
            Component = "FileStore",
            Subject = "a \"quoted\\ name\nin two lines",
            LossSeconds = null,
            RpoVerdict = "Unknown",
            Rto = null,
            RtoVerdict = null,
        }], s_time, TimeSpan.FromSeconds(1.5)));

        const string Database = "component=\"Database\"";
        const string Rest = "site=\"orders\",subject=\"\"";
        const string Files = "component=\"FileStore\",site=\"orders\",subject=\"a \\\"quoted\\\\ name\\nin two lines\"";
        Assert.Equal(1, samples["smcdr_measurement_success{site=\"orders\"}"]);
        Assert.Equal(s_time.ToUnixTimeSeconds(), samples["smcdr_measurement_timestamp_seconds{site=\"orders\"}"]);
        Assert.Equal(1.5, samples["smcdr_measurement_duration_seconds{site=\"orders\"}"]);
        Assert.Equal(300, samples[$"smcdr_objective_rpo_seconds{{{Database},{Rest}}}"]);
        Assert.Equal(240.25, samples[$"smcdr_loss_seconds{{{Database},{Rest}}}"]);
        Assert.Equal(5e15, samples[$"smcdr_loss_bytes{{{Database},{Rest}}}"]);
        Assert.Equal(240.25 / 300, samples[$"smcdr_objective_used_ratio{{{Database},objective=\"rpo\",{Rest}}}"]);
        Assert.Equal(1, samples[$"smcdr_objective_verdict{{{Database},objective=\"rpo\",{Rest},verdict=\"AtRisk\"}}"]);
        Assert.Equal(0, samples[$"smcdr_objective_verdict{{{Database},objective=\"rpo\",{Rest},verdict=\"Met\"}}"]);
        Assert.Equal(300, samples[$"smcdr_objective_rpo_seconds{{{Files}}}"]);
        Assert.DoesNotContain($"smcdr_loss_seconds{{{Files}}}", samples.Keys);
        Assert.DoesNotContain($"smcdr_predicted_recovery_seconds{{{Database},{Rest}}}", samples.Keys);
        Assert.DoesNotContain(samples.Keys, static key => key.Contains("FileStore", StringComparison.Ordinal) && key.Contains("\"rto\"", StringComparison.Ordinal));
    }

    [Fact]
    public void Format_FailedMeasurement_HasNoOldNumbers()
    {
        IReadOnlyDictionary<string, double> samples = ExpositionText.Parse(ObjectiveMetrics.Format("orders", null, s_time, TimeSpan.Zero));

        Assert.Equal(0, samples["smcdr_measurement_success{site=\"orders\"}"]);
        Assert.All(samples.Keys, static key => Assert.Matches("^smcdr_(build|measurement)_", key));
    }

    [Fact]
    public async Task MeasureAsync_FileOfACollector_IsReplacedAsAWholeAlsoWhereItFails()
    {
        using TemporaryDirectory directory = new();
        string path = Path.Combine(directory.Path, "smcdr.prom");

        await MetricsFile.MeasureAsync("orders", static _ => Task.FromResult<IReadOnlyList<ObjectiveResult>>([Sample()]), path, CancellationToken.None);
        Assert.Equal(1, ExpositionText.Parse(await File.ReadAllTextAsync(path))["smcdr_measurement_success{site=\"orders\"}"]);

        // A reader that has it open keeps the old one whole: it is another file that takes the name.
        using StreamReader reader = new(path);
        await Assert.ThrowsAsync<SmcException>(() => MetricsFile.MeasureAsync(
            "orders", static _ => throw new SmcException(SmcErrorCode.StorageUnavailable, "Gone."), path, CancellationToken.None));
        Assert.Equal(1, ExpositionText.Parse(await reader.ReadToEndAsync())["smcdr_measurement_success{site=\"orders\"}"]);
        Assert.Equal(0, ExpositionText.Parse(await File.ReadAllTextAsync(path))["smcdr_measurement_success{site=\"orders\"}"]);
        Assert.Equal([path], Directory.GetFiles(directory.Path));

        SmcException failure = await Assert.ThrowsAsync<SmcException>(() => MetricsFile.WriteAsync(Path.Combine(directory.Path, "no", "a.prom"), "x", CancellationToken.None));
        Assert.Equal(SmcErrorCode.TargetUnsuitable, failure.Code);
    }

    [Fact]
    public async Task RunAsync_AddressThatIsTakenByAnotherBeforeTheEnd_EndsAllTheSame()
    {
        using CancellationTokenSource stop = new();
        TaskCompletionSource<Uri> started = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource<IReadOnlyList<ObjectiveResult>> measured = new(TaskCreationOptions.RunContinuationsAsynchronously);
        MetricsServer server = new("orders", _ => measured.Task, TimeSpan.FromMilliseconds(5), NullObserver.Instance);
        Task running = server.RunAsync(new IPEndPoint(IPAddress.Loopback, 0), started.SetResult, stop.Token);
        int port = (await started.Task).Port;

        // It listens no more at once, and ends when the measurement does.
        await stop.CancelAsync();
        using TcpListener other = new(IPAddress.Loopback, port);
        try
        {
            other.Start();
        }
        catch (SocketException)
        {
            // Somebody else was faster, and has it: as good.
        }

        measured.SetResult([Sample()]);

        await running;
    }

    [Fact]
    public async Task RunAsync_Scrapes_GetTheLastMeasurementAndFailuresAreSeen()
    {
        bool fails = false;
        int measurements = 0;
        using CancellationTokenSource stop = new();
        TaskCompletionSource<Uri> started = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource first = new(TaskCreationOptions.RunContinuationsAsynchronously);
        MetricsServer server = new(
            "orders",
            async token =>
            {
                await first.Task.WaitAsync(token);
                Interlocked.Increment(ref measurements);
                return Volatile.Read(ref fails) ? throw new SmcException(SmcErrorCode.StorageUnavailable, "Gone.") : [Sample()];
            },
            TimeSpan.FromMilliseconds(5),
            NullObserver.Instance);
        Task serving = server.RunAsync(new IPEndPoint(IPAddress.Loopback, 0), started.SetResult, stop.Token);
        Uri address = await started.Task;
        using HttpClient http = new();

        using (HttpResponseMessage early = await http.GetAsync(address))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, early.StatusCode);
        }

        first.SetResult();
        IReadOnlyDictionary<string, double> samples = await ScrapeUntilAsync(http, address, 1);
        Assert.Equal(240.25, samples["smcdr_loss_seconds{component=\"Database\",site=\"orders\",subject=\"\"}"]);
        using (HttpResponseMessage response = await http.GetAsync(address))
        {
            Assert.Equal("text/plain; version=0.0.4; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        }

        using (HttpResponseMessage other = await http.GetAsync(new Uri(address, "/other")))
        using (HttpResponseMessage post = await http.PostAsync(address, new StringContent("x")))
        {
            Assert.Equal((HttpStatusCode.NotFound, HttpStatusCode.MethodNotAllowed), (other.StatusCode, post.StatusCode));
        }

        // A web page that leads a browser here under a name of its own gets nothing.
        // On a connection of its own: .NET's listener closes one that names another host with a second, empty answer.
        using (HttpClient stranger = new())
        using (HttpRequestMessage foreign = new(HttpMethod.Get, address))
        {
            foreign.Headers.Host = "evil.test";
            using HttpResponseMessage refused = await stranger.SendAsync(foreign);
            Assert.False(refused.IsSuccessStatusCode);
        }

        Volatile.Write(ref fails, true);
        Assert.DoesNotContain("smcdr_loss_seconds{component=\"Database\",site=\"orders\",subject=\"\"}", (await ScrapeUntilAsync(http, address, 0)).Keys);
        Volatile.Write(ref fails, false);
        await ScrapeUntilAsync(http, address, 1);

        SmcException taken = await Assert.ThrowsAsync<SmcException>(() => server.RunAsync(new IPEndPoint(IPAddress.Loopback, address.Port), static _ => { }, CancellationToken.None));
        Assert.Equal(SmcErrorCode.TargetInUse, taken.Code);

        // Somebody who connects and says nothing does not keep it from ending.
        using TcpClient silent = new();
        await silent.ConnectAsync(IPAddress.Loopback, address.Port);
        await stop.CancelAsync();
        await serving;
        await Assert.ThrowsAsync<HttpRequestException>(() => http.GetAsync(address));
    }

    [Theory]
    [InlineData("127.0.0.1:9817", "127.0.0.1:9817")]
    [InlineData("[::1]:0", "[::1]:0")]
    [InlineData("9817", null)]
    [InlineData("127.0.0.1", null)]
    [InlineData("127.0.0.1:", null)]
    [InlineData("::1", null)]
    [InlineData("localhost:9817", null)]
    [InlineData("127.0.0.1:70000", null)]
    public void ParseAddress_Text_IsAnAddressAndAPortOrRefused(string text, string? expected)
    {
        if (expected is null)
        {
            Assert.Equal(SmcErrorCode.ArgumentInvalid, Assert.Throws<SmcException>(() => MetricsServer.ParseAddress(text)).Code);
        }
        else
        {
            Assert.Equal(expected, MetricsServer.ParseAddress(text).ToString());
        }
    }

    private static async Task<IReadOnlyDictionary<string, double>> ScrapeUntilAsync(HttpClient http, Uri address, double success)
    {
        while (true)
        {
            using HttpResponseMessage response = await http.GetAsync(address);
            if (response.IsSuccessStatusCode)
            {
                IReadOnlyDictionary<string, double> samples = ExpositionText.Parse(await response.Content.ReadAsStringAsync());
                if (samples["smcdr_measurement_success{site=\"orders\"}"].Equals(success))
                {
                    return samples;
                }
            }

            await Task.Delay(5);
        }
    }

    private static ObjectiveResult Sample() => new()
    {
        Site = "orders",
        Component = "Database",
        Verdict = "AtRisk",
        Rpo = TimeSpan.FromMinutes(5),
        Rto = TimeSpan.FromMinutes(15),
        RpoVerdict = "AtRisk",
        RtoVerdict = "Unknown",
        LossSeconds = 240.25,
        LossBytes = 5_000_000_000_000_000,
        BackupTime = s_time,
        IsStreaming = true,
        Time = s_time,
        Repository = "/r",
    };
}
