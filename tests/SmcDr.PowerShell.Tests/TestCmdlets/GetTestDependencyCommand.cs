using System.Management.Automation;
using System.Runtime.CompilerServices;

namespace SmcDr.PowerShell.TestCmdlets;

/// <summary>The assemblies that the module's code is bound to.</summary>
[Cmdlet(VerbsCommon.Get, "TestDependency")]
public sealed class GetTestDependencyCommand : PSCmdlet
{
    // Each in a method of its own: they are compiled, and so bound, here and not when the assembly is loaded.
    protected override void ProcessRecord()
    {
        WriteObject(Aws().Assembly);
        WriteObject(Yaml().Assembly);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Type Aws() => typeof(Amazon.Runtime.AWSCredentials);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Type Yaml() => typeof(YamlDotNet.Core.Parser);
}
