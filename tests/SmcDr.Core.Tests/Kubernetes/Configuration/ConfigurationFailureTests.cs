using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Tests.Kubernetes.Configuration;

/// <summary>What goes wrong in clusters: each time a clear error, nothing lost, and the same command goes on.</summary>
[Collection(ClusterGroup.Name)]
public sealed class ConfigurationFailureTests
{
    private const int Count = 80;

    [ClusterFact]
    public async Task RestoreAsync_ApiServerIsRestartedMeanwhile_WaitsForItAndRestoresAll()
    {
        await using ConfigurationLab lab = await ConfigurationLab.CreateAsync();
        BackupInfo backup = await BackUpManyAsync(lab);
        int port = lab.Client.Access.Server.Port;
        CuttingProxy proxy = new(port, static () => null);
        int proxyPort = proxy.Port;
        Task restarted = Task.CompletedTask;
        try
        {
            int last = await CountRequestsAsync(lab, backup) - (Count / 2);
            CountingCredential credential = new(lab.Client.Access.Credential, number =>
            {
                if (number == last)
                {
                    restarted = RestartAsync();
                }
            });
            using KubernetesClient client = Through(lab, proxyPort, credential, TimeSpan.FromMinutes(2));

            IReadOnlyList<ConfigurationRestoreResult> results = await lab.RestoreAsync(backup, client: client);
            await restarted;

            Assert.True(credential.Requests > last);
            Assert.Empty(ConfigurationRoundTripTests.Problems(results));
            Assert.Equal(Count, results.Count(static each => each is { Kind: "ConfigMap", Action: "Create", State: "Done" }));
            Assert.Empty(await lab.CompareAsync(backup));
        }
        finally
        {
            await restarted;
            await proxy.DisposeAsync();
        }

        async Task RestartAsync()
        {
            await Task.Yield();
            await proxy.DisposeAsync();
            await Task.Delay(TimeSpan.FromSeconds(2));
            proxy = new CuttingProxy(port, static () => null, proxyPort);
        }
    }

    [ClusterFact]
    public async Task RestoreAsync_ApiServerStaysAway_SaysHowFarItIsAndTheNextOneGoesOn()
    {
        await using ConfigurationLab lab = await ConfigurationLab.CreateAsync();
        BackupInfo backup = await BackUpManyAsync(lab);
        CuttingProxy proxy = new(lab.Client.Access.Server.Port, static () => null);
        Task gone = Task.CompletedTask;
        int last = await CountRequestsAsync(lab, backup) - (Count / 2);
        CountingCredential credential = new(lab.Client.Access.Credential, number =>
        {
            if (number == last)
            {
                gone = Task.Run(async () => await proxy.DisposeAsync());
            }
        });
        try
        {
            using KubernetesClient client = Through(lab, proxy.Port, credential, TimeSpan.FromSeconds(2));

            SmcException failure = await Assert.ThrowsAsync<SmcException>(() => lab.RestoreAsync(backup, client: client));

            await AssertInterruptedAsync(lab, backup, failure, SmcErrorCode.ClusterUnavailable);
        }
        finally
        {
            await gone;
            await proxy.DisposeAsync();
        }
    }

    [ClusterFact]
    public async Task RestoreAsync_TokenExpiresMeanwhile_SaysHowFarItIsAndTheNextOneGoesOn()
    {
        await using ConfigurationLab lab = await ConfigurationLab.CreateAsync();
        BackupInfo backup = await BackUpManyAsync(lab);
        int last = await CountRequestsAsync(lab, backup) - (Count / 2);
        CountingCredential credential = null!;
        credential = new CountingCredential(lab.Client.Access.Credential, number => credential.IsExpired = number >= last);
        using KubernetesClient client = Through(lab, lab.Client.Access.Server.Port, credential, TimeSpan.FromSeconds(30));

        SmcException failure = await Assert.ThrowsAsync<SmcException>(() => lab.RestoreAsync(backup, client: client));

        Assert.DoesNotContain("an-expired-token", failure.ToString(), StringComparison.Ordinal);
        Assert.Contains(credential.Recommendation, failure.Recommendation, StringComparison.Ordinal);
        await AssertInterruptedAsync(lab, backup, failure, SmcErrorCode.ClusterAuthenticationFailed);
    }

    [ClusterFact]
    public async Task BackUpAsync_TokenExpiresMeanwhile_IsAnErrorAndNoBackup()
    {
        await using ConfigurationLab lab = await ConfigurationLab.CreateAsync();
        BackupInfo before = await lab.BackUpAsync();
        CountingCredential counting = new(lab.Client.Access.Credential);
        using (KubernetesClient client = Through(lab, lab.Client.Access.Server.Port, counting, TimeSpan.FromSeconds(30)))
        {
            await lab.BackUpAsync(client);
        }

        int last = counting.Requests / 2;
        CountingCredential credential = null!;
        credential = new CountingCredential(lab.Client.Access.Credential, number => credential.IsExpired = number >= last);
        using KubernetesClient expiring = Through(lab, lab.Client.Access.Server.Port, credential, TimeSpan.FromSeconds(30));

        SmcException failure = await Assert.ThrowsAsync<SmcException>(() => lab.BackUpAsync(expiring));

        Assert.Equal(SmcErrorCode.ClusterAuthenticationFailed, failure.Code);
        Assert.NotEmpty(failure.Recommendation);
        List<BackupEntry> entries = [];
        await foreach (BackupEntry entry in lab.Repository.ListBackupsAsync(Component.Configuration, default))
        {
            entries.Add(entry);
        }

        Assert.Equal(2, entries.Count);
        Assert.All(entries, static entry => Assert.Equal("Complete", entry.ToInfo("here").State));
        Assert.Empty(await lab.CompareAsync(before));
    }

    [ClusterFact]
    public async Task RestoreAsync_QuotaExceeded_RestoresTheOthersAndTheRestOnceItIsRaised()
    {
        await using ConfigurationLab lab = await ConfigurationLab.CreateAsync();
        await lab.CreateAsync([.. Enumerable.Range(0, 8).Select(static i => Map($"map-{i}")), Service]);
        BackupInfo backup = await lab.BackUpAsync();
        string target = lab.Namespace + "-q";
        await lab.MakeNamespaceAsync(target);
        await lab.CreateAsync($$$"""{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"small","namespace":"{{{target}}}"},"spec":{"hard":{"configmaps":"4"}} }""");
        KubernetesResource quotas = await lab.ResourceAsync("resourcequotas");
        await WaitForQuotaAsync("4");
        ConfigurationRestoreOptions options = new() { NamespaceMapping = new Dictionary<string, string> { [lab.Namespace] = target } };

        IReadOnlyList<ConfigurationRestoreResult> first = await lab.RestoreAsync(backup, options);
        await lab.Client.PatchAsync(
            quotas, target, "small", PatchKind.Merge, JsonNode.Parse("""{"spec":{"hard":{"configmaps":"40"}}}""")!, default);
        await WaitForQuotaAsync("40");
        IReadOnlyList<ConfigurationRestoreResult> second = await lab.RestoreAsync(backup, options);

        ConfigurationRestoreResult[] failed = [.. first.Where(static each => each.State == "Failed")];
        // The cluster's own ConfigMap may count as one of the four.
        Assert.InRange(failed.Length, 4, 5);
        Assert.All(failed, static each =>
        {
            Assert.Equal("ConfigMap", each.Kind);
            Assert.Equal("SmcQuotaExceeded", each.ErrorId);
            Assert.Contains("exceeded quota: small", each.Error, StringComparison.Ordinal);
            Assert.Contains("quota", each.Recommendation, StringComparison.Ordinal);
        });
        Assert.Contains(first, static each => each is { Kind: "Service", Action: "Create", State: "Done" });
        Assert.Empty(ConfigurationRoundTripTests.Problems(second));
        Assert.Equal(
            failed.Select(static each => each.Name).Order(),
            second.Where(static each => each.Action == "Create").Select(static each => each.Name).Order());
        Assert.Equal("Added ResourceQuota/small", string.Join(',', (await lab.CompareAsync(backup, null, options.NamespaceMapping))
            .Select(static each => $"{each.Difference} {each.Kind}/{each.Name}")));

        async Task WaitForQuotaAsync(string hard) => Assert.True(await lab.Client.WaitAsync(
            quotas, target, "small", quota => (string?)quota?.Raw["status"]?["hard"]?["configmaps"] == hard, TimeSpan.FromMinutes(1), default));
    }

    [ClusterFact]
    public async Task RestoreAsync_WebhookThatRefuses_IsOfItsObjectsAloneAndOneThatIsAwayIsWaitedFor()
    {
        await using ConfigurationLab lab = await ConfigurationLab.CreateAsync();
        await lab.CreateAsync(Map("good-1"), Map("good-2"), Map("bad-1"), Service);
        await lab.Client.PatchAsync(
            KubernetesResource.Namespaces, null, lab.Namespace, PatchKind.Merge, JsonNode.Parse(lab.Expand("""{"metadata":{"labels":{"lab":"ID"}}}"""))!, default);
        BackupInfo backup = await lab.BackUpAsync();
        bool isStrict = true;
        await lab.CreateAsync("""
            {"apiVersion":"v1","kind":"Pod","metadata":{"name":"judge","namespace":"NS"},"spec":{"terminationGracePeriodSeconds":0,
            "containers":[{"name":"main","image":"busybox:1.35","imagePullPolicy":"IfNotPresent","command":["sleep","100000"]}]}}
            """);
        Assert.True(await lab.Client.WaitAsync(
            KubernetesResource.Pods, lab.Namespace, "judge", static pod => (string?)pod?.Raw["status"]?["phase"] == "Running", TimeSpan.FromMinutes(2), default));
        string address = (string)(await lab.GetAsync("pods", "judge"))["status"]!["podIP"]!;
        await using AdmissionWebhook webhook = new(lab.Client, new PodTarget(lab.Namespace, "judge"), address, name =>
            isStrict && (name.StartsWith("bad", StringComparison.Ordinal) || name == "probe") ? $"'{name}' has no owner" : null);
        lab.Own("validatingwebhookconfigurations.admissionregistration.k8s.io", $"judge-{lab.Id}");
        KubernetesObject configuration = ClusterFixture.Parse(lab.Expand("""
            {"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":"judge-ID"},"webhooks":[{"name":"judge.GROUP",
            "admissionReviewVersions":["v1"],"sideEffects":"None","failurePolicy":"Fail","timeoutSeconds":10,"namespaceSelector":{"matchLabels":{"lab":"ID"}},
            "rules":[{"apiGroups":[""],"apiVersions":["v1"],"operations":["CREATE"],"resources":["configmaps"]}]}]}
            """));
        configuration.Raw["webhooks"]![0]!["clientConfig"] = JsonNode.Parse(webhook.ClientConfig);
        await lab.Client.CreateAsync(
            await lab.ResourceAsync("validatingwebhookconfigurations.admissionregistration.k8s.io"), configuration, false, default);
        await WaitForWebhookAsync();
        foreach (string name in (string[])["good-1", "good-2", "bad-1"])
        {
            await lab.DeleteAsync("configmaps", name);
        }

        // One at a time: the webhook has one connection.
        ConfigurationRestoreOptions options = new() { Parallelism = 1 };
        IReadOnlyList<ConfigurationRestoreResult> refused = await lab.RestoreAsync(backup, options);

        ConfigurationRestoreResult failed = Assert.Single(refused, static each => each.State == "Failed");
        Assert.Equal(("bad-1", "SmcAdmissionRefused"), (failed.Name, failed.ErrorId));
        Assert.Contains("'bad-1' has no owner", failed.Error, StringComparison.Ordinal);
        Assert.NotEmpty(failed.Recommendation!);
        Assert.Equal(["good-1", "good-2"], refused.Where(static each => each.Action == "Create").Select(static each => each.Name).Order());

        // Away for good: told, and whose it is.
        isStrict = false;
        webhook.BeAway(int.MaxValue);
        IReadOnlyList<ConfigurationRestoreResult> away = await lab.RestoreAsync(backup, options with { WebhookTimeout = TimeSpan.Zero });
        failed = Assert.Single(away, static each => each.State == "Failed");
        Assert.Equal("SmcAdmissionRefused", failed.ErrorId);
        Assert.Contains($"judge.{lab.Group}", failed.Error, StringComparison.Ordinal);
        Assert.Contains("failurePolicy", failed.Recommendation, StringComparison.Ordinal);

        // Away for a moment, as one whose pods have just been restored.
        int asked = webhook.Asked;
        webhook.BeAway(3);
        IReadOnlyList<ConfigurationRestoreResult> waited = await lab.RestoreAsync(backup, options);
        Assert.Empty(ConfigurationRoundTripTests.Problems(waited));
        Assert.Equal("bad-1", Assert.Single(waited, static each => each.Action == "Create").Name);
        Assert.True(webhook.Asked - asked > 3);
        Assert.Empty(await lab.CompareAsync(backup, new ObjectFilter { ExcludeKinds = ["pods"] }));

        async Task WaitForWebhookAsync()
        {
            // The server heeds a webhook a moment after it was told of it.
            for (int attempt = 0; ; attempt++)
            {
                try
                {
                    await lab.Client.CreateAsync(KubernetesResource.ConfigMaps, ClusterFixture.Parse(lab.Expand(Map("probe"))), dryRun: true, default);
                }
                catch (SmcException e) when (e.Code == SmcErrorCode.AdmissionRefused && e.Message.Contains("has no owner", StringComparison.Ordinal))
                {
                    return;
                }
                catch (SmcException e) when (e.Code == SmcErrorCode.AdmissionRefused && attempt < 100)
                {
                    // It does not listen yet.
                }

                Assert.True(attempt < 300, "The webhook is not asked.");
                await Task.Delay(100);
            }
        }
    }

    [ClusterFact]
    public async Task RestoreAsync_NamespaceStuckInTerminating_SaysWhatHoldsItAndGoesOnOnceItIsGone()
    {
        await using ConfigurationLab lab = await ConfigurationLab.CreateAsync();
        await lab.CreateAsync(Map("settings"), Service);
        BackupInfo backup = await lab.BackUpAsync();
        await lab.CreateAsync("""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"held","namespace":"NS","finalizers":["example.com/keep"]}}""");
        try
        {
            await lab.Client.DeleteAsync(KubernetesResource.Namespaces, null, lab.Namespace, null, default);
            Assert.True(await lab.Client.WaitAsync(
                KubernetesResource.Namespaces,
                null,
                lab.Namespace,
                static space => space?.Raw["status"]?["conditions"] is JsonArray conditions
                    && conditions.Any(static each => (string?)each!["type"] == "NamespaceFinalizersRemaining" && (string?)each["status"] == "True"),
                TimeSpan.FromMinutes(2),
                default));

            SmcException failure = await Assert.ThrowsAsync<SmcException>(
                () => lab.RestoreAsync(backup, new ConfigurationRestoreOptions { TerminatingTimeout = TimeSpan.FromSeconds(2) }));
            BackupInfo partial = await lab.BackUpAsync();

            Assert.Equal(SmcErrorCode.NamespaceTerminating, failure.Code);
            Assert.Contains("example.com/keep", failure.Message, StringComparison.Ordinal);
            Assert.Contains("finalizer", failure.Recommendation, StringComparison.Ordinal);
            Assert.Equal("Partial", partial.State);
            Assert.Contains(partial.Missing, each => each.Contains(lab.Namespace, StringComparison.Ordinal));
            Assert.NotNull((await lab.GetAsync("configmaps", "held"))["metadata"]!["deletionTimestamp"]);
        }
        finally
        {
            await lab.PatchAsync("configmaps", "held", """{"metadata":{"finalizers":null}}""");
        }

        IReadOnlyList<ConfigurationRestoreResult> results = await lab.RestoreAsync(backup);
        Assert.Empty(ConfigurationRoundTripTests.Problems(results));
        Assert.Contains(results, static each => each is { Kind: "ConfigMap", Name: "settings", Action: "Create" });
        Assert.Empty(await lab.CompareAsync(backup));
    }

    private const string Service =
        """{"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"NS"},"spec":{"selector":{"app":"web"},"ports":[{"port":80}]}}""";

    private static string Map(string name) =>
        $$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{{name}}}","namespace":"NS"},"data":{"name":"{{{name}}}"}}""";

    /// <summary>A backup of many objects, which are not there any more.</summary>
    private static async Task<BackupInfo> BackUpManyAsync(ConfigurationLab lab)
    {
        await lab.CreateAsync([.. Enumerable.Range(0, Count).Select(static i => Map($"map-{i:000}"))]);
        BackupInfo backup = await lab.BackUpAsync();
        foreach (int i in Enumerable.Range(0, Count))
        {
            await lab.Client.DeleteAsync(KubernetesResource.ConfigMaps, lab.Namespace, $"map-{i:000}", null, default);
        }

        return backup;
    }

    /// <summary>How many requests a restore takes; the last ones are those for its objects.</summary>
    private static async Task<int> CountRequestsAsync(ConfigurationLab lab, BackupInfo backup)
    {
        CountingCredential credential = new(lab.Client.Access.Credential);
        using KubernetesClient client = Through(lab, lab.Client.Access.Server.Port, credential, TimeSpan.FromMinutes(2));
        IReadOnlyList<ConfigurationRestoreResult> plan = await lab.RestoreAsync(backup, new ConfigurationRestoreOptions { DryRun = true }, client);
        Assert.Equal(Count, plan.Count(static each => each.Action == "Create"));
        return credential.Requests;
    }

    private static KubernetesClient Through(ConfigurationLab lab, int port, ClusterCredential credential, TimeSpan retryTime) => new(
        lab.Client.Access with { Server = new UriBuilder(lab.Client.Access.Server) { Port = port }.Uri, Credential = credential },
        new KubernetesClientOptions { RetryTime = retryTime, RetryDelay = TimeSpan.FromMilliseconds(50), ConnectTimeout = TimeSpan.FromSeconds(5) });

    private static async Task AssertInterruptedAsync(ConfigurationLab lab, BackupInfo backup, SmcException failure, SmcErrorCode code)
    {
        Assert.Equal(code, failure.Code);
        Assert.Contains($"The restore of '{backup.Id}' was interrupted after ", failure.Message, StringComparison.Ordinal);
        Assert.EndsWith("run the restore again: what is done is not sent again.", failure.Recommendation, StringComparison.Ordinal);
        string[] left = [.. (await lab.CompareAsync(backup)).Select(static each => $"{each.Difference} {each.Name}").Order()];
        Assert.InRange(left.Length, 1, Count - 1);
        IReadOnlyList<ConfigurationRestoreResult> rest = await lab.RestoreAsync(backup);
        Assert.Equal(left, rest.Where(static each => each.Action == "Create").Select(static each => $"Removed {each.Name}").Order());
        Assert.Empty(await lab.CompareAsync(backup));
    }
}
