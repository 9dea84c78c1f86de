using System.Management.Automation;
using SmcDr.PowerShell.Arguments;

namespace SmcDr.PowerShell.Commands;

/// <summary>The base of the cmdlets that change what becomes of single backups.</summary>
public abstract class BackupCmdlet : SiteCmdlet
{
    /// <summary>The backups, as Get-SmcBackup gives them.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("BackupId")]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(BackupIdCompleter))]
    public string[] Id { get; set; } = [];

    /// <summary>The component of the backups. Needed only where two have a backup of the same id.</summary>
    [Parameter(ValueFromPipelineByPropertyName = true)]
    public Component? Component { get; set; }
}
