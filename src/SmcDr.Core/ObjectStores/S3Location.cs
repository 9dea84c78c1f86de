using System.Text;

namespace SmcDr.Core.ObjectStores;

/// <summary>
/// A repository in an S3 bucket: <c>s3://bucket/prefix?region=…&amp;endpoint=…&amp;pathStyle=…&amp;checksums=…&amp;profile=…&amp;equalParts=…</c>.
/// </summary>
public sealed record S3Location : ObjectStoreLocation
{
    internal const string Scheme = "s3://";

    private const string Options = "region, endpoint, pathStyle, checksums, profile and equalParts";

    private S3Location(string bucket, string prefix)
    {
        Bucket = bucket;
        Prefix = prefix;
    }

    /// <summary>The bucket.</summary>
    public string Bucket { get; }

    /// <summary>What stands before every key: empty, or ends with <c>/</c>.</summary>
    public string Prefix { get; }

    /// <summary>The region; that of the environment or the profile where null.</summary>
    public string? Region { get; private init; }

    /// <summary>The server, where it is not AWS itself.</summary>
    public Uri? Endpoint { get; private init; }

    /// <summary>Whether the bucket stands in the path (MinIO, Ceph, most servers of one's own) or in the host name (AWS).</summary>
    public bool PathStyle { get; private init; }

    /// <summary>
    /// Whether checksums of the S3 protocol of 2024 are sent and asked for wherever possible. AWS understands them; other servers
    /// refuse them or store their framing as if it were content, so with an endpoint the default is only where required.
    /// </summary>
    public bool ChecksumsWhenSupported { get; private init; }

    /// <summary>The profile of the shared AWS configuration; the usual chain of credentials where null.</summary>
    public string? Profile { get; private init; }

    /// <summary>Whether all parts of an upload but the last must be of one size, as Cloudflare R2 demands.</summary>
    public bool EqualParts { get; private init; }

    /// <inheritdoc/>
    public override string ToString()
    {
        StringBuilder text = new(Scheme);
        text.Append(Bucket);
        if (Prefix.Length > 0)
        {
            text.Append('/').Append(Prefix.AsSpan(0, Prefix.Length - 1));
        }

        char separator = '?';
        void Append(string name, string? value)
        {
            if (value is not null)
            {
                text.Append(separator).Append(name).Append('=').Append(value);
                separator = '&';
            }
        }

        Append("region", Region);
        Append("endpoint", Endpoint?.GetLeftPart(UriPartial.Authority));
        Append("pathStyle", PathStyle == (Endpoint is not null) ? null : PathStyle ? "true" : "false");
        Append("checksums", ChecksumsWhenSupported == Endpoint is null ? null : ChecksumsWhenSupported ? "whenSupported" : "whenRequired");
        Append("profile", Profile is null ? null : Uri.EscapeDataString(Profile));
        Append("equalParts", EqualParts == IsR2(Endpoint) ? null : EqualParts ? "true" : "false");
        return text.ToString();
    }

    internal static S3Location ParseRest(string location, string rest)
    {
        if (rest.Contains('#', StringComparison.Ordinal))
        {
            throw Invalid(location, "'#' has no meaning in it");
        }

        int question = rest.IndexOf('?', StringComparison.Ordinal);
        string path = question < 0 ? rest : rest[..question];
        if (path.Contains('@', StringComparison.Ordinal))
        {
            throw Invalid(
                null,
                "it holds '@', so perhaps a key or a password",
                "Never write credentials into a location: SmcDr takes them where the AWS tools do, such as AWS_PROFILE or a role. "
                + "Replace those that stood there.");
        }

        int slash = path.IndexOf('/', StringComparison.Ordinal);
        string bucket = slash < 0 ? path : path[..slash];
        string prefix = slash < 0 ? "" : path[(slash + 1)..].TrimEnd('/');
        if (!IsBucketName(bucket))
        {
            throw Invalid(location, $"'{bucket}' cannot be the name of a bucket (3 to 63 of a-z, 0-9, '-' and '.')");
        }

        if (prefix.Length > 0)
        {
            try
            {
                ObjectKey.Validate(prefix);
            }
            catch (ArgumentException)
            {
                throw Invalid(location, $"'{prefix}' cannot be a prefix (parts of A-Z, a-z, 0-9, '.', '_' and '-' between single slashes)");
            }

            prefix += "/";
        }

        Dictionary<string, string> options = ParseOptions(location, question < 0 ? "" : rest[(question + 1)..]);
        Uri? endpoint = ParseEndpoint(location, options.GetValueOrDefault("endpoint"));
        return new S3Location(bucket, prefix)
        {
            Region = ParseRegion(location, options.GetValueOrDefault("region")),
            Endpoint = endpoint,
            PathStyle = ParseFlag(location, options, "pathStyle") ?? endpoint is not null,
            ChecksumsWhenSupported = options.GetValueOrDefault("checksums") switch
            {
                null => endpoint is null,
                "whenSupported" => true,
                "whenRequired" => false,
                string other => throw Invalid(location, $"checksums is '{other}', neither whenSupported nor whenRequired"),
            },
            Profile = options.GetValueOrDefault("profile"),
            EqualParts = ParseFlag(location, options, "equalParts") ?? IsR2(endpoint),
        };
    }

    private static Dictionary<string, string> ParseOptions(string location, string query)
    {
        Dictionary<string, string> options = new(StringComparer.Ordinal);
        foreach (string option in query.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = option.IndexOf('=', StringComparison.Ordinal);
            string name = equals < 0 ? option : option[..equals];
            string value = equals < 0 ? "" : Uri.UnescapeDataString(option[(equals + 1)..]);
            if (name is not ("region" or "endpoint" or "pathStyle" or "checksums" or "profile" or "equalParts"))
            {
                // The name alone is shown: the value might be a key that somebody put there.
                throw Invalid(null, $"it has an option '{name}'; the options are {Options}");
            }

            if (value.Length == 0)
            {
                throw Invalid(location, $"its option '{name}' has no value");
            }

            if (!options.TryAdd(name, value))
            {
                throw Invalid(location, $"its option '{name}' stands there twice");
            }
        }

        return options;
    }

    private static Uri? ParseEndpoint(string location, string? value)
    {
        if (value is null)
        {
            return null;
        }

        if (!Uri.TryCreate(value, UriKind.Absolute, out Uri? endpoint) || endpoint.Scheme is not ("http" or "https"))
        {
            throw Invalid(location, "its endpoint is no http or https address");
        }

        return endpoint.UserInfo.Length > 0 || value.Contains('@', StringComparison.Ordinal)
            ? throw Invalid(null, "its endpoint holds a user name or a password")
            : endpoint.AbsolutePath is not "/" || endpoint.Query.Length > 0 || endpoint.Fragment.Length > 0
                ? throw Invalid(location, "its endpoint holds more than scheme, host and port")
                : endpoint;
    }

    private static string? ParseRegion(string location, string? region) =>
        region is null || region.All(static c => char.IsAsciiLetterOrDigit(c) || c == '-')
            ? region
            : throw Invalid(location, $"'{region}' cannot be the name of a region");

    private static bool? ParseFlag(string location, Dictionary<string, string> options, string name) =>
        options.GetValueOrDefault(name) switch
        {
            null => null,
            "true" => true,
            "false" => false,
            string other => throw Invalid(location, $"its option '{name}' is '{other}', neither true nor false"),
        };

    private static bool IsBucketName(string name) =>
        name.Length is >= 3 and <= 63
        && name.All(static c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '-' or '.')
        && char.IsAsciiLetterOrDigit(name[0])
        && char.IsAsciiLetterOrDigit(name[^1])
        && !name.Contains("..", StringComparison.Ordinal);

    private static bool IsR2(Uri? endpoint) =>
        endpoint is not null && endpoint.Host.EndsWith(".r2.cloudflarestorage.com", StringComparison.OrdinalIgnoreCase);
}
