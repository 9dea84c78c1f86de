namespace SmcDr.Core.Repositories;

/// <summary>Files for what would not fit into memory. They have no name that anybody else could open, and are gone with the process.</summary>
internal static class TemporaryFile
{
    private const int BufferSize = 128 << 10;

    public static FileStream Create()
    {
        string path = Path.Combine(Path.GetTempPath(), $"smcdr-{Guid.NewGuid():N}");
        FileStreamOptions options = new()
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            Share = FileShare.Delete,
            BufferSize = BufferSize,
            Options = FileOptions.DeleteOnClose,
        };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        try
        {
            FileStream file = new(path, options);
            if (!OperatingSystem.IsWindows())
            {
                // Killed, it would stay: so it loses its name at once.
                File.Delete(path);
            }

            return file;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failure(e);
        }
    }

    /// <summary>What to tell where a temporary file cannot be written.</summary>
    public static SmcException Failure(Exception e) => new(
        SmcErrorCode.DiskSpaceInsufficient,
        $"A temporary file in '{Path.GetTempPath()}' cannot be written: {e.Message.TrimEnd('.')}.",
        e,
        recommendation: "Make room there, or point the environment variable TMPDIR to a directory with more, and run the command again.",
        target: Path.GetTempPath());
}
