#Requires -Version 7.6

# SmcDr.dll alone goes into the default load context; it loads the cmdlets and everything they need into a context of
# their own, so that another AWSSDK, Npgsql or YamlDotNet in this session does not matter.

$path = [System.IO.Path]::Combine($PSScriptRoot, 'bin', 'SmcDr.dll')
$loaded = $null
foreach ($assembly in [System.Runtime.Loader.AssemblyLoadContext]::Default.Assemblies) {
    if ($assembly.GetName().Name -eq 'SmcDr') {
        $loaded = $assembly
        break
    }
}

if ($null -eq $loaded) {
    $loaded = [System.Reflection.Assembly]::LoadFrom($path)
} elseif ($loaded.Location -ne $path) {
    throw [System.InvalidOperationException]::new(
        "This process has already loaded SmcDr from '$($loaded.Location)', and .NET cannot replace it by '$path'. " +
        'Start a new pwsh process to use the other copy.')
}

$cmdlets = $loaded.GetType('SmcDr.LoadContext', $true)::Initialize()
$inner = Microsoft.PowerShell.Core\Import-Module -Assembly $cmdlets -PassThru

# A second import of the same assembly does not export its cmdlets through the importing module:
# https://github.com/PowerShell/PowerShell/issues/20710
$module = $ExecutionContext.SessionState.Module
$addExportedCmdlet = [System.Management.Automation.PSModuleInfo].GetMethod(
    'AddExportedCmdlet', [System.Reflection.BindingFlags]'Instance, NonPublic')
if ($addExportedCmdlet) {
    foreach ($cmdlet in $inner.ExportedCmdlets.Values) {
        if (-not $module.ExportedCmdlets.ContainsKey($cmdlet.Name)) {
            $addExportedCmdlet.Invoke($module, @(, $cmdlet))
        }
    }
}
