using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;
using SmcDr.Core.Kubernetes.Workloads;

namespace SmcDr.Core.Tests.Kubernetes.Configuration;

public sealed class HeldWorkloadTests
{
    private const string Suspended = """{"replicas":5,"time":"2026-11-05T10:00:00+00:00","reason":"operator"}""";

    [Fact]
    public void Hold_MadeAnew_IsStoppedAndRemembersItsReplicas()
    {
        KubernetesObject held = HeldWorkload.Hold(Deployment(3), null, Suspension.ByRecovery);

        Assert.Equal(0, (int?)held.Raw["spec"]!["replicas"]);
        Assert.Equal((3, Suspension.ByRecovery), (Suspension.Of(held)!.Replicas, Suspension.Of(held)!.Reason));
        // What is not said means one.
        Assert.Equal(1, Suspension.Of(HeldWorkload.Hold(Deployment(null), null, Suspension.ByRecovery))!.Replicas);
    }

    [Fact]
    public void Hold_StoppedWhenItWasBackedUp_IsNotStartedBehindIt()
    {
        KubernetesObject byNobody = HeldWorkload.Hold(Deployment(0), null, Suspension.ByRecovery);
        KubernetesObject byOperator = HeldWorkload.Hold(Deployment(0, Suspended), null, Suspension.ByRecovery);

        Assert.Null(Suspension.Of(byNobody));
        Assert.Equal((5, Suspension.ByOperator), (Suspension.Of(byOperator)!.Replicas, Suspension.Of(byOperator)!.Reason));
    }

    [Fact]
    public void Hold_ThereAlready_StaysAsItIs_AndRemembersWhatTheBackupHas()
    {
        KubernetesObject running = HeldWorkload.Hold(Deployment(3), Deployment(2), Suspension.ByRecovery);
        KubernetesObject stopped = HeldWorkload.Hold(Deployment(3), Deployment(0, Suspended), Suspension.ByRecovery);

        Assert.Equal(2, (int?)running.Raw["spec"]!["replicas"]);
        Assert.Null(Suspension.Of(running));
        Assert.Equal(0, (int?)stopped.Raw["spec"]!["replicas"]);
        Assert.Equal((3, Suspension.ByOperator), (Suspension.Of(stopped)!.Replicas, Suspension.Of(stopped)!.Reason));
    }

    [Fact]
    public void Hold_KindsWithoutReplicas_AreStoppedInTheirOwnWay()
    {
        KubernetesObject cron = HeldWorkload.Hold(
            Parse("""{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"nightly"},"spec":{"schedule":"0 3 * * *"}}"""), null, Suspension.ByRecovery);
        KubernetesObject daemon = HeldWorkload.Hold(
            Parse("""{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"agent"},"spec":{"template":{"spec":{"nodeSelector":{"disk":"ssd"}}}}}"""),
            null,
            Suspension.ByRecovery);

        Assert.True((bool?)cron.Raw["spec"]!["suspend"]);
        Assert.Equal(
            """{"disk":"ssd","smcdr/suspended":"true"}""", daemon.Raw["spec"]!["template"]!["spec"]!["nodeSelector"]!.ToJsonString());
        Assert.NotNull(Suspension.Of(cron));
        Assert.NotNull(Suspension.Of(daemon));
    }

    [Fact]
    public void TryFind_OnlyTheWorkloadsThatAreNamed()
    {
        ConfigurationRestoreOptions options = new()
        {
            Held = new Dictionary<WorkloadName, string> { [new WorkloadName(WorkloadKind.Deployment, "api")] = Suspension.ByRecovery },
        };

        Assert.True(HeldWorkload.TryFind(options, Deployment(1), out string reason));
        Assert.Equal(Suspension.ByRecovery, reason);
        Assert.False(HeldWorkload.TryFind(
            options, Parse("""{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"api"},"spec":{}}"""), out string _));
        Assert.False(HeldWorkload.TryFind(options, Parse("""{"apiVersion":"v1","kind":"Service","metadata":{"name":"api"},"spec":{}}"""), out string _));
    }

    private static KubernetesObject Deployment(int? replicas, string? suspended = null)
    {
        KubernetesObject item = Parse("""{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"api"},"spec":{"template":{}}}""");
        if (replicas is not null)
        {
            item.Raw["spec"]!["replicas"] = replicas;
        }

        if (suspended is not null)
        {
            item.Raw["metadata"]!["annotations"] = new JsonObject { [Suspension.Annotation] = suspended };
        }

        return item;
    }

    private static KubernetesObject Parse(string json) => new((JsonObject)JsonNode.Parse(json)!);
}
