using System.Globalization;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Postgres.Wal.Searching;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Postgres.Wal.Searching;

/// <summary>A server whose WAL is streamed, and a search that is asked what happened between two of its positions.</summary>
internal sealed class SearchLab : IAsyncDisposable, IOperationObserver
{
    private readonly TemporaryDirectory _directory = new();
    private RunningReceiver? _stream;

    private SearchLab(PostgresServer server) => Server = server;

    public PostgresServer Server { get; }

    public Repository Repository { get; private set; } = null!;

    public WalArchive Archive { get; private set; } = null!;

    public List<string> Warnings { get; } = [];

    public string RepositoryPath => Path.Combine(_directory.Path, "repository");

    public static async Task<SearchLab> StartAsync(params (string Name, string Value)[] settings)
    {
        Dictionary<string, string> all = new()
        {
            ["autovacuum"] = "off",
            ["max_prepared_transactions"] = "5",
            ["allow_in_place_tablespaces"] = "on",
        };
        foreach ((string name, string value) in settings)
        {
            all[name] = value;
        }

        SearchLab lab = new(await PostgresServer.StartAsync(
            new PostgresServerOptions { Fsync = false, WalSegmentMegabytes = 1, Settings = all }));
        lab.Repository = await Repository.OpenOrCreateAsync(new DirectoryObjectStore(lab.RepositoryPath), default);
        string systemId = await lab.Server.ScalarAsync<string>("SELECT system_identifier::text FROM pg_control_system()");
        lab.Archive = new WalArchive(lab.Repository, ulong.Parse(systemId, CultureInfo.InvariantCulture));
        lab._stream = RunningReceiver.Start(lab.Server.CreateConnector(), lab.Repository);
        return lab;
    }

    /// <summary>Runs statements, each in a call of its own, and gives the positions between which they were.</summary>
    public async Task<(Lsn From, Lsn To)> RunAsync(params string[] statements)
    {
        Lsn from = await PositionAsync();
        foreach (string statement in statements)
        {
            await Server.ExecuteAsync(statement);
        }

        return (from, await PositionAsync());
    }

    public async Task<Lsn> PositionAsync() => Lsn.Parse(await Server.ScalarAsync<string>("SELECT pg_current_wal_insert_lsn()::text"));

    /// <summary>Waits until all that was committed is archived.</summary>
    public async Task ArchivedAsync() =>
        await _stream!.FlushedAsync(Lsn.Parse(await Server.ScalarAsync<string>("SELECT pg_current_wal_flush_lsn()::text")));

    public async Task StopStreamAsync() => await _stream!.StopAsync();

    public async Task<List<TransactionInfo>> FindAsync(TransactionSearchOptions? options = null, bool asksServer = true)
    {
        List<TransactionInfo> result = [];
        await foreach (TransactionInfo found in TransactionSearch.FindAsync(
            Archive, options ?? new TransactionSearchOptions(), asksServer ? Server.CreateConnector() : null, this, default))
        {
            result.Add(found);
        }

        return result;
    }

    public void Verbose(string message)
    {
    }

    public void Warning(string message) => Warnings.Add(message);

    public void Progress(OperationProgress progress)
    {
    }

    public async ValueTask DisposeAsync()
    {
        if (_stream is not null)
        {
            await _stream.DisposeAsync();
        }

        await Server.DisposeAsync();
        _directory.Dispose();
    }
}
