namespace SmcDr.Core.Platform;

/// <summary>
/// A port of this host's loopback interface that leads to a server elsewhere. Once it is let go of, it closes with the last connection that goes
/// through it.
/// </summary>
public interface IRoutedPort : IDisposable
{
    /// <summary>The port on 127.0.0.1.</summary>
    int LocalPort { get; }

    /// <summary>Why the last connection that failed did so: whoever opened it saw no more than its end.</summary>
    SmcException? LastFailure { get; }
}
