namespace SmcDr.Core.Platform;

/// <summary>The type in a file's mode (<c>S_IFMT</c>).</summary>
internal enum FileType
{
    None = 0,
    Fifo = 0x1000,
    CharacterDevice = 0x2000,
    Directory = 0x4000,
    BlockDevice = 0x6000,
    Regular = 0x8000,
    Link = 0xA000,
    Socket = 0xC000,
}
