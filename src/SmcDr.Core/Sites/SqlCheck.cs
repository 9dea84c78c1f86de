namespace SmcDr.Core.Sites;

/// <summary>A query whose first value must be as expected.</summary>
public sealed record SqlCheck
{
    [SiteKey("A query that gives one value, such as \"select count(*) from trades\".")]
    public required string Query { get; init; }

    [SiteKey("What the value must be: =, <>, <, <=, > or >= and a number or text.", Kind = SiteValueKind.Expectation)]
    public required string Expect { get; init; }
}
