namespace SmcDr.Core.Kubernetes;

/// <summary>What was brought over, checked at both ends.</summary>
/// <param name="Length">How many bytes.</param>
/// <param name="Breaks">How often the connection broke and was opened again.</param>
/// <param name="Duration">How long it took.</param>
public sealed record PodTransferResult(long Length, int Breaks, TimeSpan Duration)
{
    public double BytesPerSecond => Duration > TimeSpan.Zero ? Length / Duration.TotalSeconds : 0;
}
