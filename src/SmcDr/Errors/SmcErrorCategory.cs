namespace SmcDr;

/// <summary>The kind of an error, with the names and meaning of PowerShell's error categories.</summary>
public enum SmcErrorCategory
{
    /// <summary>An argument is not acceptable.</summary>
    InvalidArgument,

    /// <summary>Stored or received data is not what it should be.</summary>
    InvalidData,

    /// <summary>A result does not match what was expected of it.</summary>
    InvalidResult,

    /// <summary>The operation does not fit the present state.</summary>
    InvalidOperation,

    /// <summary>A named thing does not exist.</summary>
    ObjectNotFound,

    /// <summary>A thing exists that must not.</summary>
    ResourceExists,

    /// <summary>A thing is in use by somebody else.</summary>
    ResourceBusy,

    /// <summary>A needed thing, such as disk space or a program, is not there.</summary>
    ResourceUnavailable,

    /// <summary>A server cannot be reached or broke the connection.</summary>
    ConnectionError,

    /// <summary>The account is not who it claims to be.</summary>
    AuthenticationError,

    /// <summary>The account may not do this.</summary>
    PermissionDenied,

    /// <summary>A limit, such as a recovery window, is exceeded.</summary>
    LimitsExceeded,

    /// <summary>Something took longer than it was given.</summary>
    OperationTimeout,

    /// <summary>The operation was stopped on request.</summary>
    OperationStopped,

    /// <summary>A security check failed.</summary>
    SecurityError,

    /// <summary>The other side broke its protocol.</summary>
    ProtocolError,

    /// <summary>Reading from a device or a store failed.</summary>
    ReadError,

    /// <summary>Writing to a device or a store failed.</summary>
    WriteError,

    /// <summary>What was asked for is not supported here.</summary>
    NotImplemented,
}
