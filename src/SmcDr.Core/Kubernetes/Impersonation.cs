namespace SmcDr.Core.Kubernetes;

/// <summary>As whom requests are made, by a user who may act for others.</summary>
internal sealed record Impersonation(
    string? User, string? Uid, IReadOnlyList<string> Groups, IReadOnlyDictionary<string, IReadOnlyList<string>> Extra)
{
    public void AddTo(HttpRequestMessage request)
    {
        if (User is not null)
        {
            request.Headers.TryAddWithoutValidation("Impersonate-User", User);
        }

        if (Uid is not null)
        {
            request.Headers.TryAddWithoutValidation("Impersonate-Uid", Uid);
        }

        foreach (string group in Groups)
        {
            request.Headers.TryAddWithoutValidation("Impersonate-Group", group);
        }

        foreach ((string key, IReadOnlyList<string> values) in Extra)
        {
            foreach (string value in values)
            {
                request.Headers.TryAddWithoutValidation("Impersonate-Extra-" + Uri.EscapeDataString(key), value);
            }
        }
    }
}
