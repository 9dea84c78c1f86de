using System.Globalization;
using System.Management.Automation;

namespace SmcDr.PowerShell.Session;

/// <summary>A command as it is noted: its name, and the arguments that can be read as text. Secrets and what came through the pipeline are left out.</summary>
internal static class CommandText
{
    // The site, also where it came through the pipeline, is that of the incident; the others say nothing of what was done.
    private static readonly HashSet<string> s_leftOut =
        [.. new[] { "Site", "InputObject", "Confirm", "WhatIf" }, .. Cmdlet.CommonParameters];

    public static string Describe(InvocationInfo invocation) => string.Join(
        ' ',
        invocation.BoundParameters.Where(static pair => !s_leftOut.Contains(pair.Key)).Select(static pair => Describe(pair.Key, pair.Value)).OfType<string>()
            .Prepend(invocation.MyCommand.Name));

    private static string? Describe(string name, object? value) => value switch
    {
        SwitchParameter flag => flag.IsPresent ? $"-{name}" : $"-{name}:$false",
        string text => $"-{name} {Quote(text)}",
        string[] texts => $"-{name} {string.Join(", ", texts.Select(Quote))}",
        DateTimeOffset time => $"-{name} {time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture)}",
        Instant instant => Describe(name, TryResolve(instant) ?? (object)instant.ToString()),
        ValueType => $"-{name} {Convert.ToString(value, CultureInfo.InvariantCulture)}",
        Array values when values.GetType().GetElementType() is { IsEnum: true } => $"-{name} {string.Join(", ", values.Cast<object>())}",
        _ => null,
    };

    /// <summary>An instant; null where what was given is none, which the command is about to say.</summary>
    private static DateTimeOffset? TryResolve(Instant instant)
    {
        try
        {
            return instant.Resolve();
        }
        catch (SmcException)
        {
            return null;
        }
    }

    private static string Quote(string text) => text.Length > 0 && text.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or '/' or ':')
        ? text
        : $"'{text.Replace("'", "''", StringComparison.Ordinal)}'";
}
