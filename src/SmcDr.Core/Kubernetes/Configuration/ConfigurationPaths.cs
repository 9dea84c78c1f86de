using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>Where documents lie in a backup: sorted by path they are in the order in which they are restored.</summary>
internal static class ConfigurationPaths
{
    /// <summary>The folder of what is restored.</summary>
    public const string Objects = "objects/";

    /// <summary>The folder of volumes that went with their claims, unless somebody kept them.</summary>
    public const string ProvisionedVolumes = "provisioned-volumes/";

    // With '.yaml', and with what replaces the end of a longer one, a file system's 255 bytes are kept.
    private const int MaximumName = 200;

    /// <summary>The path of an object's document.</summary>
    public static string Of(KubernetesResource resource, KubernetesObject item)
    {
        ArgumentNullException.ThrowIfNull(resource);
        ArgumentNullException.ThrowIfNull(item);
        return $"{Objects}{ConfigurationLevel.Of(resource.Group, resource.Kind)}/{resource.FullName}/"
            + (item.Namespace is null ? "" : Segment(item.Namespace) + "/") + Segment(item.Name) + ".yaml";
    }

    /// <summary>The path of a volume that is restored only where somebody asks for it.</summary>
    public static string OfProvisionedVolume(string name) => $"{ProvisionedVolumes}{Segment(name)}.yaml";

    /// <summary>The level that a path lies in; null for a provisioned volume.</summary>
    public static string? LevelOf(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return path.StartsWith(Objects, StringComparison.Ordinal) ? path[Objects.Length..path.IndexOf('/', Objects.Length)] : null;
    }

    /// <summary>The kind that a path is of, as <see cref="KubernetesResource.FullName"/> has it.</summary>
    public static string ResourceOf(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        string[] parts = path.Split('/');
        return parts is ["objects", _, var resource, ..] ? resource : "persistentvolumes";
    }

    /// <summary>Names of roles may hold almost anything, which no file system need take.</summary>
    private static string Segment(string name)
    {
        StringBuilder text = new(name.Length);
        foreach (byte b in Encoding.UTF8.GetBytes(name))
        {
            if (char.IsAsciiLetterOrDigit((char)b) || b is (byte)'-' or (byte)'.' or (byte)'_')
            {
                text.Append((char)b);
            }
            else
            {
                text.Append(CultureInfo.InvariantCulture, $"%{b:X2}");
            }
        }

        return text.Length <= MaximumName
            ? text.ToString()
            : $"{text.ToString(0, MaximumName)}~{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(name)).AsSpan(0, 8))}";
    }
}
