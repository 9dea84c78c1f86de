using System.Management.Automation.Runspaces;
using System.Runtime.CompilerServices;

namespace SmcDr.PowerShell.Session;

/// <summary>The sites that a runspace knows, and its current one.</summary>
/// <remarks>
/// Per runspace, not per process: in <c>ForEach-Object -Parallel</c> and thread jobs a change of site in one branch must
/// not send another branch's restore elsewhere. Only where a site's file is, is remembered; each cmdlet reads it anew.
/// </remarks>
internal sealed class SiteState
{
    private static readonly ConditionalWeakTable<Runspace, SiteState> s_states = [];

    private readonly Dictionary<string, SiteInfo> _known = new(StringComparer.OrdinalIgnoreCase);
    private string? _current;

    /// <summary>The site that commands use which name none.</summary>
    public SiteInfo? Current => _current is null ? null : _known[_current];

    /// <summary>The sites that were current before or are, by name; the last of a name counts.</summary>
    public IReadOnlyCollection<SiteInfo> Known =>
        [.. _known.Values.OrderBy(static site => site.Name, StringComparer.OrdinalIgnoreCase)];

    /// <summary>The state of the runspace that this thread runs in: the pipeline thread of a cmdlet or of a completer.</summary>
    public static SiteState OfThisRunspace()
    {
        Runspace runspace = Runspace.DefaultRunspace ??
            throw new InvalidOperationException("The current site can be asked for on a pipeline thread only.");
        return s_states.GetOrCreateValue(runspace);
    }

    /// <summary>Makes a site the current one.</summary>
    public void Use(SiteInfo site)
    {
        if (Current is SiteInfo previous)
        {
            _known[previous.Name] = previous with { IsCurrent = false };
        }

        _known[site.Name] = site with { IsCurrent = true };
        _current = site.Name;
    }

    /// <summary>The known site of this name.</summary>
    public SiteInfo? Find(string name) => _known.GetValueOrDefault(name);
}
