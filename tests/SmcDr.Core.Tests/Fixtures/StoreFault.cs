namespace SmcDr.Core.Tests.Fixtures;

/// <summary>What goes wrong at one call to a store.</summary>
public enum StoreFault
{
    /// <summary>The store is busy (S3's 503), and nothing was done.</summary>
    Unavailable,

    /// <summary>A read or a write breaks after some bytes.</summary>
    Cut,

    /// <summary>A read ends early and says nothing, which no store may do.</summary>
    SilentTruncation,

    /// <summary>It was done, and the answer was lost.</summary>
    LostResponse,

    /// <summary>The last step of a write is answered with success and an error in it: nothing is there.</summary>
    SuccessWithError,

    /// <summary>It arrives twice.</summary>
    Duplicate,

    /// <summary>A listing lacks an object that is there.</summary>
    StaleListLacks,

    /// <summary>A listing shows an object that was removed.</summary>
    StaleListShows,

    /// <summary>It takes its time, and others overtake it.</summary>
    Slow,
}
