using System.Diagnostics;
using System.Text;
using SmcDr.Core.FileStores;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Tests.FileStores;

/// <summary>A tree to back up, a repository and directories to restore to; and what a tree looks like to the system.</summary>
internal sealed class FileStoreSandbox : IDisposable
{
    /// <summary>
    /// Nothing is too young to be believed: the kernel stamps files with a clock that is never ahead, so what was written before a scan
    /// began is older than it.
    /// </summary>
    public static readonly FileStoreBackupOptions Options = new() { TimestampMargin = TimeSpan.Zero, Parallelism = 2 };

    private readonly string _root = Directory.CreateTempSubdirectory("smcdr-filestore-").FullName;
    private int _targets;

    public FileStoreSandbox()
    {
        Directory.CreateDirectory(Source);
    }

    public string Source => Path.Combine(_root, "source");

    public string RepositoryPath => Path.Combine(_root, "repository");

    public RecordingObserver Observer { get; } = new();

    public string PathOf(string path) => Path.Combine(Source, path);

    public string NewTarget() => Path.Combine(_root, $"target{++_targets}");

    public void Write(string path, string content) => Write(path, Encoding.UTF8.GetBytes(content));

    public void Write(string path, byte[] content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(PathOf(path))!);
        File.WriteAllBytes(PathOf(path), content);
    }

    public Task<Repository> OpenAsync() =>
        Repository.OpenOrCreateAsync(new DirectoryObjectStore(RepositoryPath), CancellationToken.None);

    public async Task<BackupHeader> BackUpAsync(FileStoreBackupOptions? options = null)
    {
        Repository repository = await OpenAsync();
        BackupInfo info = await FileStoreBackup.RunAsync(
            "store", Source, repository, options ?? Options, Observer, CancellationToken.None);
        BackupEntry entry = (await repository.TryFindAsync(Component.FileStore, info.Id, CancellationToken.None))!;
        Assert.Equal(entry.ToInfo(repository.Location), info);
        return entry.Header!;
    }

    public async Task<FileStoreRestoreResult> RestoreAsync(BackupHeader header, FileStoreRestoreOptions options)
    {
        BackupReader reader = await (await OpenAsync()).OpenBackupAsync(Component.FileStore, header.Id, CancellationToken.None);
        return await FileStoreRestore.RunAsync(reader, options, Observer, CancellationToken.None);
    }

    public async Task<string> RestoreAsync(BackupHeader header)
    {
        string target = NewTarget();
        FileStoreRestoreResult result = await RestoreAsync(header, new FileStoreRestoreOptions { TargetPath = target });
        Assert.Empty(result.Problems);
        Assert.Equal("Complete", result.State);
        return target;
    }

    public async Task<List<ManifestEntry>> EntriesAsync(BackupHeader header)
    {
        BackupReader reader = await (await OpenAsync()).OpenBackupAsync(Component.FileStore, header.Id, CancellationToken.None);
        return [.. (await reader.ReadManifestAsync(CancellationToken.None)).Entries];
    }

    /// <summary>
    /// Everything that find(1) and sha256sum(1) say of a tree, a line for each name: type, mode, owner, size, time to the nanosecond, link
    /// target, number of links, content.
    /// </summary>
    public static string Describe(string directory) => Shell(
        """
        cd "$1"
        find . -printf '%P|%y|%m|%U|%G|%T@|%l\n' | LC_ALL=C sort
        find . -type f -printf '%P|%s|%n\n' | LC_ALL=C sort
        find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum
        """,
        directory);

    public static string Shell(string script, params string[] arguments)
    {
        ProcessStartInfo start = new("/bin/sh") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add("-ec");
        start.ArgumentList.Add(script);
        start.ArgumentList.Add("sh");
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();

        // Names need not be UTF-8: a character for each byte.
        using StreamReader output = new(process.StandardOutput.BaseStream, Encoding.Latin1);
        string text = output.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, errors.GetAwaiter().GetResult());
        return text;
    }

    public static DirectoryHandle Open(string path) => DirectoryHandle.OpenRoot(path);

    public void Dispose()
    {
        Shell("chmod -R u+rwX \"$1\"; rm -rf \"$1\"", _root);
    }

    internal sealed class RecordingObserver : IOperationObserver
    {
        private readonly Lock _gate = new();
        private readonly List<string> _warnings = [];

        public IReadOnlyList<string> Warnings
        {
            get
            {
                lock (_gate)
                {
                    return [.. _warnings];
                }
            }
        }

        public int Completed { get; private set; }

        public void Verbose(string message)
        {
        }

        public void Warning(string message)
        {
            lock (_gate)
            {
                _warnings.Add(message);
            }
        }

        public void Progress(OperationProgress progress)
        {
            lock (_gate)
            {
                Completed += progress.IsCompleted ? 1 : 0;
            }
        }
    }
}
