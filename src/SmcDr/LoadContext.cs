using System.ComponentModel;
using System.Reflection;
using System.Runtime.Loader;

namespace SmcDr;

/// <summary>
/// Keeps the engine, the cmdlets and all their dependencies apart from whatever else a PowerShell session has loaded.
/// </summary>
/// <remarks>
/// AWS.Tools puts its own AWSSDK into the default context, and platyPS its own YamlDotNet: a session that has either must
/// not decide which version a restore runs on. Only this assembly lives in the default context, because PowerShell
/// resolves type literals such as <c>[SmcDr.BackupInfo]</c> there and nowhere else.
/// </remarks>
[EditorBrowsable(EditorBrowsableState.Never)]
public sealed class LoadContext : AssemblyLoadContext
{
    private const string ContextName = "SmcDr";

    private static readonly Lazy<Assembly> s_cmdlets = new(LoadCmdlets);

    private readonly string _folder;

    // Not collectible: PowerShell keeps cmdlet types in process-wide caches, so an unload could never finish.
    private LoadContext(string folder)
        : base(ContextName, isCollectible: false)
    {
        _folder = folder;
    }

    /// <summary>The assembly with the cmdlets, loaded once however many runspaces import the module.</summary>
    public static Assembly Initialize() => s_cmdlets.Value;

    /// <inheritdoc/>
    protected override Assembly? Load(AssemblyName assemblyName)
    {
        ArgumentNullException.ThrowIfNull(assemblyName);

        Assembly models = typeof(LoadContext).Assembly;
        if (string.Equals(assemblyName.Name, models.GetName().Name, StringComparison.OrdinalIgnoreCase))
        {
            // The file lies beside the others, and a second copy of it would have other types of the same names.
            return models;
        }

        string path = Path.Combine(_folder, assemblyName.Name + ".dll");
        return File.Exists(path) ? LoadFromAssemblyPath(path) : null;
    }

    private static Assembly LoadCmdlets()
    {
        string folder = Path.GetDirectoryName(typeof(LoadContext).Assembly.Location)!;
        return new LoadContext(folder).LoadFromAssemblyPath(Path.Combine(folder, "SmcDr.PowerShell.dll"));
    }
}
