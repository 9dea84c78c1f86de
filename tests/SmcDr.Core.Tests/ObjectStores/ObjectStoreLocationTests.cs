using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Tests.ObjectStores;

public sealed class ObjectStoreLocationTests
{
    [Theory]
    [InlineData("/var/backups/smc", "/var/backups/smc")]
    [InlineData("/var/backups/smc/", "/var/backups/smc")]
    [InlineData("/var/backups/../smc", "/var/smc")]
    [InlineData("/var/with space/100%/a?b#c", "/var/with space/100%/a?b#c")]
    [InlineData("file:///var/backups/smc", "/var/backups/smc")]
    [InlineData("file://localhost/var/backups", "/var/backups")]
    [InlineData("file:///var/with%20space", "/var/with space")]
    [InlineData("FILE:///var/backups", "/var/backups")]
    public void Parse_Directory_GivesItsPath(string location, string path)
    {
        DirectoryLocation parsed = Assert.IsType<DirectoryLocation>(ObjectStoreLocation.Parse(location));
        Assert.Equal(path, parsed.Path);
        Assert.Equal(parsed, ObjectStoreLocation.Parse(parsed.ToString()));
    }

    [Fact]
    public void Parse_S3WithEveryOption_KeepsThem()
    {
        S3Location parsed = Assert.IsType<S3Location>(ObjectStoreLocation.Parse(
            "s3://bucket/a/b/?region=eu-central-1&endpoint=https%3A%2F%2Fminio.example:9000&pathStyle=false&checksums=whenSupported&profile=ops@site&equalParts=true"));
        Assert.Equal("bucket", parsed.Bucket);
        Assert.Equal("a/b/", parsed.Prefix);
        Assert.Equal("eu-central-1", parsed.Region);
        Assert.Equal(new Uri("https://minio.example:9000"), parsed.Endpoint);
        Assert.False(parsed.PathStyle);
        Assert.True(parsed.ChecksumsWhenSupported);
        Assert.Equal("ops@site", parsed.Profile);
        Assert.True(parsed.EqualParts);
        Assert.Equal(parsed, ObjectStoreLocation.Parse(parsed.ToString()));
    }

    [Fact]
    public void Parse_PlainS3_IsAws()
    {
        S3Location parsed = Assert.IsType<S3Location>(ObjectStoreLocation.Parse("s3://bucket?region=us-west-2"));
        Assert.Equal("", parsed.Prefix);
        Assert.Null(parsed.Endpoint);
        Assert.False(parsed.PathStyle);
        Assert.True(parsed.ChecksumsWhenSupported);
        Assert.False(parsed.EqualParts);
        Assert.Equal("s3://bucket?region=us-west-2", parsed.ToString());
    }

    [Fact]
    public void Parse_OtherEndpoint_TakesTheCautiousDialect()
    {
        S3Location parsed = Assert.IsType<S3Location>(ObjectStoreLocation.Parse("s3://bucket/p?endpoint=http://127.0.0.1:5000"));
        Assert.True(parsed.PathStyle);
        Assert.False(parsed.ChecksumsWhenSupported);
        Assert.False(parsed.EqualParts);
        Assert.Equal("s3://bucket/p?endpoint=http://127.0.0.1:5000", parsed.ToString());
    }

    [Fact]
    public void Parse_CloudflareR2_TakesEqualParts() =>
        Assert.True(Assert.IsType<S3Location>(
            ObjectStoreLocation.Parse("s3://bucket?endpoint=https://account.r2.cloudflarestorage.com&region=auto")).EqualParts);

    [Theory]
    [InlineData("", "empty")]
    [InlineData("backups/smc", "root")]
    [InlineData("./smc", "root")]
    [InlineData("~/smc", "root")]
    [InlineData("/", "root of a file system")]
    [InlineData("file:///", "root of a file system")]
    [InlineData("file://server/share", "server")]
    [InlineData("file:///var?x=1", "no options")]
    [InlineData("ftp://server/path", "ftp")]
    [InlineData("s3://", "bucket")]
    [InlineData("s3:///prefix", "bucket")]
    [InlineData("s3://Bucket", "Bucket")]
    [InlineData("s3://ab", "'ab'")]
    [InlineData("s3://bucket/a//b", "'a//b'")]
    [InlineData("s3://bucket/../b", "'../b'")]
    [InlineData("s3://bucket/a%20b", "'a%20b'")]
    [InlineData("s3://bucket#x", "'#'")]
    [InlineData("s3://bucket?regoin=eu", "'regoin'")]
    [InlineData("s3://bucket?region", "'region'")]
    [InlineData("s3://bucket?region=a&region=b", "twice")]
    [InlineData("s3://bucket?region=a/b", "'a/b'")]
    [InlineData("s3://bucket?pathStyle=yes", "'yes'")]
    [InlineData("s3://bucket?checksums=always", "'always'")]
    [InlineData("s3://bucket?endpoint=minio:9000", "endpoint")]
    [InlineData("s3://bucket?endpoint=http://minio/path", "endpoint")]
    public void Parse_BadLocation_IsRefusedWithTheReason(string location, string reason)
    {
        SmcException exception = Assert.Throws<SmcException>(() => ObjectStoreLocation.Parse(location));
        Assert.Equal(SmcErrorCode.LocationInvalid, exception.Code);
        Assert.Contains(reason, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("s3://key:hunter2@bucket/prefix")]
    [InlineData("s3://bucket?endpoint=http://key:hunter2@minio:9000")]
    [InlineData("s3://bucket?endpoint=http://key:hunter2%40minio:9000")]
    [InlineData("s3://bucket?secretKey=hunter2")]
    [InlineData("file://user:hunter2@host/path")]
    [InlineData("https://user:hunter2@host/path")]
    public void Parse_LocationWithSecret_IsRefusedWithoutShowingIt(string location)
    {
        SmcException exception = Assert.Throws<SmcException>(() => ObjectStoreLocation.Parse(location));
        Assert.Equal(SmcErrorCode.LocationInvalid, exception.Code);
        Assert.DoesNotContain("hunter2", $"{exception} {exception.Recommendation} {exception.Target}", StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_ProfileThatDoesNotExist_NamesIt()
    {
        SmcException exception = await Assert.ThrowsAsync<SmcException>(async () =>
        {
            await using IObjectStore store = ObjectStoreFactory.Open(
                "s3://bucket?endpoint=http://127.0.0.1:9&profile=nobody-has-this-profile");
            await store.GetInfoAsync("key", default);
        });
        Assert.Contains("nobody-has-this-profile", exception.Message, StringComparison.Ordinal);
        Assert.Equal(SmcErrorCode.StorageAccessDenied, exception.Code);
    }

    [Fact]
    public async Task Open_EachKind_GivesItsStore()
    {
        await using IObjectStore directory = ObjectStoreFactory.Open("/var/backups/smc");
        Assert.IsType<DirectoryObjectStore>(directory);
        Assert.Equal("file:///var/backups/smc", directory.Location);
        await using IObjectStore s3 = ObjectStoreFactory.Open("s3://bucket/prefix?region=eu-central-1");
        Assert.IsType<S3ObjectStore>(s3);
        Assert.Equal("s3://bucket/prefix?region=eu-central-1", s3.Location);
    }
}
