using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Npgsql;
using SmcDr;
using SmcDr.Bench;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;

// bench/wal-latency.sh starts the server and this: port, working directory, pgbench, seconds, rounds, clients, whether synchronously too.
CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
int port = int.Parse(args[0]);
string work = args[1];
string pgbench = args[2];
int seconds = int.Parse(args[3]);
int rounds = int.Parse(args[4]);
int clients = int.Parse(args[5]);
string[] modes = args[6] == "1" ? ["none", "async", "sync"] : ["none", "async"];

PostgresConnector connector = new($"Host=127.0.0.1;Port={port};Username=postgres;Database=postgres");
Repository repository = await Repository.OpenOrCreateAsync(new DirectoryObjectStore(Path.Combine(work, "repository")), CancellationToken.None);
Dictionary<string, List<double>> rates = modes.ToDictionary(static mode => mode, static _ => new List<double>());
Dictionary<string, List<double>> delays = modes.ToDictionary(static mode => mode, static _ => new List<double>());

await RunPgbenchAsync(5);
Console.WriteLine($"{"round",5} {"stream",-6} {"tps",9} {"samples",8} {"p50 ms",9} {"p99 ms",9} {"max ms",9} {"WAL MB",9}");
for (int round = 1; round <= rounds; round++)
{
    // The order turns, so that no mode always follows the same one.
    foreach (string mode in modes.Skip(round % modes.Length).Concat(modes.Take(round % modes.Length)))
    {
        await RoundAsync(round, mode);
    }
}

double without = Median(rates["none"]);
foreach (string mode in modes.Skip(1))
{
    // Each round against its own: where these differ much, the machine did something else too, and the medians say little.
    Console.WriteLine(
        $"{mode,-6} loss by round: " +
        string.Join(", ", rates[mode].Zip(rates["none"], static (with, alone) => $"{(1 - (with / alone)) * 100:0} %")));
}

foreach (string mode in modes)
{
    Console.WriteLine(
        $"{mode,-6} median {Median(rates[mode]):0} tps, {(1 - (Median(rates[mode]) / without)) * 100:0.0} % less than without; " +
        (delays[mode].Count == 0 ? "" : $"commit to durable: 50 % {Percentile(delays[mode], 0.5):0} ms, 99 % {Percentile(delays[mode], 0.99):0} ms, most {delays[mode].Max():0} ms"));
}

async Task RoundAsync(int round, string mode)
{
    await using NpgsqlConnection connection = await connector.OpenAsync(CancellationToken.None);
    await using (NpgsqlCommand checkpoint = new("CHECKPOINT", connection))
    {
        await checkpoint.ExecuteNonQueryAsync();
    }

    if (mode == "none")
    {
        double alone = await RunPgbenchAsync(seconds);
        rates[mode].Add(alone);
        Console.WriteLine($"{round,5} {mode,-6} {alone,9:0}");
        return;
    }

    WalReceiver receiver = new(
        connector, repository, new WalReceiverOptions { Slot = "bench", Exclusive = true, Synchronous = mode == "sync" }, NullObserver.Instance);
    DelayMeter meter = new();
    using CancellationTokenSource stop = new();
    Task stream = Task.Run(() => receiver.RunAsync(meter, stop.Token));
    await receiver.WaitForFlushAsync(await WalStreaming.GetServerPositionAsync(connector, CancellationToken.None), CancellationToken.None);
    while (mode == "sync" && receiver.Status.SynchronousState != "Synchronous")
    {
        await Task.Delay(100);
    }

    meter.Clear();
    using CancellationTokenSource sampling = new();
    Task sample = SampleAsync(connection, meter, sampling.Token);
    Lsn before = receiver.FlushedLsn;
    double rate = await RunPgbenchAsync(seconds);
    await sampling.CancelAsync();
    await sample;
    await receiver.WaitForFlushAsync(meter.Last, CancellationToken.None);
    await stop.CancelAsync();
    await stream;
    rates[mode].Add(rate);
    List<double> found = meter.Take();
    delays[mode].AddRange(found);
    Console.WriteLine(
        $"{round,5} {mode,-6} {rate,9:0} {found.Count,8} {Percentile(found, 0.5),9:0} {Percentile(found, 0.99),9:0} {found.Max(),9:0} " +
        $"{(receiver.FlushedLsn - before) / 1048576.0,9:0.0}");
}

// Counted from before the server is asked: what it says is on its disk by then at the latest, so that nothing is measured too short.
static async Task SampleAsync(NpgsqlConnection connection, DelayMeter meter, CancellationToken cancellationToken)
{
    await using NpgsqlCommand command = new("SELECT pg_catalog.pg_current_wal_flush_lsn()::pg_catalog.text", connection);
    while (!cancellationToken.IsCancellationRequested)
    {
        long time = Stopwatch.GetTimestamp();
        meter.Committed(Lsn.Parse((string)(await command.ExecuteScalarAsync(CancellationToken.None))!), time);
        await Task.Delay(10, CancellationToken.None);
    }
}

async Task<double> RunPgbenchAsync(int time)
{
    ProcessStartInfo start = new(
        pgbench, ["-h", "127.0.0.1", "-p", $"{port}", "-U", "postgres", "-n", "-c", $"{clients}", "-j", "2", "-M", "prepared", "-T", $"{time}", "postgres"])
    {
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    };
    using Process process = Process.Start(start)!;
    Task<string> errors = process.StandardError.ReadToEndAsync();
    string output = await process.StandardOutput.ReadToEndAsync();
    await process.WaitForExitAsync();
    Match match = Regex.Match(output, @"tps = ([0-9.]+)");
    return match.Success ? double.Parse(match.Groups[1].Value) : throw new InvalidOperationException(await errors);
}

static double Median(List<double> values) => Percentile(values, 0.5);

static double Percentile(List<double> values, double share)
{
    double[] sorted = [.. values.Order()];
    return sorted[Math.Clamp((int)Math.Ceiling(sorted.Length * share) - 1, 0, sorted.Length - 1)];
}
