using YamlDotNet.Core;

namespace SmcDr.Core.Sites;

/// <summary>A value of the site file and where it stands.</summary>
internal abstract record SiteNode(Mark Start)
{
    /// <summary>A text, number or word; null where nothing, <c>~</c> or <c>null</c> is written.</summary>
    public sealed record Scalar(Mark Start, string? Value, bool IsPlain) : SiteNode(Start);

    public sealed record Sequence(Mark Start, IReadOnlyList<SiteNode> Items) : SiteNode(Start);

    public sealed record Mapping(Mark Start, IReadOnlyList<KeyValuePair<Scalar, SiteNode>> Entries) : SiteNode(Start)
    {
        public SiteNode? Find(string key) => Entries.FirstOrDefault(entry => entry.Key.Value == key).Value;
    }

    /// <summary>What this is, for messages.</summary>
    public string Display => this switch
    {
        Mapping => "a mapping",
        Sequence => "a list",
        Scalar { Value: null } => "nothing",
        _ => "a single value",
    };
}
