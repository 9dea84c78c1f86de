namespace SmcDr.Core.Kubernetes;

/// <summary>How a command in a pod is connected.</summary>
public sealed record ExecOptions
{
    /// <summary>Whether the command gets input.</summary>
    public bool Input { get; init; }

    /// <summary>Whether the command gets a terminal. Its output is then for people: line ends are changed, and errors are in it.</summary>
    public bool Terminal { get; init; }

    /// <summary>Whether errors are a stream to be read, like the output; else their end is kept as text.</summary>
    public bool ErrorStream { get; init; }

    /// <summary>
    /// Whether much is to be sent or taken: then the connection is the one that costs the cluster least. Such a command gets no terminal.
    /// </summary>
    public bool IsBulk { get; init; }

    /// <summary>Is told each line of the errors, where they are no stream; must not wait.</summary>
    public Action<string>? OnErrorLine { get; init; }
}
