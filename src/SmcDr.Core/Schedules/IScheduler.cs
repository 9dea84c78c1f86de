using SmcDr.Core.Operations;

namespace SmcDr.Core.Schedules;

/// <summary>Something that runs work by schedules: what is written for it, and how that comes there and goes again.</summary>
internal interface IScheduler
{
    /// <summary>What it is.</summary>
    ScheduleKind Kind { get; }

    /// <summary>Where schedules are registered, for people.</summary>
    string Target { get; }

    /// <summary>What is written for each task.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ScheduleUnsuitable"/>: it cannot do this.</exception>
    IReadOnlyList<ScheduleDocument> Write(IReadOnlyList<ScheduledWork> work);

    /// <summary>Registers these documents of the site, and removes the site's others. Twice is once.</summary>
    /// <returns>What became of each, by name: <c>Created</c>, <c>Changed</c>, <c>Same</c>; and what was <c>Removed</c>.</returns>
    Task<IReadOnlyList<(string Name, string State)>> RegisterAsync(
        IReadOnlyList<ScheduleDocument> documents, IOperationObserver observer, CancellationToken cancellationToken);

    /// <summary>The names of what is registered of the site.</summary>
    Task<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken);
}
