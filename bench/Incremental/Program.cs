using System.Diagnostics;
using System.Globalization;
using Npgsql;
using SmcDr;
using SmcDr.Bench;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Repositories;

// bench/incremental.sh starts the server and this: port, data directory, working directory, percentage.
CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
int port = int.Parse(args[0]);
string data = args[1];
string work = args[2];
double percent = double.Parse(args[3]);
const int Increments = 5;

using CountingProxy proxy = new(port);
PostgresConnector direct = new($"Host=127.0.0.1;Port={port};Username=postgres;Database=postgres");
PostgresConnector counted = new($"Host=127.0.0.1;Port={proxy.Port};Username=postgres;Database=postgres");
string root = Path.Combine(work, "repository");
Repository repository = await Repository.OpenOrCreateAsync(new DirectoryObjectStore(root), CancellationToken.None);

await using NpgsqlConnection connection = await direct.OpenAsync(CancellationToken.None);
long pages = (long)(await ScalarAsync("SELECT pg_relation_size('public.pgbench_accounts') / 8192"))!;
(DataPages before, _, _) = DataPages.Read(data, null);
Console.WriteLine($"{"",-12}{"changed",12}{"compressed",12}{"packs",12}{"manifest",12}{"stored/compr",14}{"received",12}{"recv/changed",14}{"on the wire",12}{"wire/changed",14}{"to server",12}{"compared",14}{"taken over",11}{"seconds",9}");
List<string> ids = [];
for (int i = 0; i <= Increments; i++)
{
    long raw = 0;
    long compressed = 0;
    if (i > 0)
    {
        // One row on each of so many pages; there is room on each page for its new version.
        await ScalarAsync($"""
            UPDATE public.pgbench_accounts SET abalance = abalance + 1 WHERE ctid IN (
                SELECT ('(' || (random() * {pages - 1})::int || ',{i})')::tid FROM generate_series(1, ({pages} * {percent} / 100)::int))
            """);
        await ScalarAsync("CHECKPOINT");
        (before, raw, compressed) = DataPages.Read(data, before);
    }

    proxy.Take();
    Stopwatch watch = Stopwatch.StartNew();
    BackupInfo info = await BaseBackup.RunAsync(counted, repository, new BaseBackupOptions { Full = i == 0 }, NullObserver.Instance, CancellationToken.None);
    double seconds = watch.Elapsed.TotalSeconds;
    ids.Add(info.Id);
    (long wire, long upload, _) = proxy.Take();
    string folder = Path.Combine(root, "database", info.Id);
    long manifest = new FileInfo(Path.Combine(folder, "manifest")).Length;
    long all = Directory.EnumerateFiles(folder).Sum(static file => new FileInfo(file).Length);
    long changed = Math.Max(raw, 1);
    Console.WriteLine(
        $"{info.Kind,-12}{raw,12}{compressed,12}{all - manifest,12}{manifest,12}{(i == 0 ? 0 : (double)all / compressed),14:0.000}{info.SentBytes,12}{(i == 0 ? 0 : (double)info.SentBytes!.Value / changed),14:0.000}{wire,12}{(i == 0 ? 0 : (double)wire / changed),14:0.000}{upload,12}{info.ComparedBytes,14}{info.UnchangedFileCount,11}{seconds,9:0.0}");
}

BackupInfo full = await BaseBackup.RunAsync(counted, repository, new BaseBackupOptions { Full = true }, NullObserver.Instance, CancellationToken.None);
List<(double Seconds, double Work)> ofFull = [];
List<(double Seconds, double Work)> ofIncrement = [];
for (int i = 0; i < 4; i++)
{
    (double, double) a = await RestoreAsync(full.Id);
    (double, double) b = await RestoreAsync(ids[^1]);
    if (i > 0)
    {
        ofFull.Add(a);
        ofIncrement.Add(b);
    }
}

ofFull.Sort();
ofIncrement.Sort();
Console.WriteLine($"restore of the full backup, seconds (and of processors): {string.Join("  ", ofFull.Select(static s => $"{s.Seconds:0.00} ({s.Work:0.00})"))}");
Console.WriteLine($"restore of increment {Increments}, seconds (and of processors):   {string.Join("  ", ofIncrement.Select(static s => $"{s.Seconds:0.00} ({s.Work:0.00})"))}");
Console.WriteLine($"median, increment to full: {ofIncrement[1].Seconds / ofFull[1].Seconds:0.000}; fastest: {ofIncrement[0].Seconds / ofFull[0].Seconds:0.000}");

async Task<object?> ScalarAsync(string sql)
{
    await using NpgsqlCommand command = new(sql, connection) { CommandTimeout = 0 };
    return await command.ExecuteScalarAsync();
}

async Task<(double Seconds, double Work)> RestoreAsync(string id)
{
    string target = Path.Combine(work, "restored");
    if (Directory.Exists(target))
    {
        Directory.Delete(target, recursive: true);
    }

    Process.Start("sync")!.WaitForExit();
    Stopwatch watch = Stopwatch.StartNew();
    TimeSpan work0 = Environment.CpuUsage.TotalTime;
    BackupReader reader = await repository.OpenBackupAsync(Component.Database, id, CancellationToken.None);
    Manifest manifest = await reader.ReadManifestAsync(CancellationToken.None);
    await BaseRestore.RestoreFilesAsync(
        reader, manifest, new BaseRestoreTarget { DataDirectory = target }, NullObserver.Instance, CancellationToken.None);
    return (watch.Elapsed.TotalSeconds, (Environment.CpuUsage.TotalTime - work0).TotalSeconds);
}
