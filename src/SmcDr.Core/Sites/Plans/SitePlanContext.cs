using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Sites.Plans;

/// <summary>What a plan of a site is decided with, and its steps work with.</summary>
public sealed record SitePlanContext
{
    private readonly Repository? _notes;

    /// <summary>The site.</summary>
    public required Site Site { get; init; }

    /// <summary>Gives passwords and keys.</summary>
    public required SecretResolver Secrets { get; init; }

    /// <summary>The repository to read from, its copies behind it.</summary>
    public required Repository Repository { get; init; }

    /// <summary>Where it is noted how long recoveries took: never a copy that is read from alone.</summary>
    public Repository Notes
    {
        get => _notes ?? Repository;
        init => _notes = value;
    }

    /// <summary>Hears what is not told by a step.</summary>
    public required IOperationObserver Observer { get; init; }

    /// <summary>Opens what a plan of a site needs to read.</summary>
    /// <param name="site">The site.</param>
    /// <param name="secrets">Gives passwords and keys.</param>
    /// <param name="observer">Hears of the work.</param>
    /// <param name="cancellationToken">Stops it.</param>
    public static async Task<SitePlanContext> OpenAsync(
        Site site, SecretResolver secrets, IOperationObserver observer, CancellationToken cancellationToken) => new()
    {
        Site = site,
        Secrets = secrets,
        Repository = await site.OpenForReadingAsync(secrets, observer, cancellationToken).ConfigureAwait(false),
        Observer = observer,
    };
}
