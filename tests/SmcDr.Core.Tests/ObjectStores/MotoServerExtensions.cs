using System.Globalization;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.ObjectStores;

internal static class MotoServerExtensions
{
    /// <summary>Opens a store on moto, or on a proxy before it, as a user would by its location; only credentials and patience differ.</summary>
    public static S3ObjectStore Open(
        this MotoServer moto,
        string location,
        Func<S3ObjectStoreOptions, S3ObjectStoreOptions>? change = null,
        int? port = null)
    {
        string separator = location.Contains('?', StringComparison.Ordinal) ? "&" : "?";
        S3Location parsed = (S3Location)ObjectStoreLocation.Parse(
            string.Create(CultureInfo.InvariantCulture, $"{location}{separator}endpoint=http://127.0.0.1:{port ?? moto.Port}"));
        S3ObjectStoreOptions options = new() { Credentials = MotoServer.Credentials };
        return new S3ObjectStore(parsed, change?.Invoke(options) ?? options);
    }
}
