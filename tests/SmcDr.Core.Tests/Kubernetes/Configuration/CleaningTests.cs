using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;
using SmcDr.Core.Kubernetes.Configuration.Cleaning;

namespace SmcDr.Core.Tests.Kubernetes.Configuration;

/// <summary>What servers put into objects, kind by kind, goes; what somebody wrote stays.</summary>
public sealed class CleaningTests
{
    private const string Head = """
        "uid":"u","resourceVersion":"7","generation":3,"creationTimestamp":"2026-01-01T00:00:00Z","selfLink":"/x","generateName":"a-",
        "ownerReferences":[{"uid":"o","kind":"X","name":"x","apiVersion":"v1"}]
        """;

    [Fact]
    public void Clean_AnyKind_LosesWhatTheServerNotesAndKeepsTheRest()
    {
        JsonObject cleaned = Clean($$$"""
            {"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w","namespace":"n",{{{Head}}},"labels":{"a":"b"},
            "annotations":{"mine":"1"},"finalizers":["example.com/keep","foregroundDeletion"],"managedFields":[{"manager":"x"}]},
            "spec":{"size":1},"status":{"ready":true}}
            """);

        AssertSame("""
            {"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w","namespace":"n","labels":{"a":"b"},"annotations":{"mine":"1"},
            "finalizers":["example.com/keep"]},"spec":{"size":1}}
            """, cleaned);
    }

    [Fact]
    public void Clean_Service_KeepsOnlyTheNodePortsThatSomebodyChose()
    {
        JsonObject cleaned = Clean("""
            {"apiVersion":"v1","kind":"Service","metadata":{"name":"s","namespace":"n","managedFields":[{"manager":"kubectl-create","operation":"Update",
            "fieldsV1":{"f:spec":{"f:ports":{".":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{}},
            "k:{\"port\":81,\"protocol\":\"TCP\"}":{".":{},"f:nodePort":{},"f:port":{}}}}}}]},
            "spec":{"type":"NodePort","clusterIP":"10.0.0.1","clusterIPs":["10.0.0.1"],"ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","healthCheckNodePort":30999,
            "ports":[{"port":80,"protocol":"TCP","nodePort":30001},{"port":81,"protocol":"TCP","nodePort":30002}]}}
            """);

        AssertSame("""
            {"apiVersion":"v1","kind":"Service","metadata":{"name":"s","namespace":"n"},"spec":{"type":"NodePort",
            "ports":[{"port":80,"protocol":"TCP"},{"port":81,"protocol":"TCP","nodePort":30002}]}}
            """, cleaned);
    }

    [Fact]
    public void Clean_ServiceThatKubectlApplied_KeepsTheNodePortOfWhatWasApplied()
    {
        JsonObject cleaned = Clean("""
            {"apiVersion":"v1","kind":"Service","metadata":{"name":"s","namespace":"n","annotations":{"kubectl.kubernetes.io/last-applied-configuration":
            "{\"spec\":{\"ports\":[{\"port\":81,\"nodePort\":30002},{\"port\":80}]}}"}},
            "spec":{"clusterIP":"None","clusterIPs":["None"],"ports":[{"port":80,"protocol":"TCP","nodePort":30001},{"port":81,"protocol":"TCP","nodePort":30002}]}}
            """);

        Assert.Null(cleaned["spec"]!["ports"]![0]!["nodePort"]);
        Assert.Equal(30002, (int?)cleaned["spec"]!["ports"]![1]!["nodePort"]);
        Assert.Equal("None", (string?)cleaned["spec"]!["clusterIP"]);
    }

    [Fact]
    public void Clean_Secret_LosesThePlaintextThatKubectlNotes()
    {
        JsonObject cleaned = Clean("""
            {"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"n","annotations":{"kubectl.kubernetes.io/last-applied-configuration":
            "{\"stringData\":{\"password\":\"hunter2\"}}"}},"type":"Opaque","data":{"password":"aHVudGVyMg=="}}
            """);

        Assert.Null(cleaned["metadata"]!["annotations"]);
        Assert.DoesNotContain("hunter2", cleaned.ToJsonString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"apiVersion":"v1","kind":"Secret","metadata":{"name":"web-token-x7k2p","annotations":{"kubernetes.io/service-account.name":"web"}},"type":"kubernetes.io/service-account-token"}""")]
    [InlineData("""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"kube-root-ca.crt"}}""")]
    [InlineData("""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","annotations":{"control-plane.alpha.kubernetes.io/leader":"{}"}}}""")]
    [InlineData("""{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"status":{"phase":"Succeeded"}}""")]
    [InlineData("""{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","annotations":{"kubernetes.io/config.mirror":"x"}}}""")]
    [InlineData("""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","deletionTimestamp":"2026-01-01T00:00:00Z"}}""")]
    [InlineData("""{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"j"},"status":{"conditions":[{"type":"Complete","status":"True"}]}}""")]
    [InlineData("""{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"e","labels":{"endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io"}}}""")]
    [InlineData("""{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"edit","labels":{"kubernetes.io/bootstrapping":"rbac-defaults"}}}""")]
    [InlineData("""{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"system:node"}}""")]
    [InlineData("""{"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService","metadata":{"name":"v1.apps"},"spec":{"group":"apps"}}""")]
    [InlineData("""{"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"system-node-critical"}}""")]
    [InlineData("""{"apiVersion":"v1","kind":"Service","metadata":{"name":"kubernetes","namespace":"default"}}""")]
    public void Clean_WhatAClusterMakesItself_IsNotKept(string json) =>
        Assert.NotNull(ResourceCleaners.Clean(ClusterFixture.Parse(json)));

    [Fact]
    public void Clean_TokenThatSomebodyAskedFor_IsKeptWithoutItsContent()
    {
        JsonObject cleaned = Clean("""
            {"apiVersion":"v1","kind":"Secret","metadata":{"name":"my-token","annotations":{"kubernetes.io/service-account.name":"web","kubernetes.io/service-account.uid":"u"}},
            "type":"kubernetes.io/service-account-token","data":{"token":"eA==","ca.crt":"eA==","namespace":"eA==","mine":"eA=="}}
            """);

        AssertSame("""
            {"apiVersion":"v1","kind":"Secret","metadata":{"name":"my-token","annotations":{"kubernetes.io/service-account.name":"web"}},
            "type":"kubernetes.io/service-account-token","data":{"mine":"eA=="}}
            """, cleaned);
    }

    [Fact]
    public void Clean_ServiceAccount_LosesGeneratedTokensAndKeepsOthers()
    {
        JsonObject cleaned = Clean("""
            {"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"web"},"secrets":[{"name":"web-token-x7k2p"},{"name":"web-token-mine-1"},{"name":"other"}],
            "imagePullSecrets":[{"name":"registry"}]}
            """);

        AssertSame("""
            {"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"web"},"secrets":[{"name":"web-token-mine-1"},{"name":"other"}],"imagePullSecrets":[{"name":"registry"}]}
            """, cleaned);
    }

    [Fact]
    public void Clean_Pod_LosesItsNodeAndTheTokenThatWasMounted()
    {
        JsonObject cleaned = Clean("""
            {"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"n"},"spec":{"nodeName":"node1","priority":0,"serviceAccountName":"web",
            "volumes":[{"name":"web-token-x7k2p","secret":{"secretName":"web-token-x7k2p"}},{"name":"kube-api-access-abcde","projected":{}},{"name":"data","emptyDir":{}}],
            "containers":[{"name":"c","volumeMounts":[{"name":"data","mountPath":"/data"},{"name":"web-token-x7k2p","mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}]}]},
            "status":{"phase":"Running"}}
            """);

        AssertSame("""
            {"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"n"},"spec":{"serviceAccountName":"web","volumes":[{"name":"data","emptyDir":{}}],
            "containers":[{"name":"c","volumeMounts":[{"name":"data","mountPath":"/data"}]}]}}
            """, cleaned);
    }

    [Fact]
    public void Clean_JobThatRuns_LosesWhatBindsItsPods()
    {
        JsonObject cleaned = Clean("""
            {"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"j","labels":{"controller-uid":"u","job-name":"j","mine":"1"}},
            "spec":{"selector":{"matchLabels":{"controller-uid":"u"}},"template":{"metadata":{"creationTimestamp":null,"labels":{"controller-uid":"u","job-name":"j","mine":"1"}},"spec":{}}}}
            """);

        AssertSame("""
            {"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"j","labels":{"mine":"1"}},"spec":{"template":{"metadata":{"labels":{"mine":"1"}},"spec":{}}}}
            """, cleaned);
    }

    [Fact]
    public void Clean_ClaimAndVolume_LoseEachOthersUidsAndTheBinding()
    {
        JsonObject claim = Clean("""
            {"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"c","namespace":"n","finalizers":["kubernetes.io/pvc-protection"],"annotations":{
            "pv.kubernetes.io/bind-completed":"yes","pv.kubernetes.io/bound-by-controller":"yes","volume.beta.kubernetes.io/storage-provisioner":"x","volume.kubernetes.io/selected-node":"n1"}},
            "spec":{"storageClassName":"standard","volumeName":"pvc-1"},"status":{"phase":"Bound"}}
            """);
        JsonObject volume = Clean("""
            {"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":"v","finalizers":["kubernetes.io/pv-protection"],"annotations":{"pv.kubernetes.io/provisioned-by":"x"}},
            "spec":{"claimRef":{"kind":"PersistentVolumeClaim","namespace":"n","name":"c","uid":"u","resourceVersion":"5"}}}
            """);

        AssertSame("""{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"c","namespace":"n"},"spec":{"storageClassName":"standard"}}""", claim);
        AssertSame("""
            {"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":"v","annotations":{"pv.kubernetes.io/provisioned-by":"x"}},
            "spec":{"claimRef":{"kind":"PersistentVolumeClaim","namespace":"n","name":"c"}}}
            """, volume);
    }

    [Fact]
    public void Clean_AggregatedClusterRole_LosesTheRulesThatAreComputed()
    {
        JsonObject cleaned = Clean("""
            {"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"mine"},"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"a":"b"}}]},
            "rules":[{"verbs":["get"]}]}
            """);

        Assert.Null(cleaned["rules"]);
        Assert.NotNull(cleaned["aggregationRule"]);
    }

    [Fact]
    public void Clean_WebhookWithAnInjectedAuthority_LosesIt()
    {
        const string Hook = """
            {"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":"w"ANNOTATION},
            "webhooks":[{"name":"a","clientConfig":{"caBundle":"eA==","service":{"namespace":"n","name":"s"}}}]}
            """;

        JsonObject injected = Clean(Hook.Replace("ANNOTATION", ""","annotations":{"cert-manager.io/inject-ca-from":"n/c"}""", StringComparison.Ordinal));
        JsonObject own = Clean(Hook.Replace("ANNOTATION", "", StringComparison.Ordinal));

        Assert.Null(injected["webhooks"]![0]!["clientConfig"]!["caBundle"]);
        Assert.Equal("eA==", (string?)own["webhooks"]![0]!["clientConfig"]!["caBundle"]);
    }

    [Fact]
    public void Clean_Workload_LosesWhenItWasRestarted()
    {
        JsonObject cleaned = Clean("""
            {"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"s"},"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"x"}}},
            "volumeClaimTemplates":[{"metadata":{"name":"d","creationTimestamp":null},"spec":{"volumeMode":"Filesystem"},"status":{"phase":"Pending"}}]}}
            """);

        AssertSame("""
            {"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"s"},"spec":{"template":{"metadata":{}},
            "volumeClaimTemplates":[{"metadata":{"name":"d"},"spec":{"volumeMode":"Filesystem"}}]}}
            """, cleaned);
    }

    [Fact]
    public void Clean_Twice_ChangesNothingMore()
    {
        KubernetesObject once = ClusterFixture.Parse($$$"""
            {"apiVersion":"v1","kind":"Service","metadata":{"name":"s","namespace":"n",{{{Head}}}},"spec":{"clusterIP":"10.0.0.1","ports":[{"port":80,"nodePort":30001}]},"status":{}}
            """);
        ResourceCleaners.Clean(once);
        byte[] document = YamlText.Write(once.Raw);

        ResourceCleaners.Clean(once);

        Assert.Equal(document, YamlText.Write(once.Raw));
    }

    private static JsonObject Clean(string json)
    {
        KubernetesObject item = ClusterFixture.Parse(json);
        Assert.Null(ResourceCleaners.Clean(item));
        return item.Raw;
    }

    private static void AssertSame(string expected, JsonObject actual) => Assert.True(
        JsonNode.DeepEquals(JsonNode.Parse(expected), actual), actual.ToJsonString());
}
