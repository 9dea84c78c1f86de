using System.IO.Pipelines;

namespace SmcDr.Core.Redis;

/// <summary>Pipes through which an RDB goes from who fetches it to who reads it beside that.</summary>
internal static class RdbPipe
{
    /// <summary>A pipe that holds its writer up where the reader is slower, and does not fill the memory.</summary>
    /// <param name="pause">How many bytes it holds before the writer waits; it goes on at half of that.</param>
    public static Pipe Create(int pause) => new(new PipeOptions(
        pauseWriterThreshold: pause,
        resumeWriterThreshold: pause / 2,
        minimumSegmentSize: 256 << 10,
        useSynchronizationContext: false));
}
