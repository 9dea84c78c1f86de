namespace SmcDr.Core.Repositories;

/// <summary>
/// Writes and reads extents as short as docs/repository-format.md allows. Of a fragmented file they are most of a manifest, and nearly all of
/// their numbers follow from those before. One for each stream of lines, since it goes by what stood before.
/// </summary>
internal sealed class ExtentText
{
    private int[] _ends = new int[256];

    public int[][] Write(IReadOnlyList<FileExtent> extents, Func<BlockReference, int> numberOf)
    {
        int[][] result = new int[extents.Count][];
        for (int i = 0; i < result.Length; i++)
        {
            FileExtent extent = extents[i];
            int number = extent.Block is null ? -1 : numberOf(extent.Block);
            result[i] = extent.Block is not null && i >= 2 && extents[i - 2].Block == extent.Block && extent.Start == Next(extents[i - 2], extents[i - 1])
                ? [extent.Length]
                : extent.Start == EndOf(number) ? [number, extent.Length] : [number, extent.Start, extent.Length];
            SetEnd(number, extent.Start + extent.Length);
        }

        return result;
    }

    /// <exception cref="FormatException">The extents are not valid.</exception>
    public FileExtent[] Read(int[][] lists, IReadOnlyList<BlockReference> blocks)
    {
        FileExtent[] result = new FileExtent[lists.Length];
        int beforeLast = -1;
        int last = -1;
        for (int i = 0; i < lists.Length; i++)
        {
            (int number, int start, int length) = lists[i] switch
            {
                [int l] when i >= 2 && beforeLast >= 0 => (beforeLast, Next(result[i - 2], result[i - 1]), l),
                [int n, int l] when n >= -1 && n < blocks.Count => (n, EndOf(n), l),
                [int n, int s, int l] when n >= -1 && n < blocks.Count => (n, s, l),
                _ => throw Invalid(),
            };
            if (start < 0 || length <= 0 || (number >= 0 && (long)start + length > blocks[number].Length))
            {
                throw Invalid();
            }

            result[i] = new FileExtent(number < 0 ? null : blocks[number], start, length);
            SetEnd(number, number < 0 ? 0 : start + length);
            beforeLast = last;
            last = number;
        }

        return result;
    }

    // Where the extent before the last would have gone on, had it covered the last one's part of the file, too.
    private static int Next(FileExtent beforeLast, FileExtent last) =>
        (int)Math.Min(int.MaxValue, (long)beforeLast.Start + beforeLast.Length + last.Length);

    private static FormatException Invalid() => new("a part of a file lies outside its block");

    private int EndOf(int number) => number >= 0 && number < _ends.Length ? _ends[number] : 0;

    private void SetEnd(int number, int end)
    {
        if (number >= 0)
        {
            if (number >= _ends.Length)
            {
                Array.Resize(ref _ends, Math.Max(number + 1, _ends.Length * 2));
            }

            _ends[number] = end;
        }
    }
}
