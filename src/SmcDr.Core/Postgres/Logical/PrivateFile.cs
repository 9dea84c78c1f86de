using System.Globalization;
using System.Text;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>
/// A file that only this account can read, for one of PostgreSQL's programs. On Linux it has no name: the program opens it through this
/// process, so that even kill -9 leaves nothing behind. Elsewhere it is a temporary file that goes with this object.
/// </summary>
internal sealed class PrivateFile : IDisposable
{
    private PrivateFile(FileStream stream) => Stream = stream;

    /// <summary>The file, for writing.</summary>
    public FileStream Stream { get; }

    /// <summary>The path by which a child process opens it.</summary>
    public string Path => OperatingSystem.IsLinux()
        ? string.Create(CultureInfo.InvariantCulture, $"/proc/{Environment.ProcessId}/fd/{Stream.SafeFileHandle.DangerousGetHandle()}")
        : Stream.Name;

    public static PrivateFile Create() => new(TemporaryFile.Create());

    /// <summary>A file with this text, in UTF-8.</summary>
    public static PrivateFile Create(string text)
    {
        PrivateFile file = Create();
        try
        {
            file.Stream.Write(Encoding.UTF8.GetBytes(text));
            file.Stream.Flush();
            return file;
        }
        catch (IOException e)
        {
            file.Dispose();
            throw TemporaryFile.Failure(e);
        }
    }

    public void Dispose() => Stream.Dispose();
}
