using System.Globalization;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace SmcDr.Core.Kubernetes;

/// <summary>One kubeconfig file.</summary>
internal sealed class KubeconfigDocument
{
    private readonly YamlMappingNode _root;

    private KubeconfigDocument(string path, YamlMappingNode root)
    {
        FilePath = path;
        _root = root;
    }

    public string FilePath { get; }

    public string Directory => Path.GetDirectoryName(FilePath) ?? ".";

    public string? CurrentContext => Text(_root, "current-context");

    public static KubeconfigDocument Parse(string path, string text)
    {
        try
        {
            YamlStream stream = [];
            stream.Load(new StringReader(text));
            return stream.Documents.Count == 0
                ? new KubeconfigDocument(path, [])
                : stream.Documents[0].RootNode switch
                {
                    YamlMappingNode mapping => new KubeconfigDocument(path, mapping),
                    YamlScalarNode { Value: null or "" or "null" or "~" } => new KubeconfigDocument(path, []),
                    _ => throw Invalid(path, "it is no mapping"),
                };
        }
        catch (YamlException e)
        {
            // The message of the library may quote the text around, which holds secrets.
            throw Invalid(path, string.Create(CultureInfo.InvariantCulture, $"line {e.Start.Line} is not valid YAML"));
        }
    }

    /// <summary>The entry of a name in <c>clusters</c>, <c>contexts</c> or <c>users</c>.</summary>
    public YamlMappingNode? Find(string list, string member, string name)
    {
        foreach (YamlMappingNode entry in Entries(list))
        {
            if (Text(entry, "name") == name)
            {
                return Mapping(entry, member) ?? [];
            }
        }

        return null;
    }

    public IEnumerable<string> Names(string list) => Entries(list).Select(entry => Text(entry, "name")).OfType<string>();

    public string? Text(YamlMappingNode node, string key) => Child(node, key) switch
    {
        null => null,
        YamlScalarNode { Style: ScalarStyle.Plain, Value: "" or "~" or "null" } => null,
        YamlScalarNode scalar => scalar.Value,
        _ => throw Invalid(FilePath, $"'{key}' must be a text"),
    };

    public bool Flag(YamlMappingNode node, string key) => Text(node, key) switch
    {
        null => false,
        string text when text.Equals("true", StringComparison.OrdinalIgnoreCase) => true,
        string text when text.Equals("false", StringComparison.OrdinalIgnoreCase) => false,
        _ => throw Invalid(FilePath, $"'{key}' must be true or false"),
    };

    public YamlMappingNode? Mapping(YamlMappingNode node, string key) => Child(node, key) switch
    {
        null or YamlScalarNode { Value: null or "" or "~" or "null" } => null,
        YamlMappingNode mapping => mapping,
        _ => throw Invalid(FilePath, $"'{key}' must be a mapping"),
    };

    public IReadOnlyList<YamlNode> Items(YamlMappingNode node, string key) => Child(node, key) switch
    {
        null or YamlScalarNode { Value: null or "" or "~" or "null" } => [],
        YamlSequenceNode sequence => [.. sequence.Children],
        _ => throw Invalid(FilePath, $"'{key}' must be a list"),
    };

    public IReadOnlyList<string> Texts(YamlMappingNode node, string key) =>
    [
        .. Items(node, key).Select(item => item is YamlScalarNode { Value: { } value }
            ? value
            : throw Invalid(FilePath, $"'{key}' must be a list of texts")),
    ];

    /// <summary>What is written down in Base64.</summary>
    public byte[]? Data(YamlMappingNode node, string key)
    {
        string? text = Text(node, key);
        try
        {
            return string.IsNullOrEmpty(text) ? null : Convert.FromBase64String(text);
        }
        catch (FormatException)
        {
            throw Invalid(FilePath, $"'{key}' is not valid Base64");
        }
    }

    public SmcException Invalid(string reason) => Invalid(FilePath, reason);

    private static SmcException Invalid(string path, string reason) =>
        new(SmcErrorCode.KubeconfigInvalid, $"The kubeconfig {path} is not valid: {reason}.", target: path);

    private static YamlNode? Child(YamlMappingNode node, string key) =>
        node.Children.TryGetValue(new YamlScalarNode(key), out YamlNode? child) ? child : null;

    private IEnumerable<YamlMappingNode> Entries(string list) => Items(_root, list).Select(item =>
        item as YamlMappingNode ?? throw Invalid(FilePath, $"an entry of '{list}' is no mapping"));
}
