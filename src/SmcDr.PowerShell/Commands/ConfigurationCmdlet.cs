using System.Collections;
using System.Management.Automation;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>The base of the cmdlets that hold a backup of a configuration against a cluster.</summary>
public abstract class ConfigurationCmdlet : SiteCmdlet
{
    private readonly HashSet<string> _ids = new(StringComparer.Ordinal);
    private bool _asked;

    /// <summary>The backup, as Get-SmcBackup gives it. Without it, the newest of the site.</summary>
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [Alias("Id", "Backup")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(BackupIdCompleter))]
    public string? BackupId { get; set; }

    /// <summary>The component of the backup, as Get-SmcBackup gives it: backups of two components may have the same id, and only one is of a configuration.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    public Component? Component { get; set; }

    /// <summary>The site's region whose cluster is meant. Without it, the primary one. Where regions name other namespaces, the backup's are taken for these.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(RegionCompleter))]
    public string? Region { get; set; }

    /// <summary>Only these kinds, as kubectl names them: deploy, configmaps, widgets.example.com.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[] Kind { get; set; } = [];

    /// <summary>Not these kinds.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[] ExcludeKind { get; set; } = [];

    /// <summary>Only objects of these names, in which * and ? stand for characters.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [SupportsWildcards]
    public string[] Name { get; set; } = [];

    /// <summary>Only objects with such labels, in kubectl's words: app=web,tier!=test.</summary>
    [Parameter]
    [Alias("Selector", "l")]
    [ValidateNotNullOrEmpty]
    public string? LabelSelector { get; set; }

    /// <summary>Which namespaces of the backup are which others in the cluster: @{ from = 'to' }.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public Hashtable NamespaceMapping { get; set; } = [];

    /// <summary>The namespace that the backup's only one becomes.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? TargetNamespace { get; set; }

    /// <summary>What is not done where the pipeline brings nothing: the end of a sentence.</summary>
    private protected abstract string NothingDone { get; }

    /// <inheritdoc/>
    protected override Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        _asked = true;
        if (Component is { } component && component != SmcDr.Component.Configuration)
        {
            throw new SmcException(
                SmcErrorCode.BackupNotFound,
                $"The backup '{BackupId}' is one of the component {component}, and not of a configuration.",
                recommendation: "Choose one by 'Get-SmcBackup -Component Configuration'.",
                target: BackupId);
        }

        if (BackupId is not null)
        {
            _ids.Add(BackupId);
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    protected sealed override async Task EndProcessingAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        // A pipeline that brought nothing asks for nothing: the newest backup was not meant.
        if (!_asked)
        {
            pipeline.WriteWarning($"Nothing came through the pipeline, so {NothingDone}.");
            return;
        }

        if (_ids.Count > 1)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"{_ids.Count} backups were given, and one is taken at a time.",
                recommendation: "Choose one, such as by 'Select-Object -Last 1' for the newest.");
        }

        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        Repository repository = await site.OpenForReadingAsync(
            SiteArguments.CreateSecrets(pipeline), pipeline, cancellationToken).ConfigureAwait(false);
        BackupReader backup = await site.OpenConfigurationBackupAsync(repository, _ids.SingleOrDefault(), cancellationToken).ConfigureAwait(false);
        IReadOnlyDictionary<string, string> mapping = site.MapNamespaces(backup, Region, Mapping(), TargetNamespace);
        ObjectFilter filter = new() { Kinds = Kind, ExcludeKinds = ExcludeKind, Names = Name, LabelSelector = LabelSelector };
        using KubernetesClient client = await site.ConnectPatientlyAsync(Region, pipeline, cancellationToken).ConfigureAwait(false);
        await WorkAsync(pipeline, site, repository, client, backup, filter, mapping, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Does the work.</summary>
    private protected abstract Task WorkAsync(
        SmcPipeline pipeline,
        Site site,
        Repository repository,
        KubernetesClient client,
        BackupReader backup,
        ObjectFilter filter,
        IReadOnlyDictionary<string, string> mapping,
        CancellationToken cancellationToken);

    private Dictionary<string, string> Mapping()
    {
        Dictionary<string, string> mapping = new(StringComparer.Ordinal);
        foreach (DictionaryEntry pair in NamespaceMapping)
        {
            mapping[LanguagePrimitives.ConvertTo<string>(pair.Key)] = LanguagePrimitives.ConvertTo<string>(pair.Value) is { Length: > 0 } to
                ? to
                : throw new SmcException(
                    SmcErrorCode.ArgumentInvalid,
                    $"The mapping does not say which namespace '{pair.Key}' becomes.",
                    recommendation: "Give -NamespaceMapping @{ from = 'to' }.");
        }

        return mapping;
    }
}
