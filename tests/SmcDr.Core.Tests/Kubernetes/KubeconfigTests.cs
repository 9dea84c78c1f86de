using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Kubernetes;

public sealed class KubeconfigTests : IDisposable
{
    private const string Secret = "s3cr3t-T0ken";
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task LoadAsync_ContextWithToken_GivesServerUserNamespaceAndToken()
    {
        ClusterAccess access = await LoadAsync(Write("config", Config()));

        Assert.Equal(new Uri("https://one.example:6443/base"), access.Server);
        Assert.Equal(("dev", "alice", "apps"), (access.Display, access.User, access.Namespace));
        Assert.Equal(Secret, (await access.Credential.GetAsync(null, default)).Token);
    }

    [Fact]
    public async Task LoadAsync_ContextThatIsNotThere_NamesThoseThatAre()
    {
        string path = Write("config", Config());

        SmcException failure = await Assert.ThrowsAsync<SmcException>(() => LoadAsync(path, context: "prod"));

        Assert.Equal(SmcErrorCode.KubeconfigInvalid, failure.Code);
        Assert.Contains("'prod'", failure.Message, StringComparison.Ordinal);
        Assert.Contains("There are: dev.", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task LoadAsync_NoFile_NamesWhereItWasLookedFor()
    {
        SmcException named = await Assert.ThrowsAsync<SmcException>(() => LoadAsync(Path.Combine(_directory.Path, "none")));
        SmcException found = await Assert.ThrowsAsync<SmcException>(() => Kubeconfig.LoadAsync(new KubeconfigOptions(), Environment(), default));

        Assert.Contains(Path.Combine(_directory.Path, "none"), named.Message, StringComparison.Ordinal);
        Assert.Contains(Path.Combine(_directory.Path, ".kube", "config"), found.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task LoadAsync_SeveralFiles_FirstWinsAndMissingOnesArePassedOver()
    {
        string first = Write("a/config", "current-context: dev\nusers: [{name: alice, user: {tokenFile: token}}]\n");
        Write("a/token", "from-first\n");
        string second = Write("b/config", Config());
        KubeEnvironment environment = Environment(("KUBECONFIG", string.Join(Path.PathSeparator, first, "/no/such", second)));

        ClusterAccess access = await Kubeconfig.LoadAsync(new KubeconfigOptions(), environment, default);

        Assert.Equal("one.example", access.Server.Host);
        Assert.Equal("from-first", (await access.Credential.GetAsync(null, default)).Token);
    }

    [Theory]
    [InlineData("{username: u, password: s3cr3t-T0ken}", "password")]
    [InlineData("{auth-provider: {name: gcp}}", "auth-provider")]
    [InlineData("{client-certificate-data: bm90IGEgY2VydA==}", "no key")]
    [InlineData("{exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}}", "v1alpha1")]
    [InlineData("{exec: {apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: Always}}", "interactiveMode")]
    public async Task LoadAsync_UserThatCannotBeUsed_IsRefusedWithItsReason(string user, string reason)
    {
        string path = Write("config", Config(user));

        SmcException failure = await Assert.ThrowsAsync<SmcException>(() => LoadAsync(path));

        Assert.Equal(SmcErrorCode.KubeconfigInvalid, failure.Code);
        Assert.Contains(reason, failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, failure.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("users: [{name: alice, user: {token: s3cr3t-T0ken\n")]
    [InlineData("users:\n- name: alice\n  user:\n    token: s3cr3t-T0ken\n   bad: [\n")]
    [InlineData("users: {token: s3cr3t-T0ken}\ncurrent-context: x\n")]
    public async Task LoadAsync_InvalidYaml_IsAnErrorWithoutTheContent(string text)
    {
        string path = Write("config", text);

        SmcException failure = await Assert.ThrowsAsync<SmcException>(() => LoadAsync(path));

        Assert.Equal(SmcErrorCode.KubeconfigInvalid, failure.Code);
        Assert.DoesNotContain(Secret, failure.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Credential_TokenFileReplaced_IsReadAgain()
    {
        ManualTime time = new();
        string path = Write("config", Config("{tokenFile: token}"));
        string token = Write("token", "first");
        ClusterAccess access = await LoadAsync(path, environment: Environment() with { Time = time });

        ClientIdentity before = await access.Credential.GetAsync(null, default);
        File.WriteAllText(token, "second");
        ClientIdentity soon = await access.Credential.GetAsync(null, default);
        ClientIdentity refused = await access.Credential.GetAsync(before, default);
        File.WriteAllText(token, "third");
        time.Advance(FileCredential.Freshness + TimeSpan.FromSeconds(1));
        ClientIdentity later = await access.Credential.GetAsync(null, default);
        File.Delete(token);
        time.Advance(FileCredential.Freshness + TimeSpan.FromSeconds(1));
        ClientIdentity gone = await access.Credential.GetAsync(null, default);

        Assert.Equal(["first", "first", "second", "third", "third"], new[] { before, soon, refused, later, gone }.Select(static each => each.Token));
    }

    [Fact]
    public async Task Credential_ExpiredClientCertificate_IsToldBeforeAnythingIsSent()
    {
        (string certificate, string key) = Certificate("CN=alice", DateTimeOffset.UtcNow.AddDays(-2), DateTimeOffset.UtcNow.AddDays(-1));
        Write("alice.crt", certificate);
        Write("alice.key", key);
        ClusterAccess access = await LoadAsync(Write("config", Config("{client-certificate: alice.crt, client-key: alice.key}")));

        SmcException failure = await Assert.ThrowsAsync<SmcException>(async () => await access.Credential.GetAsync(null, default));

        Assert.Equal(SmcErrorCode.ClusterAuthenticationFailed, failure.Code);
        Assert.Contains("CN=alice", failure.Message, StringComparison.Ordinal);
        Assert.Contains("expired", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Credential_ClientCertificateFromFilesAndFromData_AreTheSame()
    {
        (string certificate, string key) = Certificate("CN=bob", DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        Write("bob.crt", certificate);
        Write("bob.key", key);
        ClusterAccess files = await LoadAsync(Write("config", Config("{client-certificate: bob.crt, client-key: bob.key}")));
        string data = $"{{client-certificate-data: {Convert.ToBase64String(Encoding.UTF8.GetBytes(certificate))}, client-key-data: {Convert.ToBase64String(Encoding.UTF8.GetBytes(key))}}}";
        ClusterAccess inline = await LoadAsync(Write("config2", Config(data)));

        ClientCertificate one = (await files.Credential.GetAsync(null, default)).Certificate!;
        ClientCertificate other = (await inline.Credential.GetAsync(null, default)).Certificate!;

        Assert.Equal("CN=bob", one.Subject);
        Assert.Equal(one.Thumbprint, other.Thumbprint);
    }

    [Fact]
    public async Task Credential_ExecPlugin_IsAskedOnceUntilItsTokenExpiresOrIsRefused()
    {
        ManualTime time = new();
        string log = Path.Combine(_directory.Path, "log");
        string plugin = Script("plugin", $$$"""
            echo "$1 $EXTRA $KUBERNETES_EXEC_INFO" >> '{{{log}}}'
            n=$(wc -l < '{{{log}}}' | tr -d ' ')
            echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t'$n'","expirationTimestamp":"2030-01-01T01:00:00Z"}}'
            """);
        time.Set(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));
        ClusterAccess access = await LoadAsync(
            Write("config", Config($"{{exec: {{apiVersion: client.authentication.k8s.io/v1, command: ./plugin, args: [get], env: [{{name: EXTRA, value: e}}], provideClusterInfo: true}}}}")),
            environment: Environment() with { Time = time });

        ClientIdentity first = await access.Credential.GetAsync(null, default);
        ClientIdentity again = await access.Credential.GetAsync(null, default);
        ClientIdentity refused = await access.Credential.GetAsync(first, default);
        time.Advance(TimeSpan.FromMinutes(59.9));
        ClientIdentity expired = await access.Credential.GetAsync(null, default);

        Assert.Equal(["t1", "t1", "t2", "t3"], new[] { first, again, refused, expired }.Select(static each => each.Token));
        Assert.Contains("get e {", File.ReadAllText(log), StringComparison.Ordinal);
        Assert.Contains("\"server\":\"https://one.example:6443/base\"", File.ReadAllText(log), StringComparison.Ordinal);
        Assert.NotEmpty(plugin);
    }

    [Theory]
    [InlineData("echo please log in >&2; exit 3", "please log in")]
    [InlineData("echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1beta1\",\"status\":{\"token\":\"s3cr3t-T0ken\"}}'", "v1beta1")]
    [InlineData("echo '{\"token\": s3cr3t-T0ken'", "no ExecCredential")]
    [InlineData("echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{}}'", "neither a token")]
    public async Task Credential_ExecPluginThatFails_TellsWhyWithoutASecret(string script, string reason)
    {
        Script("plugin", script);
        ClusterAccess access = await LoadAsync(
            Write("config", Config("{exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin}}")));

        SmcException failure = await Assert.ThrowsAsync<SmcException>(async () => await access.Credential.GetAsync(null, default));

        Assert.Equal(SmcErrorCode.ClusterAuthenticationFailed, failure.Code);
        Assert.Contains(reason, failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, failure.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Credential_ExecPluginThatIsNotInstalled_GivesItsHint()
    {
        ClusterAccess access = await LoadAsync(Write(
            "config", Config("{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: no-such-plugin, installHint: Install it from here}}")));

        SmcException failure = await Assert.ThrowsAsync<SmcException>(async () => await access.Credential.GetAsync(null, default));

        Assert.Equal("Install it from here.", failure.Recommendation);
    }

    [Fact]
    public async Task LoadAsync_InAPod_UsesItsAccountAndNamespace()
    {
        (string authority, _) = Certificate("CN=ca", DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        Write("account/token", "pod-token\n");
        Write("account/namespace", "prod");
        Write("account/ca.crt", authority);
        KubeEnvironment environment = Environment(("KUBERNETES_SERVICE_HOST", "fd00::1"), ("KUBERNETES_SERVICE_PORT", "6443"))
            with { ServiceAccountDirectory = Path.Combine(_directory.Path, "account") };

        ClusterAccess access = await Kubeconfig.LoadAsync(new KubeconfigOptions(), environment, default);

        Assert.Equal(new Uri("https://[fd00::1]:6443"), access.Server);
        Assert.Equal("prod", access.Namespace);
        Assert.Equal("pod-token", (await access.Credential.GetAsync(null, default)).Token);
        Assert.Single(access.Authorities!);
    }

    private static (string Certificate, string Key) Certificate(string name, DateTimeOffset from, DateTimeOffset to)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using X509Certificate2 certificate = new CertificateRequest(name, key, HashAlgorithmName.SHA256).CreateSelfSigned(from, to);
        return (certificate.ExportCertificatePem(), key.ExportECPrivateKeyPem());
    }

    private static string Config(string user = "{token: s3cr3t-T0ken}") => $$$"""
        apiVersion: v1
        kind: Config
        current-context: dev
        clusters: [{name: one, cluster: {server: "https://one.example:6443/base"}}]
        contexts: [{name: dev, context: {cluster: one, user: alice, namespace: apps}}]
        users: [{name: alice, user: {{{user}}}}]
        """;

    private KubeEnvironment Environment(params (string Name, string Value)[] variables) => new()
    {
        Variable = name => variables.FirstOrDefault(pair => pair.Name == name).Value,
        HomeDirectory = _directory.Path,
        ServiceAccountDirectory = "/no/such/account",
    };

    private Task<ClusterAccess> LoadAsync(string path, string? context = null, KubeEnvironment? environment = null) =>
        Kubeconfig.LoadAsync(new KubeconfigOptions { Path = path, Context = context }, environment ?? Environment(), default);

    private string Write(string name, string text)
    {
        string path = Path.Combine(_directory.Path, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
        return path;
    }

    private string Script(string name, string text)
    {
        string path = Write(name, "#!/bin/sh\n" + text + "\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return path;
    }

    private sealed class ManualTime : TimeProvider
    {
        private DateTimeOffset _now = DateTimeOffset.UtcNow;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override DateTimeOffset GetUtcNow() => _now;

        public override long GetTimestamp() => _now.Ticks;

        public void Advance(TimeSpan by) => _now += by;

        public void Set(DateTimeOffset to) => _now = to;
    }
}
