namespace SmcDr.Cli;

/// <summary>What the process is at, for whoever wants it to stop.</summary>
internal static class CurrentActivity
{
    private static volatile string? s_name;

    public static string? Name
    {
        get => s_name;
        set => s_name = value;
    }
}
