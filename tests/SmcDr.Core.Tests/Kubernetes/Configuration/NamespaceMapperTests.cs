using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;

namespace SmcDr.Core.Tests.Kubernetes.Configuration;

public sealed class NamespaceMapperTests
{
    [Theory]
    [InlineData(
        """{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"}}""",
        """{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"b"}}""")]
    [InlineData(
        """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","namespace":"a","annotations":{"meta.helm.sh/release-namespace":"a","kubectl.kubernetes.io/last-applied-configuration":"{}"}},"data":{"namespace":"a"}}""",
        """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","namespace":"b","annotations":{"meta.helm.sh/release-namespace":"b"}},"data":{"namespace":"a"}}""")]
    [InlineData(
        """{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"x"},"subjects":[{"kind":"ServiceAccount","name":"a","namespace":"a"},{"kind":"ServiceAccount","name":"a","namespace":"c"},{"kind":"Group","name":"system:serviceaccounts:a"},{"kind":"User","name":"system:serviceaccount:a:web"}]}""",
        """{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"x"},"subjects":[{"kind":"ServiceAccount","name":"a","namespace":"b"},{"kind":"ServiceAccount","name":"a","namespace":"c"},{"kind":"Group","name":"system:serviceaccounts:b"},{"kind":"User","name":"system:serviceaccount:b:web"}]}""")]
    [InlineData(
        """{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":"x"},"webhooks":[{"clientConfig":{"service":{"namespace":"a","name":"s"}}},{"clientConfig":{"url":"https://x"}}]}""",
        """{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":"x"},"webhooks":[{"clientConfig":{"service":{"namespace":"b","name":"s"}}},{"clientConfig":{"url":"https://x"}}]}""")]
    [InlineData(
        """{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"x","namespace":"a"},"spec":{"ingress":[{"from":[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"a","x":"a"}}}]}]}}""",
        """{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"x","namespace":"b"},"spec":{"ingress":[{"from":[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"b","x":"a"}}}]}]}}""")]
    [InlineData(
        """{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"x","namespace":"a"},"spec":{"template":{"spec":{"affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"namespaces":["a","c"]}]}}}}}}""",
        """{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"x","namespace":"b"},"spec":{"template":{"spec":{"affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"namespaces":["b","c"]}]}}}}}}""")]
    [InlineData(
        """{"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"name":"x","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}"}}}""",
        """{"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"name":"x","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}"}}}""")]
    [InlineData(
        """{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"x","namespace":"a"},"spec":{"namespaces":["a"]}}""",
        """{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"x","namespace":"b"},"spec":{"namespaces":["a"]}}""")]
    public void Apply_ObjectThatNamesNamespaces_MovesThemWhereTheApiKnowsThem(string from, string to)
    {
        KubernetesObject item = ClusterFixture.Parse(from);

        new NamespaceMapper(new Dictionary<string, string> { ["a"] = "b" }).Apply(item);

        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(to), item.Raw), item.Raw.ToJsonString());
    }

    [Theory]
    [InlineData("app=web", true)]
    [InlineData("app==web,tier!=test", true)]
    [InlineData("app!=web", false)]
    [InlineData("tier", true)]
    [InlineData("!tier", false)]
    [InlineData("!legacy", true)]
    [InlineData("app in (api, web), tier", true)]
    [InlineData("app notin (api,web)", false)]
    [InlineData("zone notin (a)", true)]
    [InlineData("zone=a", false)]
    public void LabelSelector_WordsOfKubectl_MeanTheSame(string selector, bool expected) => Assert.Equal(
        expected, LabelSelector.Parse(selector).Matches(new Dictionary<string, string> { ["app"] = "web", ["tier"] = "front" }));

    [Theory]
    [InlineData("")]
    [InlineData("a b c")]
    [InlineData("=x")]
    [InlineData("a in b")]
    [InlineData("a,,b")]
    public void LabelSelector_WhatIsNone_IsRefused(string selector) =>
        Assert.Equal(SmcErrorCode.ArgumentInvalid, Assert.Throws<SmcException>(() => LabelSelector.Parse(selector)).Code);

    [Theory]
    [InlineData("system:x/y", "objects/06-accounts/clusterroles.rbac.authorization.k8s.io/system%3Ax%2Fy.yaml")]
    [InlineData("ü", "objects/06-accounts/clusterroles.rbac.authorization.k8s.io/%C3%BC.yaml")]
    public void Paths_NamesThatFilesCannotHave_AreWrittenSoThatTheyCan(string name, string expected) => Assert.Equal(
        expected,
        ConfigurationPaths.Of(
            new KubernetesResource { Group = "rbac.authorization.k8s.io", Version = "v1", Plural = "clusterroles", Kind = "ClusterRole", IsNamespaced = false },
            ClusterFixture.Parse($$$"""{"metadata":{"name":"{{{name}}}"}}""")));

    [Fact]
    public void Paths_LongestNames_FitIntoAFileSystemAndDiffer()
    {
        string[] paths = [.. new[] { "a", "b" }.Select(static end => ConfigurationPaths.Of(
            KubernetesResource.ConfigMaps, ClusterFixture.Parse($$$"""{"metadata":{"namespace":"n","name":"{{{new string('x', 252)}}}{{{end}}}"}}""")))];

        Assert.NotEqual(paths[0], paths[1]);
        Assert.All(paths, static path => Assert.InRange(path.Split('/')[^1].Length, 1, 255));
    }
}
