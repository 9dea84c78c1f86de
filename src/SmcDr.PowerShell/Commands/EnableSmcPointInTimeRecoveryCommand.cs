using System.Management.Automation;
using SmcDr.Core.Postgres.Preparation;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Makes a PostgreSQL server ready for base backups and WAL streaming: settings, a role with least privilege, a replication slot.</summary>
/// <remarks>
/// <para>
/// Each thing that backups need is looked at and written as an object. What is wrong is changed, one statement at a time, each shown by -WhatIf and asked by
/// -Confirm before it is carried out: ALTER SYSTEM for settings, CREATE ROLE and GRANT for the role that the site connects as, and the replication slot
/// of the WAL stream. What is right is left alone, so that running it again changes nothing.
/// </para>
/// <para>
/// State says how a thing stands: Right; Changed, just now; NeedsRestart, set and waiting for the next start of the server, which is never restarted by
/// this; Missing, with what to do in Recommendation; or Advice, for what backups work without. WAL archiving by the server (archive_mode) is
/// not needed.
/// </para>
/// <para>
/// The role gets LOGIN, REPLICATION, pg_read_all_settings, and EXECUTE on the five functions that a base backup calls, in the database of the site's
/// connection string. Its password is sent as a SCRAM-SHA-256 verifier that is computed here, never in clear. Whether pg_hba.conf lets it in is tried.
/// </para>
/// </remarks>
/// <example>
/// <code>Enable-SmcPointInTimeRecovery -Credential (Get-Credential postgres) -WhatIf</code>
/// Shows, as superuser postgres, what would be changed for the user of the site file, and changes nothing.
/// </example>
/// <example>
/// <code>Enable-SmcPointInTimeRecovery -RoleCredential (Get-Credential smcdr) | Where-Object State -ne Right</code>
/// Prepares the server as the site's own user, a superuser, with a new role 'smcdr' for backups, and shows what was or is still to be done.
/// </example>
/// <example>
/// <code>Enable-SmcPointInTimeRecovery | Where-Object State -eq NeedsRestart | Format-Table Item, Current, Wanted</code>
/// Shows which settings are taken only when the server starts again.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.PrivilegeMissing"/>: The user that carries the changes out is no superuser.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.VersionUnsupported"/>: The server is older than PostgreSQL 15, or newer than 18.</exception>
/// <seealso cref="TestSmcSiteCommand"/>
/// <seealso cref="BackupSmcDatabaseCommand"/>
/// <seealso cref="StartSmcWalStreamCommand"/>
/// <seealso href="about_SmcDr_PointInTimeRecovery"/>
[Cmdlet(VerbsLifecycle.Enable, "SmcPointInTimeRecovery", SupportsShouldProcess = true)]
[OutputType(typeof(PreparationItem))]
public sealed class EnableSmcPointInTimeRecoveryCommand : SiteCmdlet
{
    /// <summary>A superuser, who carries the changes out. Without it, the site's own user, who then must be one.</summary>
    [Parameter(Position = 0)]
    [Credential]
    public PSCredential? Credential { get; set; }

    /// <summary>The role that backups are to connect as, and the password that it gets. Without it, the site's user and password.</summary>
    [Parameter(Position = 1)]
    [Credential]
    public PSCredential? RoleCredential { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        string region = site.PrimaryRegion.Name;
        ServerPreparation preparation = site.CreatePreparation(
            SiteArguments.CreateSecrets(pipeline),
            Account(Credential),
            Account(RoleCredential),
            await IsWhatIfAsync(pipeline).ConfigureAwait(false),
            change => pipeline.ShouldProcessAsync($"PostgreSQL of {site.Name}, {region}", change.Statement));
        await foreach (PreparationItem item in preparation.RunAsync(cancellationToken).ConfigureAwait(false))
        {
            await pipeline.WriteObjectAsync(item).ConfigureAwait(false);
        }
    }

    private static (string User, Func<CancellationToken, ValueTask<string?>>? Password)? Account(PSCredential? credential)
    {
        if (credential is null || credential == PSCredential.Empty)
        {
            return null;
        }

        // Not GetNetworkCredential().UserName, which would take a domain off.
        string? password = credential.GetNetworkCredential().Password;
        return (credential.UserName, string.IsNullOrEmpty(password) ? null : _ => ValueTask.FromResult<string?>(password));
    }
}
