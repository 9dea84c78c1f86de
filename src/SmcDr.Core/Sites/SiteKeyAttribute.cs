namespace SmcDr.Core.Sites;

/// <summary>
/// Makes a property a key of the site file. The loader validates by it and the JSON schema is generated from it; the key is the
/// property's name in camel case, and it must be there where the property is <c>required</c>.
/// </summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class SiteKeyAttribute(string description) : Attribute
{
    /// <summary>What the key is for, in a sentence.</summary>
    public string Description { get; } = description;

    /// <summary>What a text, or each text of a list, must be.</summary>
    public SiteValueKind Kind { get; init; }

    /// <summary>The smallest number that is allowed.</summary>
    public int Minimum { get; init; }

    /// <summary>The largest number that is allowed.</summary>
    public int Maximum { get; init; } = int.MaxValue;
}
