using SmcDr.Core.Operations;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Tests.Sites;

/// <summary>Which writers belong to what is recovered.</summary>
public sealed class SiteWorkloadsTests
{
    [Theory]
    [InlineData(null, true)]
    [InlineData("/var/lib/postgresql/16/main", true)]
    [InlineData("/var/lib/postgresql/16/main/", true)]
    [InlineData("/var/lib/postgresql/16/../16/main//", true)]
    [InlineData("/var/lib/postgresql/16/main-copy", false)]
    public void CreateWritersOf_DirectoryOfTheDatabase_HasThemHoweverItIsWritten(string? directory, bool expected) =>
        Assert.Equal(expected, Site.CreateWritersOf(directory, NullObserver.Instance) is not null);

    private static Site Site { get; } = SiteFile.Parse(
        """
        name: shop
        repository: { location: "file:///backups" }
        regions:
          here:
            role: primary
            kubernetes: { namespace: shop }
            database: { connection: "Host=localhost", dataDirectory: /var/lib/postgresql/16/main }
        writers: [ deployment/web ]
        """,
        "/etc/smcdr.yaml");
}
