using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>
/// The server's data directory, where it can be read here without asking the server: that saves it, and the connections, most of the
/// work. Only what is proven to be the very directory counts; a copy of it, or the same path on another host, would be a backup of something else.
/// </summary>
internal sealed class LocalDataDirectory
{
    private const string PostmasterFile = "postmaster.pid";
    private const int MostControlReads = 5;
    private static readonly TimeSpan s_controlDelay = TimeSpan.FromMilliseconds(20);

    private readonly string _path;
    private readonly uint _owner;

    private LocalDataDirectory(string path, uint owner)
    {
        _path = path;
        _owner = owner;
    }

    /// <summary>Where it is.</summary>
    public string Path => _path;

    /// <summary>Looks for the directory, once the backup has begun; null where it is not here, cannot be read, or might be another.</summary>
    /// <remarks>
    /// The process that serves the session must be one of this kernel, with its working directory in the data directory (the server's processes
    /// have it there) and the same view of the file system, so that links to tablespaces lead to the same places. In that directory
    /// <c>postmaster.pid</c> and the control file, which the backup's checkpoint has just written, must be those that the server itself reads.
    /// </remarks>
    public static async Task<LocalDataDirectory?> FindAsync(
        NpgsqlConnection connection, ulong systemId, IOperationObserver observer, CancellationToken cancellationToken)
    {
        if (!OperatingSystem.IsLinux())
        {
            return null;
        }

        try
        {
            string process = string.Create(System.Globalization.CultureInfo.InvariantCulture, $"/proc/{connection.ProcessID}");
            if (TargetOf(process + "/ns/mnt") is not { } space || space != TargetOf("/proc/self/ns/mnt") ||
                TargetOf(process + "/root") is not { } root || root != TargetOf("/proc/self/root") ||
                TargetOf(process + "/cwd") is not { } path)
            {
                return null;
            }

            using NativeFile directory = OpenPath(path);
            LocalDataDirectory found = new(path, directory.GetStatus().UserId);
            byte[]? postmaster = await ReadOnServerAsync(connection, PostmasterFile, cancellationToken).ConfigureAwait(false);
            if (postmaster is null or [] || !found.Holds(PostmasterFile, postmaster))
            {
                return null;
            }

            for (int i = 0; i < MostControlReads; i++)
            {
                // The server may write it between the two readings.
                byte[]? control = await ReadOnServerAsync(connection, ControlFile.RelativePath, cancellationToken).ConfigureAwait(false);
                if (control is not null && found.Holds(ControlFile.RelativePath, control))
                {
                    if (ControlFile.Parse(control).SystemId != systemId)
                    {
                        return null;
                    }

                    observer.Verbose($"The data directory '{path}' is of this host, and its files are read without the server.");
                    return found;
                }

                await Task.Delay(s_controlDelay, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException or PostgresException or SmcException)
        {
            // Whatever it is, the server reads the files then, and tells if it cannot.
        }

        return null;
    }

    /// <summary>
    /// Opens a file. Null where it is not there, or cannot be read here, or is none that the server's account owns: an account that may read
    /// more than the server must not be led to files that the server itself could not have read.
    /// </summary>
    public NativeFile? TryOpen(string path)
    {
        NativeFile? file = null;
        try
        {
            file = OpenPath(System.IO.Path.Combine(_path, path));
            FileStatus status = file.GetStatus();
            if (status.Type == FileType.Regular && status.UserId == _owner)
            {
                return file;
            }
        }
        catch (PosixException)
        {
            // As above.
        }

        file?.Dispose();
        return null;
    }

    private bool Holds(string path, byte[] content)
    {
        using NativeFile? file = TryOpen(path);
        byte[] here = new byte[content.Length + 1];
        return file is not null && file.Read(here, 0) == content.Length && here.AsSpan(0, content.Length).SequenceEqual(content);
    }

    private static string? TargetOf(string link) => new FileInfo(link).LinkTarget;

    private static NativeFile OpenPath(string path) => NativeFile.OpenForReading(path);

    private static async Task<byte[]?> ReadOnServerAsync(NpgsqlConnection connection, string path, CancellationToken cancellationToken)
    {
        NpgsqlCommand command = new("SELECT pg_catalog.pg_read_binary_file($1, 0, 65536, true)", connection)
        {
            Parameters = { new NpgsqlParameter<string> { TypedValue = path } },
        };
        await using (command.ConfigureAwait(false))
        {
            return await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false) as byte[];
        }
    }
}
