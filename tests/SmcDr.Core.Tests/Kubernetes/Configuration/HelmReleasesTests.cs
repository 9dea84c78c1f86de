using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;

namespace SmcDr.Core.Tests.Kubernetes.Configuration;

public sealed class HelmReleasesTests
{
    [Fact]
    public void Add_SeveralRevisions_NamesTheNewestOfEachRelease()
    {
        HelmReleases releases = new();
        foreach (int revision in (int[])[2, 10, 9])
        {
            Assert.Null(releases.Add(Release("web", revision, revision == 10 ? "deployed" : "superseded")));
        }

        Assert.Null(releases.Add(Release("api", 1, "failed", isSecret: false)));

        Assert.Equal(["api 1 (api-1.0.1, 2.1) failed", "web 10 (web-1.0.10, 2.10) deployed"], releases.List.Select(static each => each.ToString()));
        Assert.Equal(new DateTimeOffset(2026, 11, 28, 10, 30, 0, TimeSpan.Zero), releases.List[1].DeployedTime);
    }

    [Theory]
    [InlineData("bm90IGJhc2U2NCE=")]
    [InlineData("SDRzSUFBQUE=")]
    [InlineData("e30=")]
    [InlineData("!")]
    public void Add_WhatIsNoRelease_SaysSoAndGoesOn(string content)
    {
        KubernetesObject item = Release("web", 1, "deployed");
        item.Raw["data"]!["release"] = content;
        HelmReleases releases = new();

        Assert.NotNull(releases.Add(item));
        Assert.Empty(releases.List);
    }

    /// <summary>What Helm 3 makes of a release: JSON, compressed, in Base64, and once more by the API.</summary>
    public static KubernetesObject Release(string name, int revision, string status, bool isSecret = true, string @namespace = "n")
    {
        JsonObject release = new()
        {
            ["name"] = name,
            ["namespace"] = @namespace,
            ["version"] = revision,
            ["info"] = new JsonObject { ["status"] = status, ["last_deployed"] = "2026-11-28T11:30:00.000000001+01:00" },
            ["chart"] = new JsonObject { ["metadata"] = new JsonObject { ["name"] = name, ["version"] = $"1.0.{revision}", ["appVersion"] = $"2.{revision}" } },
            ["manifest"] = "---\napiVersion: v1\n",
        };
        using MemoryStream compressed = new();
        using (GZipStream gzip = new(compressed, CompressionLevel.Optimal))
        {
            gzip.Write(Encoding.UTF8.GetBytes(release.ToJsonString()));
        }

        string content = Convert.ToBase64String(compressed.ToArray());
        return new KubernetesObject(new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = isSecret ? "Secret" : "ConfigMap",
            ["metadata"] = new JsonObject
            {
                ["name"] = $"sh.helm.release.v1.{name}.v{revision}",
                ["namespace"] = @namespace,
                ["labels"] = new JsonObject { ["owner"] = "helm", ["name"] = name, ["status"] = status, ["version"] = $"{revision}" },
            },
            ["type"] = isSecret ? "helm.sh/release.v1" : null,
            ["data"] = new JsonObject { ["release"] = isSecret ? Convert.ToBase64String(Encoding.UTF8.GetBytes(content)) : content },
        });
    }
}
