namespace SmcDr.Core.ObjectStores;

/// <summary>Where a repository is kept, as a site file or a command line names it: a directory or an S3 bucket.</summary>
public abstract record ObjectStoreLocation
{
    private protected ObjectStoreLocation()
    {
    }

    /// <summary>Reads <c>/path</c>, <c>file:///path</c> or <c>s3://bucket/prefix?region=…</c>.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.LocationInvalid"/>, with the reason.</exception>
    public static ObjectStoreLocation Parse(string location)
    {
        ArgumentNullException.ThrowIfNull(location);
        if (location.StartsWith(S3Location.Scheme, StringComparison.OrdinalIgnoreCase))
        {
            return S3Location.ParseRest(location, location[S3Location.Scheme.Length..]);
        }

        if (location.StartsWith(DirectoryLocation.Scheme, StringComparison.OrdinalIgnoreCase))
        {
            return DirectoryLocation.ParseUri(location);
        }

        int colon = location.IndexOf("://", StringComparison.Ordinal);
        return colon > 0
            ? throw Invalid(location, $"'{location[..colon]}' is not a kind of location that SmcDr knows")
            : DirectoryLocation.ParsePath(location);
    }

    /// <summary>The location as a user would write it. Never holds a secret.</summary>
    public abstract override string ToString();

    /// <summary>The error for a location, which is shown unless it is null or might hold a password.</summary>
    private protected static SmcException Invalid(string? location, string reason, string? recommendation = null)
    {
        string? shown = location is null || location.Contains('@', StringComparison.Ordinal) ? null : location;
        return new SmcException(
            SmcErrorCode.LocationInvalid,
            shown is null ? $"The location is not valid: {reason}." : $"The location '{shown}' is not valid: {reason}.",
            recommendation: recommendation,
            target: shown);
    }
}
