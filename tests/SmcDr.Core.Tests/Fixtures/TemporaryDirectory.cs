namespace SmcDr.Core.Tests.Fixtures;

/// <summary>A directory of one test, removed with all that it holds.</summary>
public sealed class TemporaryDirectory : IDisposable
{
    public TemporaryDirectory() => Path = Directory.CreateTempSubdirectory("smcdr-test-").FullName;

    public string Path { get; }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
