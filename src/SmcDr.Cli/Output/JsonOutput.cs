using SmcDr.Core.Operations;

namespace SmcDr.Cli.Output;

/// <summary>Results as JSON, one line each or indented.</summary>
internal static class JsonOutput
{
    public static void Write<T>(TextWriter writer, T value, bool indent = false) => writer.WriteLine(ResultJson.Serialize(value, indent));
}
