using System.Collections.ObjectModel;
using System.Management.Automation;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Session;

/// <summary>From the argument of <c>-Site</c>, or its absence, to the site and its secrets.</summary>
internal static class SiteArguments
{
    /// <summary>Loads the site that is meant.</summary>
    /// <param name="pipeline">The pipeline.</param>
    /// <param name="path">The path that <c>-Site</c> was read to; null where it is not given.</param>
    public static async Task<Site> LoadAsync(SmcPipeline pipeline, string? path)
    {
        string file = path ?? await pipeline.InvokeAsync(static cmdlet => FindDefault(
            () => cmdlet.SessionState.Path.CurrentFileSystemLocation.ProviderPath)).ConfigureAwait(false);
        pipeline.WriteVerbose($"The site file is '{file}'.");
        return SiteFile.Load(file);
    }

    /// <summary>Finds out which region leads a site.</summary>
    public static Task<Site> FindLeaderAsync(SmcPipeline pipeline, Site site) =>
        site.FindLeaderAsync(CreateSecrets(pipeline), pipeline, pipeline.Stopping);

    /// <summary>The site file that is meant where none is named: the session's, else that which the engine takes. For the pipeline thread.</summary>
    /// <param name="directory">Gives the session's current directory, which is not the process's.</param>
    public static string FindDefault(Func<string> directory) =>
        SiteState.OfThisRunspace().Current?.Path ?? SiteFile.FindDefault(directory(), Environment.GetEnvironmentVariable);

    /// <summary>What resolves a site's secrets, those in vaults of SecretManagement among them.</summary>
    public static SecretResolver CreateSecrets(SmcPipeline pipeline) => new(pipeline)
    {
        Vault = async (reference, _) => await pipeline.InvokeAsync(cmdlet => ReadVault(cmdlet, reference)).ConfigureAwait(false),
    };

    private static string? ReadVault(PSCmdlet cmdlet, SecretReference reference)
    {
        string[] parts = reference.Name.Split('/', 2);
        Collection<PSObject> found;
        try
        {
            found = cmdlet.InvokeCommand.InvokeScript(
                "param($Vault, $Name) " +
                "Microsoft.PowerShell.SecretManagement\\Get-Secret -Vault $Vault -Name $Name -AsPlainText -ErrorAction Stop",
                useNewScope: true,
                System.Management.Automation.Runspaces.PipelineResultTypes.None,
                input: null,
                parts[0],
                parts[1]);
        }
        catch (CommandNotFoundException e)
        {
            throw Unavailable(
                reference,
                "the module Microsoft.PowerShell.SecretManagement is not here.",
                e,
                "Install the module and register the vault, or keep the secret in a file or an environment variable.");
        }
        catch (RuntimeException e) when (e is not PipelineStoppedException)
        {
            throw Unavailable(reference, e.Message, e, null);
        }

        return found is [{ BaseObject: string secret }]
            ? secret
            : throw Unavailable(reference, "it is not a text.", null, "Store the password itself, as a text or a SecureString.");
    }

    private static SmcException Unavailable(SecretReference reference, string reason, Exception? inner, string? recommendation) =>
        new(
            SmcErrorCode.SecretUnavailable,
            $"The secret '{reference}' is not available: {reason}",
            inner,
            recommendation,
            reference.ToString());
}
