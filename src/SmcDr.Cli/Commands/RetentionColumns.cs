using SmcDr.Cli.Output;

namespace SmcDr.Cli.Commands;

/// <summary>How results of retention are listed.</summary>
internal static class RetentionColumns
{
    public static Column<RetentionResult>[] All { get; } =
    [
        new("Action", static item => item.Action),
        new("Kind", static item => item.Kind),
        new("Id", static item => item.Id),
        new("Component", static item => item.Component),
        new("Freed", static item => DisplayText.Size(item.FreedBytes), IsNumber: true),
        new("Shared", static item => DisplayText.Size(item.SharedBytes), IsNumber: true),
        new("Reasons", static item => string.Join(", ", item.Reasons)),
    ];
}
