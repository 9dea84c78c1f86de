namespace SmcDr.Core.ObjectStores;

/// <summary>Opens the object store that a location names.</summary>
public static class ObjectStoreFactory
{
    /// <summary>Opens a store. Nothing is asked of it yet, so a store that is down is noticed at its first use.</summary>
    /// <param name="location"><c>/path</c>, <c>file:///path</c> or <c>s3://bucket/prefix?region=…</c>.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.LocationInvalid"/>, with the reason.</exception>
    public static IObjectStore Open(string location) => Open(ObjectStoreLocation.Parse(location));

    /// <summary>Opens a store.</summary>
    public static IObjectStore Open(ObjectStoreLocation location) => location switch
    {
        DirectoryLocation directory => new DirectoryObjectStore(directory.Path),
        S3Location s3 => new S3ObjectStore(s3),
        _ => throw new ArgumentException($"'{location}' is of a kind that no store is known for.", nameof(location)),
    };
}
