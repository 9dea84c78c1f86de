namespace SmcDr.Core.ObjectStores;

/// <summary>How large the parts of a multipart upload are, whose number is limited to 10 000 while the object's length is not known.</summary>
internal static class S3PartSize
{
    public const long Smallest = 8 * Mebibyte;

    public const long Largest = 1024 * Mebibyte;

    public const long Equal = 64 * Mebibyte;

    public const int MaximumParts = 10_000;

    private const long Mebibyte = 1024 * 1024;

    /// <summary>Parts of one size before the next size: 10 000 parts then hold 5 TiB.</summary>
    private const int Step = 800;

    /// <summary>The size of a part, counted from 1.</summary>
    public static long Of(int number, bool equalParts, string key, string location)
    {
        if (number > MaximumParts)
        {
            throw new SmcException(
                SmcErrorCode.StorageFull,
                $"The object '{key}' is too large for {location}: an upload has at most {MaximumParts} parts.",
                recommendation: "Report this: SmcDr splits what it stores into objects far smaller than that.",
                target: key);
        }

        return equalParts ? Equal : Math.Min(Largest, Smallest << Math.Min((number - 1) / Step, 7));
    }

    /// <summary>How many of an upload's slots a part takes, so that parts under way never sum up to much more than 64 MiB.</summary>
    public static int SlotsOf(long size, int parallelism) => (int)Math.Clamp(size / (2 * Smallest), 1, parallelism);
}
