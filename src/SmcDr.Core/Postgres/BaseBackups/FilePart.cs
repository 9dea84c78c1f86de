using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>A part of a file's content that is still to be written.</summary>
/// <param name="Offset">Where in the file it begins.</param>
/// <param name="Extent">What belongs there.</param>
internal readonly record struct FilePart(long Offset, FileExtent Extent)
{
    // Zeros are joined up to this length, as in manifests, so that whoever writes them needs no more memory than for blocks.
    private const int LongestZeros = Repository.MaximumBlockLength;

    /// <summary>Adds a part to a list in the order of the file, joined with the one before it where they are one run of one block.</summary>
    public static void Add(List<FilePart> parts, FilePart part)
    {
        if (parts.Count > 0 && parts[^1] is var last && last.Offset + last.Extent.Length == part.Offset && last.Extent.Block == part.Extent.Block &&
            (part.Extent.Block is null
                ? last.Extent.Length + (long)part.Extent.Length <= LongestZeros
                : last.Extent.Start + last.Extent.Length == part.Extent.Start))
        {
            parts[^1] = last with { Extent = last.Extent with { Length = last.Extent.Length + part.Extent.Length } };
        }
        else
        {
            parts.Add(part);
        }
    }
}
