using System.ComponentModel;

namespace SmcDr.Core.Platform;

/// <summary>A call of the system that failed, with its errno: what to do about a file depends on it.</summary>
internal sealed class PosixException(int error, string what)
    : IOException($"{what}: {new Win32Exception(error).Message}.", error)
{
    public const int NotPermitted = 1;
    public const int NoSuchFile = 2;
    public const int NoSuchDeviceOrAddress = 6;
    public const int AccessDenied = 13;
    public const int FileExists = 17;
    public const int NotADirectory = 20;
    public const int IsADirectory = 21;
    public const int InvalidArgument = 22;
    public const int NoSpaceLeft = 28;
    public const int RangeTooSmall = 34;
    public const int NotImplemented = 38;
    public const int TooManyLinks = 40;
    public const int NoData = 61;
    public const int NotSupported = 95;
    public const int QuotaExceeded = 122;

    /// <summary>errno (errno.h of Linux).</summary>
    public int Error { get; } = error;

    /// <summary>What the system says about it, such as <c>Permission denied</c>.</summary>
    public string Reason { get; } = new Win32Exception(error).Message;

    /// <summary>Whether the thing is gone, or another thing took its name.</summary>
    public bool IsGone => Error is NoSuchFile or NotADirectory or TooManyLinks or NoSuchDeviceOrAddress;
}
