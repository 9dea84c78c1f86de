namespace SmcDr.Core.Schedules;

/// <summary>A task's schedule as it is written.</summary>
/// <param name="Work">What is done; null for what the tasks share.</param>
/// <param name="Name">The name under which it is registered.</param>
/// <param name="Command">What is run, for people.</param>
/// <param name="Files">The files that it is, by name.</param>
internal sealed record ScheduleDocument(ScheduledWork? Work, string Name, string Command, IReadOnlyList<(string Name, string Text)> Files)
{
    /// <summary>All of it.</summary>
    public string Text => string.Join('\n', Files.Select(static file => file.Text));
}
