namespace SmcDr.Core.Sites;

/// <summary>Somebody who is called in an incident.</summary>
public sealed record ContactSettings
{
    [SiteKey("What the contact does in an incident, such as DR Coordinator.")]
    public required string Role { get; init; }

    [SiteKey("How to reach the contact: a mail address or a telephone number.")]
    public required string Address { get; init; }

    [SiteKey("The contact's name.")]
    public string? Name { get; init; }
}
