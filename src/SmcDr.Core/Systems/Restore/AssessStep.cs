using SmcDr.Core.Kubernetes;
using SmcDr.Core.Plans;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Core.Systems.Restore;

/// <summary>Looks whether what is restored can be read, and the cluster reached, before anything is stopped.</summary>
internal sealed class AssessStep(SitePlanContext context, SystemRestoreIntent intent) : SystemRestoreStep(context, intent)
{
    public override string Key => SystemRestore.AssessKey;

    public override string Title => "Assess";

    public override string Target => Site.Name;

    private bool IsNothing => !Intent.Backups().Any();

    public override string Describe() => IsNothing ? "Nothing is to be restored." : $"Look whether {Intent.Backups().Count()} backups can be read" +
        $"{(Site.PrimaryRegion.Kubernetes is null ? "" : " and the cluster answers")}. What would be lost: {SystemLoss.Describe(Intent)}.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        List<string> found = [];
        foreach ((Component component, string id) in Intent.Backups())
        {
            BackupReader reader = await Context.Repository.OpenBackupAsync(component, id, cancellationToken).ConfigureAwait(false);
            StreamedManifest manifest = await reader.OpenManifestAsync(cancellationToken).ConfigureAwait(false);
            await using (manifest.ConfigureAwait(false))
            {
                await reader.CheckPacksAsync(manifest.Packs, cancellationToken).ConfigureAwait(false);
            }

            found.Add(id);
        }

        string cluster = "";
        if (Site.PrimaryRegion.Kubernetes is not null)
        {
            using KubernetesClient client = await ConnectAsync(context, cancellationToken).ConfigureAwait(false);
            cluster = $" The cluster '{client.Access.Display}' runs Kubernetes {await client.GetVersionAsync(cancellationToken).ConfigureAwait(false)}.";
        }

        return IsNothing ? $"Nothing is to be restored.{cluster}" : $"All of {string.Join(", ", found)} is there.{cluster} What is lost: {SystemLoss.Describe(Intent)}.";
    }
}
