using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;

namespace SmcDr.Core.Tests.Kubernetes.Configuration;

public sealed class ObjectDifferenceTests
{
    [Fact]
    public void Between_ListsWithNames_AreComparedByThemAndNotByPlace()
    {
        string[] changes = Compare(
            """{"spec":{"containers":[{"name":"a","image":"x:1"},{"name":"b","image":"y:1"}],"replicas":2}}""",
            """{"spec":{"containers":[{"name":"b","image":"y:1"},{"name":"a","image":"x:2"},{"name":"c","image":"z"}],"paused":true}}""");

        Assert.Equal(
            [
                "spec.containers[name=a].image: x:1 → x:2",
                """spec.containers[name=c]: (none) → {"name":"c","image":"z"}""",
                "spec.paused: (none) → true",
                "spec.replicas: 2 → (none)",
            ],
            changes);
    }

    [Fact]
    public void Between_PortsAndPlainListsAndKeysWithDots_AreToldWhereTheyAre()
    {
        string[] changes = Compare(
            """{"metadata":{"labels":{"app.kubernetes.io/name":"a"}},"ports":[{"port":53,"protocol":"UDP"},{"port":53,"protocol":"TCP","nodePort":1}],"args":["a","b"],"rules":[{"verbs":["get"]}]}""",
            """{"metadata":{"labels":{"app.kubernetes.io/name":"b"}},"ports":[{"port":53,"protocol":"TCP","nodePort":2},{"port":53,"protocol":"UDP"}],"args":["b","a"],"rules":[{"verbs":["get","list"]}]}""");

        Assert.Equal(
            [
                """args: ["a","b"] → ["b","a"]""",
                "metadata.labels['app.kubernetes.io/name']: a → b",
                "ports[port=53,protocol=TCP].nodePort: 1 → 2",
                """rules[0].verbs: ["get"] → ["get","list"]""",
            ],
            changes);
    }

    [Fact]
    public void Between_NumbersWrittenDifferently_AreTheSame() =>
        Assert.Empty(Compare("""{"a":1,"b":null,"c":"x"}""", """{"c":"x","a":1}"""));

    [Fact]
    public void ToResult_OfASecret_HidesValuesButNotWhichOnes()
    {
        ObjectDifference[] differences =
        [
            .. ObjectDifference.Between(
                Parse("""{"data":{"password":"aHVudGVyMg=="},"metadata":{"annotations":{"note":"hunter2"}},"type":"Opaque"}"""),
                Parse("""{"data":{"password":"aHVudGVyMw==","more":"eA=="},"metadata":{"annotations":{"note":"hunter3"}},"type":"other"}""")),
        ];

        string[] shown = [.. differences.Select(static each => each.ToResult(isSecret: true).ToString())];

        Assert.Equal(
            ["data.more: (none) → (hidden)", "data.password: (hidden) → (hidden)", "metadata.annotations.note: (hidden) → (hidden)", "type: Opaque → other"],
            shown);
    }

    [Fact]
    public void IsOwned_FieldsOfManagersAndDefaults_AreToldApart()
    {
        KubernetesObject item = new(Parse("""
            {"metadata":{"managedFields":[{"fieldsV1":{"f:spec":{"f:replicas":{},"f:args":{"v:\"a\"":{}},"f:selector":{},"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:image":{},
            "f:env":{"k:{\"name\":\"X\"}":{".":{},"f:name":{},"f:value":{}}}}}}}}]},
            "spec":{"replicas":1,"strategy":{},"args":["a","b"],"selector":{"matchLabels":{"x":"y"}},
            "containers":[{"name":"a","image":"i","pullPolicy":"p","env":[{"name":"X","value":"1"}]},{"name":"b"}]}}
            """));
        FieldPath container = FieldPath.Of("spec", "containers").Append(FieldStep.Of((JsonObject)item.Raw["spec"]!["containers"]![0]!, ["name"]));
        FieldPath other = FieldPath.Of("spec", "containers").Append(FieldStep.Of((JsonObject)item.Raw["spec"]!["containers"]![1]!, ["name"]));

        Assert.True(FieldOwnership.IsOwned(item, FieldPath.Of("spec", "replicas")));
        Assert.True(FieldOwnership.IsOwned(item, FieldPath.Of("spec", "selector", "matchLabels", "x")));
        Assert.True(FieldOwnership.IsOwned(item, container.Append(FieldStep.Of("image"))));
        Assert.True(FieldOwnership.IsOwned(item, container.Append(FieldStep.Of("env")).Append(FieldStep.Of((JsonObject)item.Raw["spec"]!["containers"]![0]!["env"]![0]!, ["name"]))));
        Assert.True(FieldOwnership.IsOwned(item, FieldPath.Of("spec", "args").Append(FieldStep.Of(0))));
        Assert.False(FieldOwnership.IsOwned(item, FieldPath.Of("spec", "args").Append(FieldStep.Of(1))));
        Assert.False(FieldOwnership.IsOwned(item, FieldPath.Of("spec", "strategy")));
        Assert.False(FieldOwnership.IsOwned(item, container.Append(FieldStep.Of("pullPolicy"))));
        Assert.False(FieldOwnership.IsOwned(item, other));
    }

    [Fact]
    public void Merge_WhatTheServerPutIn_StaysAndWhatSomebodyAddedGoes()
    {
        JsonObject merged = ObjectMerge.Merge(
            Parse("""{"metadata":{"name":"s","uid":"u","managedFields":[]},"spec":{"clusterIP":"10.0.0.1","added":1,"ports":[{"name":"a","port":80,"nodePort":30000},{"name":"b","port":81}]}}"""),
            Parse("""{"metadata":{"name":"s"},"spec":{"added":1,"ports":[{"name":"a","port":80},{"name":"b","port":81}]}}"""),
            Parse("""{"metadata":{"name":"s"},"spec":{"ports":[{"name":"a","port":8080}]}}"""));

        Assert.True(
            JsonNode.DeepEquals(
                Parse("""{"metadata":{"name":"s","uid":"u"},"spec":{"ports":[{"name":"a","port":8080,"nodePort":30000}],"clusterIP":"10.0.0.1"}}"""), merged),
            merged.ToJsonString());
    }

    private static JsonObject Parse(string json) => (JsonObject)JsonNode.Parse(json)!;

    private static string[] Compare(string old, string @new) =>
        [.. ObjectDifference.Between(Parse(old), Parse(@new)).Select(static each => each.ToResult(isSecret: false).ToString())];
}
