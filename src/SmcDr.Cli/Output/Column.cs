namespace SmcDr.Cli.Output;

/// <summary>A column of a table.</summary>
/// <param name="Header">Its title.</param>
/// <param name="Text">What stands in it.</param>
/// <param name="IsNumber">Whether it is aligned to the right.</param>
internal sealed record Column<T>(string Header, Func<T, string?> Text, bool IsNumber = false);
