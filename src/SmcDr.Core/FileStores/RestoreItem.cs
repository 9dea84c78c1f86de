using SmcDr.Core.Platform;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.FileStores;

/// <summary>A file that is being restored.</summary>
internal sealed class RestoreItem(ManifestEntry entry, DirectoryHandle directory, byte[] name, byte[] temporaryName)
{
    public ManifestEntry Entry => entry;

    /// <summary>The directory that it comes into; retained.</summary>
    public DirectoryHandle Directory => directory;

    public byte[] Name => name;

    /// <summary>Its name until it is complete.</summary>
    public byte[] TemporaryName => temporaryName;

    public Lock Gate { get; } = new();

    public NativeFile? File { get; set; }

    /// <summary>How many stored parts are still to be written.</summary>
    public int PartsLeft { get; set; }
}
