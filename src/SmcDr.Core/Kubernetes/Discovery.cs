using System.Text.Json;
using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes;

/// <summary>
/// Asks a cluster which kinds it has: all at once where it can tell so (KEP-3352, 1.26 on), else group by group. A group that does not answer is
/// told, and hinders no other: an aggregated API whose pod is down would keep everything else from being backed up.
/// </summary>
internal sealed class Discovery(ClusterTransport transport)
{
    private const string Aggregated =
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

    private const int Parallelism = 8;

    private readonly List<KubernetesResource> _resources = [];
    private readonly List<UnavailableApi> _unavailable = [];

    public async Task<ResourceCatalog> RunAsync(CancellationToken cancellationToken)
    {
        bool isAggregated = false;
        foreach (string root in (string[])["/api", "/apis"])
        {
            (byte[] body, string contentType) = await transport.SendForContentAsync(
                new ApiRequest(HttpMethod.Get, root) { Accept = Aggregated }, cancellationToken).ConfigureAwait(false);
            JsonObject answer = Parse(body, root);
            // The kind that was asked for stands in the content type, in any order and case of its parts.
            if (contentType.Contains("APIGroupDiscoveryList", StringComparison.OrdinalIgnoreCase) || (string?)answer["kind"] == "APIGroupDiscoveryList")
            {
                isAggregated = true;
                ReadAggregated(answer);
            }
            else
            {
                await ReadLegacyAsync(root, answer, cancellationToken).ConfigureAwait(false);
            }
        }

        return new ResourceCatalog(_resources, _unavailable, isAggregated);
    }

    private static JsonObject Parse(byte[] body, string path)
    {
        try
        {
            return JsonNode.Parse(body) as JsonObject ?? throw new JsonException("It is no object.");
        }
        catch (JsonException e)
        {
            throw new SmcException(
                SmcErrorCode.ClusterUnavailable,
                $"What answers at '{path}' is no API server: it sent no JSON object.",
                e,
                "Check the address of the cluster in the kubeconfig: a proxy or a login page may be in front of it.");
        }
    }

    private static string[] Texts(JsonNode? node) =>
        node is JsonArray array ? [.. array.Select(static item => (string?)item).OfType<string>()] : [];

    private void ReadAggregated(JsonObject answer)
    {
        foreach (JsonNode? group in answer["items"] as JsonArray ?? [])
        {
            string groupName = (string?)group?["metadata"]?["name"] ?? "";
            HashSet<string> seen = new(StringComparer.Ordinal);
            foreach (JsonNode? version in group?["versions"] as JsonArray ?? [])
            {
                string versionName = (string?)version?["version"] ?? "";
                JsonArray resources = version?["resources"] as JsonArray ?? [];
                if ((string?)version?["freshness"] == "Stale")
                {
                    _unavailable.Add(new UnavailableApi(
                        groupName.Length == 0 ? versionName : $"{groupName}/{versionName}",
                        "who serves it does not answer, and what the cluster knows of it is old"));
                }

                foreach (JsonNode? resource in resources)
                {
                    JsonNode? kind = resource?["responseKind"];
                    if ((string?)resource?["resource"] is not { Length: > 0 } plural || (string?)kind?["kind"] is not { Length: > 0 } kindName)
                    {
                        continue;
                    }

                    _resources.Add(new KubernetesResource
                    {
                        Group = groupName,
                        Version = versionName,
                        Plural = plural,
                        Kind = kindName,
                        Singular = (string?)resource["singularResource"] ?? "",
                        IsNamespaced = (string?)resource["scope"] == "Namespaced",
                        Verbs = Texts(resource["verbs"]),
                        ShortNames = Texts(resource["shortNames"]),
                        Subresources =
                        [
                            .. (resource["subresources"] as JsonArray ?? []).Select(static each => (string?)each?["subresource"]).OfType<string>(),
                        ],
                        IsPreferred = seen.Add(plural),
                    });
                }
            }
        }
    }

    private async Task ReadLegacyAsync(string root, JsonObject answer, CancellationToken cancellationToken)
    {
        List<(string Group, string Version)> versions = [];
        if (root == "/api")
        {
            versions.AddRange(Texts(answer["versions"]).Select(static version => ("", version)));
        }

        foreach (JsonNode? group in answer["groups"] as JsonArray ?? [])
        {
            string name = (string?)group?["name"] ?? "";
            string preferred = (string?)group?["preferredVersion"]?["version"] ?? "";
            versions.AddRange((group?["versions"] as JsonArray ?? [])
                .Select(static version => (string?)version?["version"] ?? "")
                .Where(static version => version.Length > 0)
                .OrderByDescending(version => version == preferred)
                .Select(version => (name, version)));
        }

        JsonObject?[] lists = new JsonObject?[versions.Count];
        UnavailableApi?[] failures = new UnavailableApi?[versions.Count];
        await Parallel.ForAsync(
            0,
            versions.Count,
            new ParallelOptions { MaxDegreeOfParallelism = Parallelism, CancellationToken = cancellationToken },
            async (index, token) =>
            {
                (string group, string version) = versions[index];
                string path = group.Length == 0 ? $"{root}/{version}" : $"{root}/{group}/{version}";
                try
                {
                    lists[index] = Parse(await transport.SendAsync(new ApiRequest(HttpMethod.Get, path), token).ConfigureAwait(false), path);
                }
                catch (SmcException e) when (group.Length > 0 && e.Code is SmcErrorCode.ClusterUnavailable or SmcErrorCode.ResourceNotFound
                    && KubernetesStatusException.Of(e) is not null)
                {
                    failures[index] = new UnavailableApi($"{group}/{version}", e.Message);
                }
            }).ConfigureAwait(false);

        _unavailable.AddRange(failures.OfType<UnavailableApi>());
        HashSet<string> seen = new(StringComparer.Ordinal);
        for (int i = 0; i < lists.Length; i++)
        {
            ReadList(versions[i], lists[i]?["resources"] as JsonArray ?? [], seen);
        }
    }

    private void ReadList((string Group, string Version) from, JsonArray list, HashSet<string> seen)
    {
        ILookup<string, string> parts = list
            .Select(static item => ((string?)item?["name"] ?? "").Split('/', 2))
            .Where(static name => name.Length == 2)
            .ToLookup(static name => name[0], static name => name[1], StringComparer.Ordinal);
        foreach (JsonNode? item in list)
        {
            if ((string?)item?["name"] is not { Length: > 0 } plural || plural.Contains('/', StringComparison.Ordinal))
            {
                continue;
            }

            _resources.Add(new KubernetesResource
            {
                Group = from.Group,
                Version = from.Version,
                Plural = plural,
                Kind = (string?)item["kind"] ?? "",
                Singular = (string?)item["singularName"] ?? "",
                IsNamespaced = (bool?)item["namespaced"] ?? false,
                Verbs = Texts(item["verbs"]),
                ShortNames = Texts(item["shortNames"]),
                Subresources = [.. parts[plural]],
                IsPreferred = seen.Add($"{from.Group}/{plural}"),
            });
        }
    }
}
