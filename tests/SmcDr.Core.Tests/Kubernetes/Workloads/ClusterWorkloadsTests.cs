using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Kubernetes.Workloads;

/// <summary>Workloads of a real cluster, stopped and started.</summary>
[Collection(ClusterGroup.Name)]
public sealed class ClusterWorkloadsTests(ClusterFixture cluster)
{
    // Ends half a second after it is asked to, so that there is something to wait for.
    private const string SlowEnd = "trap 'sleep 0.5; exit 0' TERM; while :; do sleep 0.1; done";

    // Cannot be asked to end.
    private const string NoEnd = "trap '' TERM; while :; do sleep 0.1; done";

    private readonly RecordingObserver _observer = new();

    [ClusterFact]
    public async Task SuspendAndResume_Deployment_IsAsItWas()
    {
        WorkloadName name = await DeployAsync("Deployment", "there-and-back", 2, SlowEnd);
        await WaitForPodsAsync("there-and-back", 2);

        WorkloadInfo suspended = await Workloads().SuspendAsync(name, default);
        Assert.Empty(await PodsAsync("there-and-back"));
        WorkloadInfo again = await Workloads().SuspendAsync(name, default);
        WorkloadInfo resumed = await Workloads().ResumeAsync(name, wait: true, default);
        WorkloadInfo twice = await Workloads().ResumeAsync(name, wait: false, default);

        Assert.Equal(("Suspended", 0, 0, 2), (suspended.State, suspended.Replicas, suspended.PodCount, suspended.RememberedReplicas));
        Assert.Equal("operator", suspended.SuspendedBy);
        Assert.InRange(suspended.SuspendedTime!.Value, DateTimeOffset.UtcNow.AddMinutes(-10), DateTimeOffset.UtcNow.AddSeconds(1));
        Assert.Equal(suspended, again);
        Assert.Equal(("Running", 2, 2, null), (resumed.State, resumed.Replicas, resumed.ReadyCount, resumed.SuspendedTime));
        Assert.Equal(resumed, twice);
        Assert.DoesNotContain(Suspension.Annotation, (await ReadAsync(name)).Annotations.Keys);
    }

    [ClusterFact]
    public async Task SuspendAndResume_StatefulSetAndDaemonSet_AreAsTheyWere()
    {
        foreach (string kind in new[] { "StatefulSet", "DaemonSet" })
        {
            WorkloadName name = await DeployAsync(kind, $"kind-{kind}".ToLowerInvariant(), kind == "StatefulSet" ? 1 : null, SlowEnd);
            await WaitForPodsAsync(name.Name, 1);

            WorkloadInfo suspended = await Workloads().SuspendAsync(name, default);
            Assert.Empty(await PodsAsync(name.Name));
            WorkloadInfo resumed = await Workloads().ResumeAsync(name, wait: true, default);

            Assert.Equal(("Suspended", 0), (suspended.State, suspended.PodCount));
            Assert.Equal(("Running", 1), (resumed.State, resumed.ReadyCount));
            Assert.Equal(kind == "StatefulSet" ? 1 : null, resumed.Replicas);
        }
    }

    [ClusterFact]
    public async Task SuspendAsync_CronJobWithARunningJob_WaitsForThatAndNoneFollows()
    {
        KubernetesResource kind = await ClusterWorkloads.ResourceOfAsync(cluster.Client, WorkloadKind.CronJob, default);
        await cluster.Client.CreateAsync(
            kind,
            ClusterFixture.Parse($$$$$$$"""
                {"apiVersion":"{{{{{{{kind.ApiVersion}}}}}}}","kind":"CronJob","metadata":{"name":"nightly","namespace":"{{{{{{{cluster.Namespace}}}}}}}"},
                "spec":{"schedule":"0 0 1 1 *","jobTemplate":{"spec":{"template":{"spec":{"restartPolicy":"Never","terminationGracePeriodSeconds":0,
                "containers":[{"name":"main","image":"busybox:1.35","imagePullPolicy":"IfNotPresent","command":["sh","-c","until [ -e /tmp/end ]; do sleep 0.1; done"]}]}}}}}}
                """),
            false,
            default);
        KubernetesObject cron = await cluster.Client.GetAsync(kind, cluster.Namespace, "nightly", default);
        // What its controller makes at its time, as kubectl create job --from does.
        JsonObject job = (JsonObject)cron.Raw["spec"]!["jobTemplate"]!.DeepClone();
        job["apiVersion"] = "batch/v1";
        job["kind"] = "Job";
        job["metadata"] = new JsonObject
        {
            ["name"] = "nightly-1",
            ["namespace"] = cluster.Namespace,
            ["ownerReferences"] = new JsonArray(new JsonObject
            {
                ["apiVersion"] = kind.ApiVersion, ["kind"] = "CronJob", ["name"] = "nightly", ["uid"] = cron.Uid, ["controller"] = true,
            }),
        };
        await cluster.Client.CreateAsync(
            new KubernetesResource { Group = "batch", Version = "v1", Plural = "jobs", Kind = "Job", IsNamespaced = true }, new KubernetesObject(job), false, default);
        string pod = (await WaitForPodsAsync("nightly-1", 1, "job-name"))[0];
        WorkloadName name = WorkloadName.Parse("cronjob/nightly");

        SmcException early = await Assert.ThrowsAsync<SmcException>(() => Workloads(TimeSpan.FromSeconds(1)).SuspendAsync(name, default));
        Task<WorkloadInfo> suspending = Workloads().SuspendAsync(name, default);
        await cluster.Client.RunAsync(new PodTarget(cluster.Namespace, pod), ["touch", "/tmp/end"], default);
        WorkloadInfo suspended = await suspending;
        WorkloadInfo resumed = await Workloads().ResumeAsync(name, wait: false, default);

        Assert.Equal(SmcErrorCode.OperationTimedOut, early.Code);
        Assert.Contains(pod, early.Message, StringComparison.Ordinal);
        Assert.Equal(("Suspended", 0, null), (suspended.State, suspended.PodCount, suspended.Replicas));
        Assert.Equal("Running", resumed.State);
        Assert.False((bool)(await cluster.Client.GetAsync(kind, cluster.Namespace, "nightly", default)).Raw["spec"]!["suspend"]!);
    }

    [ClusterFact]
    public async Task SuspendAsync_SomebodyScalesItBack_IsNoticedWhileWaitingAndNamed()
    {
        WorkloadName name = await DeployAsync("Deployment", "fought-over", 1, NoEnd, graceSeconds: 8);
        await WaitForPodsAsync("fought-over", 1);
        using KubernetesClient other = new(cluster.Client.Access, new KubernetesClientOptions { FieldManager = "gitops-controller" });

        Task<WorkloadInfo> suspending = Workloads().SuspendAsync(name, default);
        await WaitAsync(name, static item => (int?)item.Raw["spec"]!["replicas"] == 0);
        await other.PatchAsync(
            await ClusterWorkloads.ResourceOfAsync(other, name.Kind, default), cluster.Namespace, name.Name, PatchKind.Merge,
            JsonNode.Parse("""{"metadata":{"labels":{"argocd.argoproj.io/instance":"shop"}},"spec":{"replicas":3}}""")!, default);
        SmcException failure = await Assert.ThrowsAsync<SmcException>(() => suspending);
        WorkloadInfo resumed = await Workloads().ResumeAsync(name, wait: false, default);

        Assert.Equal(SmcErrorCode.WorkloadScaledBack, failure.Code);
        Assert.Contains("'gitops-controller' has started it again with 3 replicas", failure.Message, StringComparison.Ordinal);
        Assert.Contains("the Argo CD application 'shop'", failure.Recommendation, StringComparison.Ordinal);
        // Starting it again takes back nothing of what the other one did.
        Assert.Equal((3, null), (resumed.Replicas, resumed.SuspendedTime));
    }

    [ClusterFact]
    public async Task SuspendAsync_PodThatDoesNotGo_IsNamedAfterTheTimeLimit_AndTheNextRunGoesOn()
    {
        WorkloadName name = await DeployAsync("StatefulSet", "held", 1, SlowEnd);
        string pod = (await WaitForPodsAsync("held", 1))[0];
        await SetFinalizersAsync(pod, """["example.com/held"]""");

        SmcException failure = await Assert.ThrowsAsync<SmcException>(() => Workloads(TimeSpan.FromSeconds(2)).SuspendAsync(name, default));
        WorkloadInfo stopping = await Workloads().GetAsync(name, default);
        await SetFinalizersAsync(pod, "null");
        WorkloadInfo suspended = await Workloads().SuspendAsync(name, default);

        Assert.Equal(SmcErrorCode.OperationTimedOut, failure.Code);
        Assert.Contains($"{pod} (ending on the node ", failure.Message, StringComparison.Ordinal);
        Assert.Contains("waits for example.com/held", failure.Message, StringComparison.Ordinal);
        Assert.Equal(("Stopping", 1, 1), (stopping.State, stopping.PodCount, stopping.RememberedReplicas));
        Assert.Equal(("Suspended", 1), (suspended.State, suspended.RememberedReplicas));
    }

    [ClusterFact]
    public async Task ResumeAsync_StoppedBySomebodyElse_StaysStopped()
    {
        WorkloadName name = await DeployAsync("Deployment", "not-ours", 0, SlowEnd);

        WorkloadInfo suspended = await Workloads().SuspendAsync(name, default);
        WorkloadInfo resumed = await Workloads().ResumeAsync(name, wait: true, default);

        Assert.Equal(("Stopped", null), (suspended.State, suspended.RememberedReplicas));
        Assert.Equal(("Stopped", 0), (resumed.State, resumed.Replicas));
        Assert.Contains(_observer.Warnings, static text => text.Contains("was not stopped by SmcDr", StringComparison.Ordinal));
    }

    [ClusterFact]
    public async Task SuspendAsync_AutoscaledDeployment_SaysSoAndTheAutoscalerDoesNothing()
    {
        WorkloadName name = await DeployAsync("Deployment", "scaled-by-hpa", 1, SlowEnd);
        KubernetesResource kind = new() { Group = "autoscaling", Version = "v1", Plural = "horizontalpodautoscalers", Kind = "HorizontalPodAutoscaler", IsNamespaced = true };
        await cluster.Client.CreateAsync(
            kind,
            ClusterFixture.Parse($$$$"""
                {"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{"name":"by-load","namespace":"{{{{cluster.Namespace}}}}"},
                "spec":{"minReplicas":1,"maxReplicas":4,"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"scaled-by-hpa"}}}
                """),
            false,
            default);
        await WaitForPodsAsync("scaled-by-hpa", 1);

        WorkloadInfo suspended = await Workloads().SuspendAsync(name, default);
        // The autoscaler's own word for it that it leaves the target alone.
        Assert.True(await cluster.Client.WaitAsync(
            kind, cluster.Namespace, "by-load",
            static item => (item!.Raw["metadata"]?["annotations"]?["autoscaling.alpha.kubernetes.io/conditions"]?.ToString() ?? "").Contains("ScalingDisabled", StringComparison.Ordinal),
            TimeSpan.FromSeconds(90), default));
        WorkloadInfo later = await Workloads().GetAsync(name, default);

        Assert.Equal("by-load (1 to 4)", suspended.Autoscaler);
        Assert.Equal(("Suspended", 1), (later.State, later.RememberedReplicas));
        Assert.Contains(_observer.Verboses, static text => text.Contains("'by-load'", StringComparison.Ordinal) && text.Contains("does nothing", StringComparison.Ordinal));
    }

    [ClusterFact]
    public async Task SuspendAsync_ReplicaSetOfADeployment_IsRefusedAndTheDeploymentNamed()
    {
        await DeployAsync("Deployment", "owner", 1, SlowEnd);
        await WaitForPodsAsync("owner", 1);
        KubernetesObject set = await cluster.Client.ListAsync(
            await ClusterWorkloads.ResourceOfAsync(cluster.Client, WorkloadKind.ReplicaSet, default), cluster.Namespace,
            new ListOptions { LabelSelector = "app=owner" }).FirstAsync();

        SmcException failure = await Assert.ThrowsAsync<SmcException>(
            () => Workloads().SuspendAsync(new WorkloadName(WorkloadKind.ReplicaSet, set.Name), default));

        Assert.Equal(SmcErrorCode.WorkloadUnsuitable, failure.Code);
        Assert.Contains("deployment/owner", failure.Recommendation, StringComparison.Ordinal);
    }

    [ClusterFact]
    public async Task ResumeAsync_NotReadyInTime_SaysWhy()
    {
        WorkloadName name = await DeployAsync("Deployment", "not-to-be-had", 1, SlowEnd, image: "no-such-image:1");
        await Workloads().SuspendAsync(name, default);

        SmcException failure = await Assert.ThrowsAsync<SmcException>(() => Workloads(TimeSpan.FromSeconds(20)).ResumeAsync(name, wait: true, default));

        Assert.Equal(SmcErrorCode.PodNotStarted, failure.Code);
        Assert.Contains("0 of its 1 pods are ready", failure.Message, StringComparison.Ordinal);
        Assert.Contains("the container 'main' waits: ", failure.Message, StringComparison.Ordinal);
        await cluster.Client.DeleteAsync(
            await ClusterWorkloads.ResourceOfAsync(cluster.Client, WorkloadKind.Deployment, default), cluster.Namespace, name.Name, null, default);
    }

    [ClusterFact]
    public async Task Writers_OneStoppedByHandBefore_StaysStoppedAfterTheRecovery()
    {
        WorkloadName first = await DeployAsync("Deployment", "writer-one", 1, SlowEnd);
        WorkloadName second = await DeployAsync("Deployment", "writer-two", 1, SlowEnd);
        await WaitForPodsAsync("writer-one", 1);
        await Workloads().SuspendAsync(second, default);
        ClusterWriters writers = new(
            [first, second],
            cluster.Namespace,
            _ => Task.FromResult(new KubernetesClient(cluster.Client.Access)),
            Options() with { Reason = Suspension.ByRecovery },
            _observer);

        await writers.SuspendAsync(default);
        string[] during = [(await Workloads().GetAsync(first, default)).State, (await Workloads().GetAsync(second, default)).State];
        await writers.ResumeAsync(default);

        Assert.Equal(["deployment/writer-one", "deployment/writer-two"], writers.Names);
        Assert.Equal(["Suspended", "Suspended"], during);
        Assert.Equal(1, (await Workloads().GetAsync(first, default)).Replicas);
        Assert.Equal("Suspended", (await Workloads().GetAsync(second, default)).State);
        Assert.Contains(_observer.Warnings, static text => text.Contains("'deployment/writer-two' was stopped by hand", StringComparison.Ordinal));
    }

    [Fact]
    public async Task SuspendAsync_ChangedMeanwhile_RemembersWhatWasThereAtThatMoment_InOnePatch()
    {
        int version = 0;
        List<JsonObject> patches = [];
        await using FakeApiServer server = new(async (context, body) =>
        {
            string path = context.Request.Url!.AbsolutePath;
            if (context.Request.HttpMethod == "PATCH")
            {
                patches.Add((JsonObject)JsonNode.Parse(body)!);
                if (patches.Count == 1)
                {
                    // An autoscaler was quicker.
                    version++;
                    await FakeApiServer.FailAsync(context, 409, "Conflict", "the object has been modified");
                    return;
                }

                await FakeApiServer.SendAsync(context, 200, Deployment(0, version, patches[^1]["metadata"]!["annotations"]!.ToJsonString()));
                return;
            }

            await FakeApiServer.SendAsync(
                context,
                200,
                path.EndsWith("/deployments/web", StringComparison.Ordinal)
                    ? patches.Count > 1 ? Deployment(0, version, patches[^1]["metadata"]!["annotations"]!.ToJsonString()) : Deployment(version == 0 ? 3 : 5, version, "{}")
                    : """{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[]}""");
        });
        using KubernetesClient client = server.Client();

        WorkloadInfo info = await new ClusterWorkloads(client, "apps").SuspendAsync(WorkloadName.Parse("deployment/web"), default);

        Assert.Equal(("Suspended", 5), (info.State, info.RememberedReplicas));
        Assert.All(patches, static patch => Assert.Equal(0, (int)patch["spec"]!["replicas"]!));
        Assert.Equal(["v0", "v1"], patches.Select(static patch => (string)patch["metadata"]!["resourceVersion"]!));
        Assert.Contains("\"replicas\":5", (string)patches[1]["metadata"]!["annotations"]![Suspension.Annotation]!, StringComparison.Ordinal);

        static string Deployment(int replicas, int version, string annotations) => $$$$$"""
            {"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"web","namespace":"apps","uid":"u","resourceVersion":"v{{{{{version}}}}}","annotations":{{{{{annotations}}}}}},
            "spec":{"replicas":{{{{{replicas}}}}},"selector":{"matchLabels":{"app":"web"}}}}
            """;
    }

    [Theory]
    [InlineData("deployment/api", WorkloadKind.Deployment, "api")]
    [InlineData("StatefulSet/db", WorkloadKind.StatefulSet, "db")]
    [InlineData("cronjob/x.y", WorkloadKind.CronJob, "x.y")]
    public void Parse_KindAndName_IsRead(string text, WorkloadKind kind, string name) =>
        Assert.Equal(new WorkloadName(kind, name), WorkloadName.Parse(text));

    [Theory]
    [InlineData("api")]
    [InlineData("pod/x")]
    [InlineData("1/x")]
    [InlineData("deployment/")]
    [InlineData("deployment/a/b")]
    public void Parse_NoWorkload_IsRefused(string text) =>
        Assert.Equal(SmcErrorCode.ArgumentInvalid, Assert.Throws<SmcException>(() => WorkloadName.Parse(text)).Code);

    [Fact]
    public void ToText_Selector_IsWhatListsTake()
    {
        JsonNode selector = JsonNode.Parse("""
            {"matchLabels":{"app":"x"},"matchExpressions":[{"key":"a","operator":"In","values":["1","2"]},{"key":"b","operator":"NotIn","values":["3"]},
            {"key":"c","operator":"Exists"},{"key":"d","operator":"DoesNotExist"}]}
            """)!;

        Assert.Equal("app=x,a in (1,2),b notin (3),c,!d", LabelSelector.ToText(selector));
        Assert.Null(LabelSelector.ToText(null));
    }

    private static WorkloadOptions Options() => new() { PollInterval = TimeSpan.FromMilliseconds(200), Timeout = TimeSpan.FromMinutes(3) };

    private ClusterWorkloads Workloads(TimeSpan? timeout = null) =>
        new(cluster.Client, cluster.Namespace, timeout is { } limit ? Options() with { Timeout = limit } : Options(), _observer);

    private async Task<KubernetesObject> ReadAsync(WorkloadName name) => await cluster.Client.GetAsync(
        await ClusterWorkloads.ResourceOfAsync(cluster.Client, name.Kind, default), cluster.Namespace, name.Name, default);

    private async Task WaitAsync(WorkloadName name, Func<KubernetesObject, bool> until) => Assert.True(await cluster.Client.WaitAsync(
        await ClusterWorkloads.ResourceOfAsync(cluster.Client, name.Kind, default), cluster.Namespace, name.Name, item => item is not null && until(item),
        TimeSpan.FromSeconds(60), default));

    private async Task<WorkloadName> DeployAsync(
        string kind, string name, int? replicas, string script, string image = "busybox:1.35", int graceSeconds = 10)
    {
        WorkloadName workload = WorkloadName.Parse($"{kind}/{name}");
        JsonObject spec = (JsonObject)JsonNode.Parse($$$$"""
            {"selector":{"matchLabels":{"app":"{{{{name}}}}"}},"template":{"metadata":{"labels":{"app":"{{{{name}}}}"}},
            "spec":{"terminationGracePeriodSeconds":{{{{graceSeconds}}}},"containers":[{"name":"main","image":"{{{{image}}}}","imagePullPolicy":"IfNotPresent"}]}}}
            """)!;
        spec["template"]!["spec"]!["containers"]![0]!["command"] = new JsonArray("sh", "-c", script);
        if (replicas is not null)
        {
            spec["replicas"] = replicas;
        }

        if (kind == "StatefulSet")
        {
            spec["serviceName"] = name;
        }

        await cluster.Client.CreateAsync(
            await ClusterWorkloads.ResourceOfAsync(cluster.Client, workload.Kind, default),
            new KubernetesObject(new JsonObject
            {
                ["apiVersion"] = "apps/v1",
                ["kind"] = kind,
                ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = cluster.Namespace },
                ["spec"] = spec,
            }),
            false,
            default);
        return workload;
    }

    private async Task<string[]> PodsAsync(string app, string label = "app") => [.. (await cluster.Client
        .ListAsync(KubernetesResource.Pods, cluster.Namespace, new ListOptions { LabelSelector = $"{label}={app}" }).ToListAsync())
        .Select(static pod => pod.Name)];

    private async Task<string[]> WaitForPodsAsync(string app, int count, string label = "app")
    {
        using CancellationTokenSource limit = new(TimeSpan.FromMinutes(3));
        while (true)
        {
            List<KubernetesObject> pods = await cluster.Client
                .ListAsync(KubernetesResource.Pods, cluster.Namespace, new ListOptions { LabelSelector = $"{label}={app}" }, limit.Token)
                .ToListAsync(limit.Token);
            if (pods.Count(static pod => (string?)pod.Raw["status"]?["phase"] == "Running") == count)
            {
                return [.. pods.Select(static pod => pod.Name)];
            }

            await Task.Delay(200, limit.Token);
        }
    }

    private Task SetFinalizersAsync(string pod, string finalizers) => cluster.Client.PatchAsync(
        KubernetesResource.Pods, cluster.Namespace, pod, PatchKind.Merge, JsonNode.Parse($$$"""{"metadata":{"finalizers":{{{finalizers}}} } }""")!, default);
}
