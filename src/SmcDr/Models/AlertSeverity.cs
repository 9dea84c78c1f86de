namespace SmcDr;

/// <summary>How much an alert matters, least first.</summary>
public enum AlertSeverity
{
    /// <summary>For the record: something went as it should.</summary>
    Information,

    /// <summary>Something is degraded, and can wait for the morning.</summary>
    Warning,

    /// <summary>Something failed that protects the system.</summary>
    Error,

    /// <summary>Somebody has to act now.</summary>
    Critical,
}
