namespace SmcDr.Core.Repositories;

/// <summary>Makes entries of lines, and believes none of them unseen.</summary>
/// <param name="key">The manifest's key, for errors.</param>
/// <param name="blocks">The blocks by their numbers; grows while the manifest is read.</param>
internal sealed class ManifestEntryParser(string key, IReadOnlyList<BlockReference> blocks)
{
    private const int ModeMask = 0xFFF;
    private readonly ExtentText _extents = new();
    private string? _lastPath;

    public static bool IsEntry(string kind) => kind is ManifestLine.FileLine or ManifestLine.DirectoryLine or ManifestLine.LinkLine
        or ManifestLine.HardLinkLine or ManifestLine.SpecialLine;

    public ManifestEntry Parse(ManifestLine line)
    {
        ManifestEntryKind kind = line.T switch
        {
            ManifestLine.FileLine => ManifestEntryKind.File,
            ManifestLine.DirectoryLine => ManifestEntryKind.Directory,
            ManifestLine.HardLinkLine => ManifestEntryKind.HardLink,
            ManifestLine.SpecialLine => ManifestEntryKind.Special,
            _ => ManifestEntryKind.Link,
        };
        long size = kind == ManifestEntryKind.File ? line.Size ?? throw Invalid("a line lacks a field") : 0;
        FileExtent[] extents = line.Extents is null or [] ? [] : _extents.Read(line.Extents, blocks);
        long total = 0;
        foreach (FileExtent extent in extents)
        {
            total += extent.Length;
        }

        if (total != size)
        {
            throw Invalid($"the parts of '{line.Path}' do not make up its size");
        }

        ManifestEntry entry = new()
        {
            Kind = kind,
            Path = line.Path ?? throw Invalid("an entry has no path"),
            Size = size,
            Mode = Convert.ToInt32(line.Mode ?? "0", 8),
            ModifiedTime = line.Mtime,
            LinkTarget = line.To,
            Extents = extents,
            Hash = line.Sha256,
            Node = line.Node,
        };
        entry.ValidatePath();
        if (_lastPath is not null && string.CompareOrdinal(_lastPath, entry.Path) >= 0)
        {
            throw Invalid($"'{entry.Path}' is not in order");
        }

        if ((entry.Mode & ~ModeMask) != 0 ||
            (kind is ManifestEntryKind.Link or ManifestEntryKind.HardLink && string.IsNullOrEmpty(entry.LinkTarget)) ||
            (kind == ManifestEntryKind.HardLink && string.CompareOrdinal(entry.LinkTarget, entry.Path) >= 0) ||
            (kind == ManifestEntryKind.Special && entry.Node?.Type is not ("fifo" or "char" or "block")))
        {
            throw Invalid($"the line of '{entry.Path}' does not make sense");
        }

        _lastPath = entry.Path;
        return entry;
    }

    private SmcException Invalid(string reason) =>
        new(SmcErrorCode.ManifestInvalid, $"The manifest '{key}' is not valid: {reason}.", target: key);
}
