namespace SmcDr;

/// <summary>Somebody who is called in an incident.</summary>
/// <param name="Role">What the contact does, such as <c>DR Coordinator</c>.</param>
/// <param name="Name">The contact's name.</param>
/// <param name="Address">A mail address or a telephone number.</param>
public sealed record IncidentContact(string Role, string? Name, string Address)
{
    /// <summary>The role and how to reach it.</summary>
    public override string ToString() => Name is null ? $"{Role}: {Address}" : $"{Role}: {Name}, {Address}";
}
