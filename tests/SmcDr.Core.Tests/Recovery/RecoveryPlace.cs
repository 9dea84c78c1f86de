using System.Globalization;
using System.Security.Cryptography;
using Npgsql;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using TestPrograms = SmcDr.Core.Tests.Fixtures.PostgresPrograms;

namespace SmcDr.Core.Tests.Recovery;

/// <summary>Where one test recovers to.</summary>
internal sealed class RecoveryPlace(RecoveryWorld world, string root) : IAsyncDisposable
{
    public string Root { get; } = root;

    public string Data => Path.Combine(Root, "data");

    public string Tablespace => Path.Combine(Root, "side");

    public int Port { get; } = PostgresServer.FreePort();

    public RecoveryRequest Request(RecoveryTarget? target = null) => new()
    {
        Repository = world.Repository,
        Target = target ?? RecoveryTarget.Latest,
        DataDirectory = Data,
        BinDirectory = TestPrograms.BinDirectory,
        OsUser = TestPrograms.OsUser,
        Tablespaces = new Dictionary<string, string> { ["side"] = Tablespace },
        Settings = new Dictionary<string, string>
        {
            ["port"] = Port.ToString(CultureInfo.InvariantCulture),
            ["archive_mode"] = "off",
            // Of the paths of that host the product replaces those without which nobody gets in; the others are for the operator to say.
            ["ssl"] = "off",
            ["unix_socket_directories"] = "",
            ["logging_collector"] = "off",
            ["huge_pages"] = "try",
        },
    };

    public static async Task<RecoveryResult> RecoverAsync(RecoveryRequest request, Action<RecoveryPhase>? afterPhase = null)
    {
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(request, NullObserver.Instance, default);
        return await DatabaseRecovery.ExecuteAsync(plan, NullObserver.Instance, afterPhase, default);
    }

    /// <summary>The rows of both tables, which are alike, and of which the content is as it was written.</summary>
    public async Task<int[]> RowsAsync()
    {
        List<int> rows = [];
        await using NpgsqlConnection connection = await OpenAsync();
        await using NpgsqlCommand command = new(
            "SELECT t.id, v = repeat(t.id::text, 100) AND s.id IS NOT NULL FROM t FULL JOIN s USING (id) ORDER BY 1", connection);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            Assert.True(reader.GetBoolean(1));
            rows.Add(reader.GetInt32(0));
        }

        return [.. rows];
    }

    public async Task<string> SettingAsync(string name)
    {
        await using NpgsqlConnection connection = await OpenAsync();
        await using NpgsqlCommand command = new($"SELECT current_setting('{name}')", connection);
        return (string)(await command.ExecuteScalarAsync())!;
    }

    public async Task<NpgsqlConnection> OpenAsync()
    {
        NpgsqlConnection connection = new(
            $"Host=127.0.0.1;Port={Port};Username=postgres;Database=postgres;Password={world.Password};Pooling=false");
        await connection.OpenAsync();
        return connection;
    }

    /// <summary>A repository like the world's, without some of its objects.</summary>
    public async Task<Repository> CopyRepositoryAsync(Func<string, bool> drop)
    {
        string path = Directory.CreateDirectory(Path.Combine(Root, "repository")).FullName;
        foreach (string file in Directory.GetFiles(world.RepositoryPath, "*", SearchOption.AllDirectories))
        {
            string key = Path.GetRelativePath(world.RepositoryPath, file);
            if (!drop(key))
            {
                Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(path, key))!);
                File.Copy(file, Path.Combine(path, key));
            }
        }

        return await Repository.OpenAsync(new DirectoryObjectStore(path), default);
    }

    /// <summary>All names and contents below a directory: by it a test knows that nothing was changed.</summary>
    public static string Fingerprint(string directory)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string path in Directory.GetFileSystemEntries(directory, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            hash.AppendData(System.Text.Encoding.UTF8.GetBytes(Path.GetRelativePath(directory, path) + "\0"));
            if (File.Exists(path))
            {
                hash.AppendData(File.ReadAllBytes(path));
            }
        }

        return Convert.ToHexString(hash.GetHashAndReset());
    }

    public async ValueTask DisposeAsync()
    {
        if (HostServer.IsRunning(Data))
        {
            SmcDr.Core.Recovery.PostgresPrograms programs =
                await SmcDr.Core.Recovery.PostgresPrograms.FindAsync(TestPrograms.BinDirectory, null, default);
            await new HostServer(programs, Data, TestPrograms.OsUser).EndAsync();
        }

        Directory.Delete(Root, recursive: true);
    }
}
