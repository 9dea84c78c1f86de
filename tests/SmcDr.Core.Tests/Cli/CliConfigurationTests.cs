using System.Text.Json;
using SmcDr.Core.Encryption;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Kubernetes;

namespace SmcDr.Core.Tests.Cli;

/// <summary>The commands on the configuration of a namespace of a real cluster.</summary>
public sealed class CliConfigurationTests : IAsyncLifetime
{
    private readonly ClusterFixture _cluster = new();
    private readonly TemporaryDirectory _directory = new();

    public Task InitializeAsync() => _cluster.InitializeAsync();

    public async Task DisposeAsync()
    {
        await _cluster.DisposeAsync();
        _directory.Dispose();
    }

    [ClusterFact]
    public async Task Commands_BackUpCompareAndRestore_WorkTogether()
    {
        string key = Path.Combine(_directory.Path, "key");
        KeyFile.Create(key);
        string files = Directory.CreateDirectory(Path.Combine(_directory.Path, "files")).FullName;
        await File.WriteAllTextAsync(Path.Combine(files, "app.conf"), "x");
        await WriteSiteAsync($"encryptionKey: \"file:{key}\"", $"fileStores: [ {{ name: etc, path: \"{files}\", withConfiguration: true }} ]");
        await ApplyAsync("ConfigMap", "settings", "\"data\":{\"mode\":\"calm\"}");
        await ApplyAsync("Secret", "password", "\"stringData\":{\"password\":\"hunter2\"}");

        JsonElement[] backups = [.. (await RunAsync("backup", "configuration", "--label", "before")).EnumerateArray()];
        Assert.Equal(["Configuration", "FileStore"], backups.Select(static one => one.GetProperty("component").GetString()));
        Assert.Equal(("before", "Complete"), (backups[0].GetProperty("label").GetString(), backups[0].GetProperty("state").GetString()));
        Assert.Empty((await RunAsync("compare", "configuration", "--kind", "configmaps", "--kind", "secrets")).EnumerateArray());

        await _cluster.Client.DeleteAsync(KubernetesResource.Secrets, _cluster.Namespace, "password", null, default);
        await ApplyAsync("ConfigMap", "settings", "\"data\":{\"mode\":\"hectic\"}");
        CliRun compared = await CliRun.InAsync(_directory.Path, ["compare", "configuration", "--kind", "configmaps", "--kind", "secrets", "--json"]);
        Assert.Equal(
            ["ConfigMap/settings", "Secret/password"],
            compared.Json.EnumerateArray().Select(static one => $"{one.GetProperty("kind").GetString()}/{one.GetProperty("name").GetString()}").Order(StringComparer.Ordinal));
        Assert.Equal(SmcErrors.Get(SmcErrorCode.ConfigurationDrifted).ExitCode, compared.ExitCode);
        Assert.DoesNotContain("hunter2", compared.Out + compared.Error, StringComparison.Ordinal);

        // A plan changes nothing, and what changes is asked for.
        string[] restore = ["restore", "configuration", "--kind", "configmaps", "--kind", "secrets"];
        CliRun plan = await CliRun.InAsync(_directory.Path, [.. restore, "--dry-run"]);
        Assert.Equal(0, plan.ExitCode);
        Assert.Contains("settings", plan.Out, StringComparison.Ordinal);
        CliRun unasked = await CliRun.InAsync(_directory.Path, restore);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode, unasked.ExitCode);
        Assert.Equal("hectic", await ModeAsync());

        await RunAsync([.. restore, "--yes"]);
        Assert.Equal("calm", await ModeAsync());
        Assert.NotNull(await _cluster.Client.TryGetAsync(KubernetesResource.Secrets, _cluster.Namespace, "password", default));
        Assert.Empty((await RunAsync("compare", "configuration", "--kind", "configmaps", "--kind", "secrets")).EnumerateArray());
    }

    [ClusterFact]
    public async Task BackupConfiguration_WithoutEncryption_RefusesSecretsUnlessTheyAreLeftOut()
    {
        await WriteSiteAsync("", "");

        CliRun refused = await CliRun.InAsync(_directory.Path, ["backup", "configuration"]);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.SecretsUnprotected).ExitCode, refused.ExitCode);
        CliRun without = await CliRun.InAsync(_directory.Path, ["backup", "configuration", "--skip-secrets"]);
        Assert.Equal(0, without.ExitCode);
        Assert.Contains(_cluster.Namespace, without.Out, StringComparison.Ordinal);

        CliRun mapped = await CliRun.InAsync(_directory.Path, ["restore", "configuration", "--namespace-mapping", "nonsense", "--yes"]);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode, mapped.ExitCode);
        Assert.Contains("'nonsense'", mapped.Error, StringComparison.Ordinal);
        CliRun none = await CliRun.InAsync(_directory.Path, ["compare", "configuration", "--backup", "20200101T000000Z-full"]);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.BackupNotFound).ExitCode, none.ExitCode);
    }

    private async Task<string?> ModeAsync() => (string?)(await _cluster.Client.GetAsync(
        KubernetesResource.ConfigMaps, _cluster.Namespace, "settings", default)).Raw["data"]!["mode"];

    private Task WriteSiteAsync(string repository, string more) => File.WriteAllTextAsync(Path.Combine(_directory.Path, "smcdr.yaml"), $$"""
        name: cli-configuration
        repository:
          location: "file://{{_directory.Path}}/repository"
          {{repository}}
        regions:
          here: { role: primary, kubernetes: { kubeconfig: "{{ClusterFixture.Kubeconfig}}", namespace: {{_cluster.Namespace}} } }
        {{more}}
        """);

    private Task ApplyAsync(string kind, string name, string content) => _cluster.Client.ApplyAsync(
        kind == "Secret" ? KubernetesResource.Secrets : KubernetesResource.ConfigMaps,
        ClusterFixture.Parse($"{{\"apiVersion\":\"v1\",\"kind\":\"{kind}\",\"metadata\":{{\"name\":\"{name}\",\"namespace\":\"{_cluster.Namespace}\"}},{content}}}"),
        new ApplyOptions { Force = true },
        default);

    private async Task<JsonElement> RunAsync(params string[] arguments)
    {
        CliRun run = await CliRun.InAsync(_directory.Path, [.. arguments, "--json"]);
        Assert.True(run.ExitCode == 0, $"{string.Join(' ', arguments)}: {run.Error}");
        return run.Json;
    }
}
