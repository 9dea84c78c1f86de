using SmcDr.Core.Platform;

namespace SmcDr.Core.FileStores;

/// <summary>Something in a tree. The handles are valid until the next one is asked for, unless retained.</summary>
/// <param name="Path">The path below the root, as in manifests.</param>
/// <param name="Parent">The directory that it is in.</param>
/// <param name="Name">Its name there.</param>
/// <param name="Status">What it was when it was looked at.</param>
/// <param name="Self">The directory itself, where it is one that can be opened.</param>
internal sealed record ScannedEntry(string Path, DirectoryHandle Parent, byte[] Name, FileStatus Status, DirectoryHandle? Self);
