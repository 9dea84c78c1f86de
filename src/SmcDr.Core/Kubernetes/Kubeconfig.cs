using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace SmcDr.Core.Kubernetes;

/// <summary>
/// Finds out how a cluster is reached: from a kubeconfig file, from the files of <c>KUBECONFIG</c>, from <c>~/.kube/config</c>, or, inside a
/// pod, from the account that the kubelet gives it. The rules of precedence are those of kubectl (client-go, clientcmd/loader.go).
/// </summary>
public static class Kubeconfig
{
    private const string ExecExtension = "client.authentication.k8s.io/exec";

    /// <summary>Loads what <paramref name="options"/> say.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.KubeconfigInvalid"/>: there is none, or it is not valid, or names nothing.</exception>
    public static Task<ClusterAccess> LoadAsync(KubeconfigOptions options, CancellationToken cancellationToken) =>
        LoadAsync(options, KubeEnvironment.Current, cancellationToken);

    internal static async Task<ClusterAccess> LoadAsync(
        KubeconfigOptions options, KubeEnvironment environment, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        List<string> paths = [];
        string looked;
        string? variable = environment.Variable("KUBECONFIG");
        if (options.Path is not null)
        {
            looked = environment.Expand(options.Path);
            if (!File.Exists(looked))
            {
                throw new SmcException(
                    SmcErrorCode.KubeconfigInvalid, $"There is no kubeconfig file {looked}.", target: looked);
            }

            paths.Add(looked);
        }
        else if (!string.IsNullOrEmpty(variable))
        {
            paths.AddRange(variable
                .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
                .Select(path => environment.Expand(path)));
            looked = $"the files of KUBECONFIG ({string.Join(", ", paths)})";
        }
        else
        {
            paths.Add(environment.Expand("~/.kube/config"));
            looked = paths[0];
        }

        List<KubeconfigDocument> documents = [];
        foreach (string path in paths.Where(File.Exists))
        {
            documents.Add(KubeconfigDocument.Parse(path, await ReadAsync(path, "kubeconfig", cancellationToken).ConfigureAwait(false)));
        }

        bool isEmpty = documents.All(static document => document.CurrentContext is null && !document.Names("contexts").Any());
        if (options.Path is null && options.Context is null && isEmpty && IsInCluster(environment))
        {
            return await LoadInClusterAsync(options, environment, cancellationToken).ConfigureAwait(false);
        }

        if (documents.Count == 0)
        {
            throw new SmcException(
                SmcErrorCode.KubeconfigInvalid,
                $"There is no kubeconfig: {looked} is not there, and this does not run in a pod of a cluster.",
                target: looked);
        }

        return await new Merge(documents, looked, environment).ResolveAsync(options, cancellationToken).ConfigureAwait(false);
    }

    private static bool IsInCluster(KubeEnvironment environment) =>
        !string.IsNullOrEmpty(environment.Variable("KUBERNETES_SERVICE_HOST"))
        && File.Exists(Path.Combine(environment.ServiceAccountDirectory, "token"));

    private static async Task<ClusterAccess> LoadInClusterAsync(
        KubeconfigOptions options, KubeEnvironment environment, CancellationToken cancellationToken)
    {
        string host = environment.Variable("KUBERNETES_SERVICE_HOST")!;
        string port = environment.Variable("KUBERNETES_SERVICE_PORT") is { Length: > 0 } text ? text : "443";
        string folder = environment.ServiceAccountDirectory;
        string authority = Path.Combine(folder, "ca.crt");
        string namespaceFile = Path.Combine(folder, "namespace");
        string @namespace = options.Namespace
            ?? (File.Exists(namespaceFile)
                ? (await ReadAsync(namespaceFile, "namespace of the pod", cancellationToken).ConfigureAwait(false)).Trim()
                : "default");
        return new ClusterAccess
        {
            Server = new Uri($"https://{(host.Contains(':', StringComparison.Ordinal) ? $"[{host}]" : host)}:{port}"),
            Display = "the cluster of this pod",
            User = "the service account of this pod",
            Namespace = @namespace,
            IsOwnCluster = true,
            Authorities = File.Exists(authority)
                ? Authorities(await ReadAsync(authority, "authority of the pod", cancellationToken).ConfigureAwait(false), authority)
                : null,
            Credential = new FileCredential("the service account of this pod", environment.Time)
            {
                TokenFile = Path.Combine(folder, "token"),
            },
        };
    }

    private static async Task<string> ReadAsync(string path, string what, CancellationToken cancellationToken)
    {
        try
        {
            return await File.ReadAllTextAsync(path, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new SmcException(SmcErrorCode.KubeconfigInvalid, $"The {what} {path} is not there.", e, target: path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SmcException(
                SmcErrorCode.KubeconfigInvalid,
                $"The {what} {path} cannot be read.",
                e,
                "Run as the user that the file belongs to, or give this account the right to read it.",
                path);
        }
    }

    private static X509Certificate2Collection Authorities(string pem, string source)
    {
        X509Certificate2Collection result = [];
        try
        {
            result.ImportFromPem(pem);
        }
        catch (CryptographicException e)
        {
            throw new SmcException(
                SmcErrorCode.KubeconfigInvalid, $"The certificate authority of {source} cannot be read: {e.Message.TrimEnd('.')}.", e, target: source);
        }

        return result.Count > 0
            ? result
            : throw new SmcException(SmcErrorCode.KubeconfigInvalid, $"The certificate authority of {source} holds no certificate.", target: source);
    }

    /// <summary>Several files as one: what comes first wins, and each entry's paths are relative to its own file.</summary>
    private sealed class Merge(IReadOnlyList<KubeconfigDocument> documents, string looked, KubeEnvironment environment)
    {
        public async Task<ClusterAccess> ResolveAsync(KubeconfigOptions options, CancellationToken cancellationToken)
        {
            string name = options.Context
                ?? documents.Select(static document => document.CurrentContext).FirstOrDefault(static each => !string.IsNullOrEmpty(each))
                ?? throw Missing(
                    $"The kubeconfig {looked} has no current context, and none was given.",
                    "contexts", "Choose one by its name, or with kubectl config use-context.");
            (KubeconfigDocument document, YamlMappingNode context) = Find("contexts", "context", name)
                ?? throw Missing($"The kubeconfig {looked} has no context '{name}'.", "contexts");
            string clusterName = document.Text(context, "cluster")
                ?? throw document.Invalid($"the context '{name}' names no cluster");
            (KubeconfigDocument clusterDocument, YamlMappingNode cluster) = Find("clusters", "cluster", clusterName)
                ?? throw Missing($"The kubeconfig {looked} has no cluster '{clusterName}', which the context '{name}' names.", "clusters");
            string? userName = document.Text(context, "user");
            (KubeconfigDocument Document, YamlMappingNode User)? user = userName is null
                ? null
                : Find("users", "user", userName)
                    ?? throw Missing($"The kubeconfig {looked} has no user '{userName}', which the context '{name}' names.", "users");

            ClusterAccess access = await ReadClusterAsync(clusterDocument, cluster, clusterName, cancellationToken).ConfigureAwait(false) with
            {
                Display = name,
                User = userName ?? "nobody",
                Namespace = options.Namespace ?? document.Text(context, "namespace") ?? "default",
            };
            return user is null
                ? access
                : access with
                {
                    Credential = await ReadUserAsync(user.Value.Document, user.Value.User, userName!, clusterDocument, cluster, access, cancellationToken)
                        .ConfigureAwait(false),
                    Impersonation = ReadImpersonation(user.Value.Document, user.Value.User),
                };
        }

        private (KubeconfigDocument Document, YamlMappingNode Node)? Find(string list, string member, string name)
        {
            foreach (KubeconfigDocument document in documents)
            {
                if (document.Find(list, member, name) is YamlMappingNode node)
                {
                    return (document, node);
                }
            }

            return null;
        }

        private SmcException Missing(string message, string list, string? recommendation = null)
        {
            string[] names = [.. documents.SelectMany(document => document.Names(list)).Distinct(StringComparer.Ordinal)];
            string there = names.Length == 0 ? $"There are no {list} in it." : $"There are: {string.Join(", ", names.Take(20))}.";
            return new(SmcErrorCode.KubeconfigInvalid, $"{message} {there}", recommendation: recommendation, target: looked);
        }

        private async Task<ClusterAccess> ReadClusterAsync(
            KubeconfigDocument document, YamlMappingNode cluster, string name, CancellationToken cancellationToken)
        {
            string server = document.Text(cluster, "server") ?? throw document.Invalid($"the cluster '{name}' has no server");
            if (!server.Contains("://", StringComparison.Ordinal))
            {
                server = "https://" + server;
            }

            if (!Uri.TryCreate(server, UriKind.Absolute, out Uri? uri) || uri.Scheme is not ("https" or "http") || uri.UserInfo.Length > 0)
            {
                throw document.Invalid($"the server of the cluster '{name}' is no http or https address, or holds a password");
            }

            byte[]? data = document.Data(cluster, "certificate-authority-data");
            string? file = ResolvePath(document, document.Text(cluster, "certificate-authority"));
            bool skip = document.Flag(cluster, "insecure-skip-tls-verify");
            if (skip && (data is not null || file is not null))
            {
                throw document.Invalid($"the cluster '{name}' has a certificate authority and says insecure-skip-tls-verify as well");
            }

            string? proxy = document.Text(cluster, "proxy-url");
            Uri? proxyUri = null;
            if (!string.IsNullOrEmpty(proxy)
                && (!Uri.TryCreate(proxy, UriKind.Absolute, out proxyUri) || proxyUri.Scheme is not ("http" or "https" or "socks5")))
            {
                throw document.Invalid($"the proxy-url of the cluster '{name}' is no http, https or socks5 address");
            }

            return new ClusterAccess
            {
                Server = uri,
                Display = name,
                User = "nobody",
                Authorities = data is not null
                    ? Authorities(Encoding.UTF8.GetString(data), $"the cluster '{name}' in {document.FilePath}")
                    : file is not null
                        ? Authorities(await ReadAsync(file, "certificate authority", cancellationToken).ConfigureAwait(false), file)
                        : null,
                SkipTlsVerify = skip,
                TlsServerName = document.Text(cluster, "tls-server-name") is { Length: > 0 } tlsName ? tlsName : null,
                Proxy = proxyUri,
            };
        }

        private async Task<ClusterCredential> ReadUserAsync(
            KubeconfigDocument document,
            YamlMappingNode user,
            string name,
            KubeconfigDocument clusterDocument,
            YamlMappingNode cluster,
            ClusterAccess access,
            CancellationToken cancellationToken)
        {
            if (document.Text(user, "username") is not null || document.Text(user, "password") is not null)
            {
                throw Unsupported(document, name, "a user name and password, which Kubernetes has not taken since 1.19");
            }

            if (document.Mapping(user, "auth-provider") is not null)
            {
                throw Unsupported(document, name, "an auth-provider, which kubectl has not known since 1.26");
            }

            if (document.Mapping(user, "exec") is YamlMappingNode exec)
            {
                JsonObject? info = document.Flag(exec, "provideClusterInfo")
                    ? await ClusterInfoAsync(clusterDocument, cluster, access, cancellationToken).ConfigureAwait(false)
                    : null;
                return new ExecPluginCredential(ReadExec(document, exec, name, info), environment.Time);
            }

            byte[]? certificate = document.Data(user, "client-certificate-data");
            byte[]? key = document.Data(user, "client-key-data");
            string? certificateFile = ResolvePath(document, document.Text(user, "client-certificate"));
            string? keyFile = ResolvePath(document, document.Text(user, "client-key"));
            string? token = document.Text(user, "token");
            string? tokenFile = ResolvePath(document, document.Text(user, "tokenFile"));
            bool hasCertificate = certificate is not null || certificateFile is not null;
            if (hasCertificate && key is null && keyFile is null)
            {
                throw document.Invalid($"the user '{name}' has a client certificate and no key");
            }

            return !hasCertificate && token is null && tokenFile is null
                ? AnonymousCredential.Instance
                : new FileCredential($"user '{name}'", environment.Time)
                {
                    Token = token,
                    TokenFile = tokenFile,
                    Certificate = certificate is null ? null : Encoding.UTF8.GetString(certificate),
                    CertificateFile = certificate is null ? certificateFile : null,
                    Key = key is null ? null : Encoding.UTF8.GetString(key),
                    KeyFile = key is null ? keyFile : null,
                };
        }

        private ExecPluginSettings ReadExec(KubeconfigDocument document, YamlMappingNode exec, string user, JsonObject? clusterInfo)
        {
            string version = document.Text(exec, "apiVersion") ?? "";
            if (version is not (ExecPluginSettings.V1 or ExecPluginSettings.V1Beta1))
            {
                throw document.Invalid(
                    $"the exec plugin of user '{user}' has the apiVersion '{KubeText.Clean(version, 80)}', and {ExecPluginSettings.V1} and {ExecPluginSettings.V1Beta1} are supported");
            }

            if (document.Text(exec, "interactiveMode") == "Always")
            {
                throw Unsupported(document, user, "an exec plugin that always asks at a terminal (interactiveMode: Always), and there may be none");
            }

            string command = document.Text(exec, "command") ?? throw document.Invalid($"the exec plugin of user '{user}' has no command");
            bool isPath = command.Contains('/', StringComparison.Ordinal) || command.Contains(Path.DirectorySeparatorChar, StringComparison.Ordinal);
            return new ExecPluginSettings
            {
                User = user,
                ApiVersion = version,
                // A path is relative to the kubeconfig; a bare name is looked for in PATH (client-go, clientcmd/loader.go ResolveLocalPaths).
                Command = isPath || command.StartsWith('~') ? environment.Expand(command, document.Directory) : command,
                Arguments = document.Texts(exec, "args"),
                Environment =
                [
                    .. document.Items(exec, "env").Select(item => item is YamlMappingNode pair && document.Text(pair, "name") is { Length: > 0 } key
                        ? KeyValuePair.Create(key, document.Text(pair, "value") ?? "")
                        : throw document.Invalid($"an 'env' of the exec plugin of user '{user}' has no name")),
                ],
                InstallHint = document.Text(exec, "installHint"),
                ClusterInfo = clusterInfo,
            };
        }

        /// <summary>What client-go tells a plugin of its cluster (client-go, pkg/apis/clientauthentication/types.go, Cluster).</summary>
        private async Task<JsonObject> ClusterInfoAsync(
            KubeconfigDocument document, YamlMappingNode cluster, ClusterAccess access, CancellationToken cancellationToken)
        {
            JsonObject info = new() { ["server"] = document.Text(cluster, "server") };
            if (access.TlsServerName is not null)
            {
                info["tls-server-name"] = access.TlsServerName;
            }

            if (access.SkipTlsVerify)
            {
                info["insecure-skip-tls-verify"] = true;
            }

            byte[]? authority = document.Data(cluster, "certificate-authority-data");
            if (authority is null && ResolvePath(document, document.Text(cluster, "certificate-authority")) is string file)
            {
                authority = Encoding.UTF8.GetBytes(await ReadAsync(file, "certificate authority", cancellationToken).ConfigureAwait(false));
            }

            if (authority is not null)
            {
                info["certificate-authority-data"] = Convert.ToBase64String(authority);
            }

            if (access.Proxy is not null)
            {
                info["proxy-url"] = document.Text(cluster, "proxy-url");
            }

            foreach (YamlNode item in document.Items(cluster, "extensions"))
            {
                if (item is YamlMappingNode extension && document.Text(extension, "name") == ExecExtension
                    && extension.Children.TryGetValue(new YamlScalarNode("extension"), out YamlNode? config))
                {
                    info["config"] = ToJson(config, 0);
                }
            }

            return info;
        }

        private static Impersonation? ReadImpersonation(KubeconfigDocument document, YamlMappingNode user)
        {
            string? name = document.Text(user, "as");
            string? uid = document.Text(user, "as-uid");
            IReadOnlyList<string> groups = document.Texts(user, "as-groups");
            Dictionary<string, IReadOnlyList<string>> extra = [];
            if (document.Mapping(user, "as-user-extra") is YamlMappingNode map)
            {
                foreach (string key in map.Children.Keys.OfType<YamlScalarNode>().Select(static key => key.Value).OfType<string>())
                {
                    extra[key] = document.Texts(map, key);
                }
            }

            return name is null && uid is null && groups.Count == 0 && extra.Count == 0
                ? null
                : name is null
                    ? throw document.Invalid("a user has as-groups, as-uid or as-user-extra, and no as")
                    : new Impersonation(name, uid, groups, extra);
        }

        private static JsonNode? ToJson(YamlNode node, int depth) => node switch
        {
            _ when depth > 32 => null,
            YamlMappingNode mapping => new JsonObject(mapping.Children
                .Where(static pair => pair.Key is YamlScalarNode { Value: not null })
                .Select(pair => KeyValuePair.Create(((YamlScalarNode)pair.Key).Value!, ToJson(pair.Value, depth + 1)))),
            YamlSequenceNode sequence => new JsonArray([.. sequence.Children.Select(child => ToJson(child, depth + 1))]),
            YamlScalarNode { Style: not ScalarStyle.Plain } scalar => scalar.Value,
            YamlScalarNode { Value: null or "" or "~" or "null" } => null,
            YamlScalarNode { Value: "true" } => true,
            YamlScalarNode { Value: "false" } => false,
            YamlScalarNode scalar when long.TryParse(scalar.Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) => number,
            YamlScalarNode scalar => scalar.Value,
            _ => null,
        };

        private string? ResolvePath(KubeconfigDocument document, string? path) =>
            string.IsNullOrEmpty(path) ? null : environment.Expand(path, document.Directory);

        private static SmcException Unsupported(KubeconfigDocument document, string user, string what) => new(
            SmcErrorCode.KubeconfigInvalid,
            $"The user '{user}' of the kubeconfig {document.FilePath} has {what}.",
            recommendation: "Give the user a token, a client certificate, or an exec plugin that works without a terminal.",
            target: document.FilePath);
    }
}
