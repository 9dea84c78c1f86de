namespace SmcDr.Core.Tests.Redis.Rdb;

/// <summary>A stream that gives one byte at a time.</summary>
internal sealed class TrickleStream(byte[] content) : MemoryStream(content)
{
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        base.ReadAsync(buffer[..Math.Min(1, buffer.Length)], cancellationToken);
}
