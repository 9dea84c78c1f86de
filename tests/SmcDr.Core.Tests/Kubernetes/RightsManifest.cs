using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Tests.Sites;
using YamlDotNet.Serialization;

namespace SmcDr.Core.Tests.Kubernetes;

/// <summary>The manifests of docs/kubernetes, as somebody applies them who has put other names in.</summary>
internal static class RightsManifest
{
    /// <summary>Applies the manifest of a use.</summary>
    /// <param name="client">As an administrator.</param>
    /// <param name="use">The part of the file's name behind <c>rbac-</c>.</param>
    /// <param name="words">What is replaced in its text.</param>
    /// <returns>What of it belongs to no namespace, so that somebody has to remove it.</returns>
    public static async Task<IReadOnlyList<(KubernetesResource Resource, string Name)>> ApplyAsync(
        KubernetesClient client, string use, params (string From, string To)[] words)
    {
        string text = await File.ReadAllTextAsync(Path.Combine(SiteFileTests.FindRoot(), "docs", "kubernetes", $"rbac-{use}.yaml"));
        text = words.Aggregate(text, static (now, word) => now.Replace(word.From, word.To, StringComparison.Ordinal));
        ResourceCatalog catalog = await client.GetCatalogAsync(false, default);
        List<(KubernetesResource, string)> left = [];
        foreach (string document in text.Split("\n---\n"))
        {
            if (new DeserializerBuilder().Build().Deserialize<object>(document) is not { } parsed)
            {
                // Words before the first object.
                continue;
            }

            KubernetesObject item = new((JsonObject)JsonNode.Parse(new SerializerBuilder().JsonCompatible().Build().Serialize(parsed))!);
            KubernetesResource resource = catalog.Get(item.ApiVersion, item.Kind);
            await client.ApplyAsync(resource, item, new ApplyOptions { Force = true }, default);
            if (!resource.IsNamespaced && item.Kind != "Namespace")
            {
                left.Add((resource, item.Name));
            }
        }

        return left;
    }

    /// <summary>The same client as an account of a namespace.</summary>
    public static KubernetesClient As(KubernetesClient client, string @namespace, string account) => new(client.Access with
    {
        Impersonation = new Impersonation(
            $"system:serviceaccount:{@namespace}:{account}", null, ["system:serviceaccounts", "system:authenticated"],
            new Dictionary<string, IReadOnlyList<string>>()),
    });
}
