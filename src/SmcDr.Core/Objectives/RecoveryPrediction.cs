namespace SmcDr.Core.Objectives;

/// <summary>How long a recovery will take, by what earlier ones took.</summary>
internal static class RecoveryPrediction
{
    // Below this a rate is the noise of the first file, and not a rate.
    private const long MinimumBytes = 1 << 16;

    /// <summary>
    /// The median of the predictions by each of the measurements, in seconds: what grows with the data in proportion to it, the rest as it was. Null where
    /// there is none.
    /// </summary>
    /// <param name="measurements">Of recoveries of the same thing on the same way.</param>
    /// <param name="sizeBytes">What is to be restored; null where nobody knows.</param>
    /// <param name="walBytes">What is to be replayed.</param>
    public static double? Predict(IReadOnlyCollection<RecoveryMeasurement> measurements, long? sizeBytes, long? walBytes)
    {
        double[] seconds = [.. measurements.Select(one => Predict(one, sizeBytes, walBytes)).Order()];
        if (seconds.Length == 0)
        {
            return null;
        }

        int middle = seconds.Length / 2;
        return seconds.Length % 2 == 1 ? seconds[middle] : (seconds[middle - 1] + seconds[middle]) / 2;
    }

    private static double Predict(RecoveryMeasurement one, long? sizeBytes, long? walBytes)
    {
        // Replay begins while files still come, so that the parts may be longer than the whole.
        double restore = Math.Min(one.RestoreSeconds ?? one.Seconds, one.Seconds);
        double replay = Math.Min(one.ReplaySeconds ?? 0, one.Seconds - restore);
        return Scale(restore, one.SizeBytes, sizeBytes) + Scale(replay, one.WalBytes, walBytes) + (one.Seconds - restore - replay);
    }

    private static double Scale(double seconds, long? then, long? now) =>
        then >= MinimumBytes && now >= 0 ? seconds * now.Value / then.Value : seconds;
}
