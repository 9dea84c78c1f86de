namespace SmcDr;

/// <summary>A release of Helm, as its newest revision in a backup of a configuration says.</summary>
/// <param name="Name">The release's name.</param>
/// <param name="Namespace">The namespace that it is in.</param>
/// <param name="Revision">How often it was installed, upgraded or rolled back.</param>
/// <param name="Status">Helm's status, such as <c>deployed</c>.</param>
/// <param name="Chart">The chart's name.</param>
/// <param name="ChartVersion">The chart's version.</param>
/// <param name="AppVersion">The version of what the chart installs; null where the chart does not say.</param>
/// <param name="DeployedTime">When the revision was deployed, in UTC.</param>
public sealed record HelmReleaseInfo(
    string Name,
    string Namespace,
    int Revision,
    string Status,
    string Chart,
    string ChartVersion,
    string? AppVersion,
    DateTimeOffset? DeployedTime)
{
    /// <summary>The release in words, such as <c>web 3 (web-1.4.2, 2.0.1) deployed</c>.</summary>
    public override string ToString() =>
        FormattableString.Invariant($"{Name} {Revision} ({Chart}-{ChartVersion}{(AppVersion is null ? "" : $", {AppVersion}")}) {Status}");
}
