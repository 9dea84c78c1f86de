namespace SmcDr.Core.Sites;

/// <summary>The words of <see cref="CheckResult.Outcome"/>.</summary>
public static class CheckOutcomes
{
    /// <summary>All is well.</summary>
    public const string Passed = nameof(Passed);

    /// <summary>It works, and something should be better.</summary>
    public const string Warning = nameof(Warning);

    /// <summary>It does not work, or what it makes could not be relied on.</summary>
    public const string Failed = nameof(Failed);

    /// <summary>It could not be looked at, because something it needs did not pass.</summary>
    public const string Skipped = nameof(Skipped);
}
