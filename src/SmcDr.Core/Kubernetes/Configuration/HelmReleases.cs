using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes.Configuration.Cleaning;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>
/// Reads what Helm 3 notes of its releases: a Secret, or a ConfigMap, for each revision, whose <c>release</c> is JSON, compressed and in Base64
/// (helm, pkg/storage/driver). Not safe for concurrent use.
/// </summary>
internal sealed class HelmReleases
{
    // What a Secret can hold is 1 MB; a release that is larger when it is decompressed is none.
    private const int MaximumRelease = 64 << 20;

    private readonly Dictionary<(string Namespace, string Name), HelmReleaseInfo> _newest = [];

    /// <summary>The newest revision of each release, by namespace and name.</summary>
    public IReadOnlyList<HelmReleaseInfo> List =>
        [.. _newest.Values.OrderBy(static release => release.Namespace, StringComparer.Ordinal).ThenBy(static release => release.Name, StringComparer.Ordinal)];

    /// <summary>Whether an object is one that Helm made for a release.</summary>
    public static bool IsRelease(KubernetesObject item) =>
        item.Kind is "Secret" or "ConfigMap" && item.Labels.GetValueOrDefault("owner") == "helm"
        && item.Raw.TextAt("data", "release") is not null;

    /// <summary>Takes note of a release.</summary>
    /// <returns>Why it cannot be read; null where it can.</returns>
    public string? Add(KubernetesObject item)
    {
        ArgumentNullException.ThrowIfNull(item);
        try
        {
            HelmReleaseInfo release = Read(item);
            (string, string) key = (release.Namespace, release.Name);
            if (!_newest.TryGetValue(key, out HelmReleaseInfo? known) || known.Revision < release.Revision)
            {
                _newest[key] = release;
            }

            return null;
        }
        catch (Exception e) when (e is FormatException or InvalidDataException or JsonException or InvalidOperationException)
        {
            return e.Message.TrimEnd('.');
        }
    }

    private static HelmReleaseInfo Read(KubernetesObject item)
    {
        string text = item.Raw.TextAt("data", "release")!;
        byte[] bytes = item.Kind == "Secret" ? Convert.FromBase64String(text) : Encoding.UTF8.GetBytes(text);
        byte[] content = new byte[Base64.GetMaxDecodedFromUtf8Length(bytes.Length)];
        if (Base64.DecodeFromUtf8(bytes, content, out _, out int length) != OperationStatus.Done)
        {
            throw new FormatException("It is not in Base64.");
        }

        using Stream json = content is [0x1F, 0x8B, 8, ..]
            ? new GZipStream(new MemoryStream(content, 0, length), CompressionMode.Decompress)
            : new MemoryStream(content, 0, length);
        using MemoryStream whole = new();
        byte[] buffer = new byte[16 << 10];
        int read;
        while ((read = json.Read(buffer)) > 0)
        {
            whole.Write(buffer, 0, read);
            if (whole.Length > MaximumRelease)
            {
                throw new InvalidDataException("It is too large.");
            }
        }

        JsonNode? release = JsonNode.Parse(whole.GetBuffer().AsSpan(0, (int)whole.Length));
        return new HelmReleaseInfo(
            release.TextAt("name") ?? throw new FormatException("It has no name."),
            item.Namespace ?? "",
            (int?)release.At("version") ?? 0,
            release.TextAt("info", "status") ?? "unknown",
            release.TextAt("chart", "metadata", "name") ?? "",
            release.TextAt("chart", "metadata", "version") ?? "",
            release.TextAt("chart", "metadata", "appVersion"),
            DateTimeOffset.TryParse(
                release.TextAt("info", "last_deployed"),
                CultureInfo.InvariantCulture,
                DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal,
                out DateTimeOffset deployed)
                ? deployed
                : null);
    }
}
