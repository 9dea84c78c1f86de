using System.Globalization;
using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes.Configuration.Cleaning;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>
/// Brings single objects of a cluster to what a backup says, or finds out what that would change. The server itself applies, as the owner of what the backup
/// holds; what somebody added since is taken away, and what the server fills in is left. Safe for concurrent use.
/// </summary>
internal sealed class ObjectApplier(KubernetesClient client, ConfigurationRestoreOptions options, ScaledWorkloads scaled, NamespaceMapper mapper)
{
    private const int ConflictAttempts = 3;

    /// <summary>What is deleted with it cannot be restored from a configuration: data, and objects of a kind.</summary>
    private static readonly HashSet<string> s_neverReplaced = new(StringComparer.Ordinal)
    {
        "Namespace", "CustomResourceDefinition", "PersistentVolume", "PersistentVolumeClaim",
    };

    /// <summary>Parts of the messages with which servers say that a field stays as it is (kubernetes, pkg/apis/*/validation).</summary>
    private static readonly string[] s_immutable =
    [
        "immutable", "updates to ", "may not be changed", "may not change", "cannot change", "can not be less than", "updates may not",
    ];

    /// <summary>Applies an object.</summary>
    /// <param name="resource">Its kind in this cluster.</param>
    /// <param name="wanted">The object as the backup has it, in the namespace that it goes to.</param>
    /// <param name="mayExist">Whether it may be there; else it was just listed that it is not.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async Task<ObjectOutcome> ApplyAsync(
        KubernetesResource resource, KubernetesObject wanted, bool mayExist, CancellationToken cancellationToken)
    {
        KubernetesObject? live = mayExist ? await GetAsync(resource, wanted, cancellationToken).ConfigureAwait(false) : null;
        if (live?.DeletionTime is not null)
        {
            if (options.DryRun)
            {
                return new ObjectOutcome(ObjectOutcome.Create, []) { Detail = "It is there and is being deleted; a restore waits until it is gone." };
            }

            await WaitUntilGoneAsync(resource, live, cancellationToken).ConfigureAwait(false);
            live = null;
        }

        if (live is null)
        {
            await CreateAsync(resource, wanted, options.DryRun, cancellationToken).ConfigureAwait(false);
            return new ObjectOutcome(ObjectOutcome.Create, []);
        }

        if (mapper.SourceThatServes(live) is string source
            && await client.TryGetAsync(KubernetesResource.Namespaces, null, source, cancellationToken).ConfigureAwait(false) is { DeletionTime: null })
        {
            return new ObjectOutcome(ObjectOutcome.Skip, [])
            {
                Detail = $"It is one for the whole cluster, and what serves it is in '{source}', which is there still: it is left to that.",
            };
        }

        for (int attempt = 1; ; attempt++)
        {
            try
            {
                return await ChangeAsync(resource, wanted, live, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (attempt < ConflictAttempts && IsRace(e))
            {
                live = await GetAsync(resource, wanted, cancellationToken).ConfigureAwait(false);
                if (live is null)
                {
                    await CreateAsync(resource, wanted, options.DryRun, cancellationToken).ConfigureAwait(false);
                    return new ObjectOutcome(ObjectOutcome.Create, []);
                }
            }
        }
    }

    /// <summary>
    /// Whether somebody else changed the object in between. To a JSON patch whose test of the version fails the server answers with 422 and no cause
    /// (kubernetes, apiserver, patch.go, applyJSPatch).
    /// </summary>
    private static bool IsRace(SmcException exception) => KubernetesStatusException.Of(exception) switch
    {
        { Code: 409, Reason: "Conflict" } => exception.Code == SmcErrorCode.ResourceConflict,
        { Code: 422, Causes: [] } status => status.Message.StartsWith("the server rejected our request", StringComparison.Ordinal),
        _ => false,
    };

    /// <summary>Whether a server-side apply is impossible with this object, and another way is to be taken.</summary>
    private static bool IsApplyRefused(SmcException exception) =>
        KubernetesStatusException.Of(exception) is KubernetesStatus status && KubernetesErrors.IsTypedRefusal(status);

    private static bool IsImmutable(SmcException exception) =>
        exception.Code == SmcErrorCode.ResourceInvalid && KubernetesStatusException.Of(exception) is { Code: 422 } status
        && s_immutable.Any(part => status.Message.Contains(part, StringComparison.OrdinalIgnoreCase));

    /// <summary>Whether a webhook stands in the way that does not take part in what is only tried (admission, sideEffects).</summary>
    private static bool IsDryRunRefused(SmcException exception) =>
        KubernetesStatusException.Of(exception) is { Code: 400 } status
        && status.Message.Contains("does not support dry run", StringComparison.OrdinalIgnoreCase);

    private Task<KubernetesObject?> GetAsync(KubernetesResource resource, KubernetesObject item, CancellationToken cancellationToken) =>
        client.TryGetAsync(resource, item.Namespace, item.Name, cancellationToken);

    private async Task WaitUntilGoneAsync(KubernetesResource resource, KubernetesObject live, CancellationToken cancellationToken)
    {
        try
        {
            await client.WaitUntilGoneAsync(resource, live.Namespace, live.Name, live.Uid, options.TerminatingTimeout, cancellationToken)
                .ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.OperationTimedOut && resource.FullName == KubernetesResource.Namespaces.FullName)
        {
            throw new SmcException(SmcErrorCode.NamespaceTerminating, $"{e.Message} Nothing can be restored to it until then.", e, target: live.Name);
        }
    }

    private async Task<KubernetesObject> CreateAsync(
        KubernetesResource resource, KubernetesObject wanted, bool dryRun, CancellationToken cancellationToken)
    {
        if (HeldWorkload.TryFind(options, wanted, out string reason))
        {
            wanted = HeldWorkload.Hold(wanted, null, reason);
        }

        try
        {
            ApplyResult result = await client.ApplyAsync(
                resource, wanted, new ApplyOptions { Force = true, DryRun = dryRun }, cancellationToken).ConfigureAwait(false);
            return result.Item;
        }
        catch (SmcException e) when (IsApplyRefused(e))
        {
            return await client.CreateAsync(resource, wanted, dryRun, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (dryRun && IsDryRunRefused(e))
        {
            return wanted;
        }
    }

    private async Task<ObjectOutcome> ChangeAsync(
        KubernetesResource resource, KubernetesObject wanted, KubernetesObject live, CancellationToken cancellationToken)
    {
        wanted = Adapt(wanted, live);
        JsonObject before = ResourceCleaners.Cleaned(live).Raw;
        List<ObjectDifference> changes = [];
        if (IsReleasedVolume(live, wanted))
        {
            changes.Add(new ObjectDifference(
                FieldPath.Of("spec", "claimRef", "uid"), live.Raw.At("spec", "claimRef", "uid")!.DeepClone(), null));
            if (!options.DryRun)
            {
                await ReleaseAsync(resource, live, cancellationToken).ConfigureAwait(false);
            }
        }

        IReadOnlyList<ObjectDifference> differences = ObjectDifference.Between(before, wanted.Raw);
        if (differences.Count == 0)
        {
            return new ObjectOutcome(changes.Count == 0 ? ObjectOutcome.Same : ObjectOutcome.Change, changes);
        }

        try
        {
            JsonObject after = await SendAsync(resource, wanted, live, cancellationToken).ConfigureAwait(false);
            changes.AddRange(ObjectDifference.Between(before, after));
            // What is left then is what the server, perhaps a newer one, fills in anyway.
            return new ObjectOutcome(changes.Count == 0 ? ObjectOutcome.Same : ObjectOutcome.Change, changes);
        }
        catch (SmcException e) when (options.DryRun && IsDryRunRefused(e))
        {
            return new ObjectOutcome(ObjectOutcome.Change, [.. changes, .. differences])
            {
                Detail = "A webhook does not take part in what is only tried, so this is compared here, and the cluster was not asked.",
            };
        }
        catch (SmcException e) when (IsImmutable(e))
        {
            return await ReplaceAsync(resource, wanted, live, [.. changes, .. differences], e, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>What of the backup does not count where the object is there.</summary>
    private KubernetesObject Adapt(KubernetesObject wanted, KubernetesObject live)
    {
        if (HeldWorkload.TryFind(options, wanted, out string reason))
        {
            wanted = HeldWorkload.Hold(wanted, live, reason);
        }
        else if (scaled.Contains(wanted) && live.Raw.At("spec", "replicas") is JsonNode replicas && wanted.Raw["spec"] is JsonObject)
        {
            wanted = new KubernetesObject((JsonObject)wanted.Raw.DeepClone());
            wanted.Raw["spec"]!["replicas"] = replicas.DeepClone();
        }
        else if (!mapper.IsEmpty && wanted.Kind == "ClusterRoleBinding")
        {
            // It is one for both: who is bound by it elsewhere stays so.
            wanted = new KubernetesObject((JsonObject)wanted.Raw.DeepClone());
            JsonArray subjects = wanted.Raw["subjects"] as JsonArray ?? [];
            foreach (JsonObject subject in live.Raw["subjects"].Maps())
            {
                if (!subjects.Any(each => JsonNode.DeepEquals(each, subject)))
                {
                    subjects.Add(subject.DeepClone());
                }
            }

            wanted.Raw["subjects"] = subjects.Parent is null ? subjects : subjects.DeepClone();
        }

        return wanted;
    }

    /// <summary>
    /// Whether a volume still waits for a claim of an earlier life. Nothing is bound to it then, also not the claim of the same name that is restored next.
    /// </summary>
    private static bool IsReleasedVolume(KubernetesObject live, KubernetesObject wanted) =>
        live is { Kind: "PersistentVolume" } && live.Raw.TextAt("status", "phase") == "Released" && live.Raw.TextAt("spec", "claimRef", "uid") is not null
        && live.Raw.TextAt("spec", "claimRef", "name") == wanted.Raw.TextAt("spec", "claimRef", "name")
        && live.Raw.TextAt("spec", "claimRef", "namespace") == wanted.Raw.TextAt("spec", "claimRef", "namespace");

    private Task<KubernetesObject> ReleaseAsync(KubernetesResource resource, KubernetesObject live, CancellationToken cancellationToken) => client.PatchAsync(
        resource,
        null,
        live.Name,
        PatchKind.Merge,
        new JsonObject { ["spec"] = new JsonObject { ["claimRef"] = new JsonObject { ["uid"] = null, ["resourceVersion"] = null } } },
        cancellationToken);

    /// <summary>Has the server bring an object to what is wanted.</summary>
    /// <returns>The object as it is then, or would be, cleaned.</returns>
    private async Task<JsonObject> SendAsync(
        KubernetesResource resource, KubernetesObject wanted, KubernetesObject live, CancellationToken cancellationToken)
    {
        ApplyResult result;
        try
        {
            result = await client.ApplyAsync(
                resource, wanted, new ApplyOptions { Force = true, DryRun = options.DryRun }, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (IsApplyRefused(e))
        {
            JsonObject merged = ObjectMerge.Merge(live.Raw, ResourceCleaners.Cleaned(live).Raw, wanted.Raw);
            return ResourceCleaners.Cleaned(
                await client.ReplaceAsync(resource, new KubernetesObject(merged), options.DryRun, cancellationToken).ConfigureAwait(false)).Raw;
        }

        JsonObject after = ResourceCleaners.Cleaned(result.Item).Raw;
        FieldPath[] added =
        [
            .. ObjectDifference.Between(wanted.Raw, after)
                .Where(difference => difference.Old is null && IsSomebodysOwn(result.Item, difference.Path))
                .Select(static difference => difference.Path),
        ];
        if (added.Length == 0)
        {
            return after;
        }

        JsonArray patch = RemovalOf(result.Item, added);
        return ResourceCleaners.Cleaned(options.DryRun
            ? Removed(result.Item, patch)
            : await client.PatchAsync(resource, wanted.Namespace, wanted.Name, PatchKind.Json, patch, cancellationToken).ConfigureAwait(false)).Raw;
    }

    /// <summary>
    /// Whether somebody put a field there, and not the server: only then is it taken away. Finalizers are a controller's promise to clean up behind the object, and
    /// stay. A place in a list that has no keys is not a matter of ownership.
    /// </summary>
    private static bool IsSomebodysOwn(KubernetesObject item, FieldPath path) =>
        !path.IsBelow("metadata", "finalizers")
        && path.Steps.All(static step => step.Property is not null || step.Keys is not null)
        && FieldOwnership.IsOwned(item, path);

    private static JsonArray RemovalOf(KubernetesObject item, FieldPath[] paths)
    {
        // From the end: what is removed from a list moves what stands behind it.
        IEnumerable<string> pointers = paths.Select(path => path.ToPointer(item.Raw)).OfType<string>()
            .OrderDescending(Comparer<string>.Create(ComparePointers));
        return
        [
            new JsonObject { ["op"] = "test", ["path"] = "/metadata/resourceVersion", ["value"] = item.ResourceVersion },
            .. pointers.Select(static pointer => new JsonObject { ["op"] = "remove", ["path"] = pointer }),
        ];
    }

    private static int ComparePointers(string left, string right)
    {
        string[] a = left.Split('/');
        string[] b = right.Split('/');
        for (int i = 0; i < Math.Min(a.Length, b.Length); i++)
        {
            int order = int.TryParse(a[i], NumberStyles.None, CultureInfo.InvariantCulture, out int x)
                && int.TryParse(b[i], NumberStyles.None, CultureInfo.InvariantCulture, out int y)
                    ? x.CompareTo(y)
                    : string.CompareOrdinal(a[i], b[i]);
            if (order != 0)
            {
                return order;
            }
        }

        return a.Length.CompareTo(b.Length);
    }

    /// <summary>What removals would leave: an apply that was only tried changed nothing that could be patched.</summary>
    private static KubernetesObject Removed(KubernetesObject item, JsonArray patch)
    {
        foreach (JsonObject operation in patch.Maps().Skip(1))
        {
            string[] steps = operation.TextAt("path")!.Split('/');
            JsonNode? node = item.Raw;
            foreach (string step in steps[1..^1])
            {
                node = node is JsonArray list ? list[int.Parse(step, CultureInfo.InvariantCulture)] : node?[Unescape(step)];
            }

            if (node is JsonArray array)
            {
                array.RemoveAt(int.Parse(steps[^1], CultureInfo.InvariantCulture));
            }
            else
            {
                (node as JsonObject)?.Remove(Unescape(steps[^1]));
            }
        }

        return item;
    }

    private static string Unescape(string step) => step.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);

    private async Task<ObjectOutcome> ReplaceAsync(
        KubernetesResource resource,
        KubernetesObject wanted,
        KubernetesObject live,
        IReadOnlyList<ObjectDifference> changes,
        SmcException refusal,
        CancellationToken cancellationToken)
    {
        ObjectOutcome outcome = new(ObjectOutcome.Replace, changes);
        if (s_neverReplaced.Contains(live.Kind))
        {
            return outcome with
            {
                NeedsReplace = true,
                Detail = $"{refusal.Message} It is never deleted here, not even by force, since what it holds would go with it.",
            };
        }

        if (!options.Force)
        {
            return outcome with { NeedsReplace = true, Detail = refusal.Message };
        }

        if (options.DryRun)
        {
            return outcome;
        }

        // From here on a stop would leave nothing.
        cancellationToken.ThrowIfCancellationRequested();
        // The pods of a StatefulSet stay and are taken over; with others a new selector may leave them to nobody.
        DeletePropagation propagation = live.Kind == "StatefulSet" ? DeletePropagation.Orphan : DeletePropagation.Background;
        await client.DeleteAsync(
            resource, live.Namespace, live.Name, new DeleteOptions { Uid = live.Uid, Propagation = propagation }, CancellationToken.None).ConfigureAwait(false);
        await WaitUntilGoneAsync(resource, live, CancellationToken.None).ConfigureAwait(false);
        try
        {
            await CreateAsync(resource, wanted, dryRun: false, CancellationToken.None).ConfigureAwait(false);
            return outcome;
        }
        catch (SmcException e)
        {
            KubernetesObject old = ResourceCleaners.Cleaned(live);
            string fate;
            try
            {
                await CreateAsync(resource, old, dryRun: false, CancellationToken.None).ConfigureAwait(false);
                fate = "The object is there again as it was.";
            }
            catch (SmcException second)
            {
                fate = $"It could not be put back as it was either: {second.Message}";
            }

            throw new SmcException(
                e.Code, $"'{live}' was deleted to be replaced, and the new one was not accepted: {e.Message} {fate}", e, e.Recommendation, live.ToString());
        }
    }
}
