using SmcDr.Core.Platform;

namespace SmcDr.Core.FileStores;

/// <summary>Where file stores can be backed up and restored.</summary>
internal static class FileStoreHost
{
    public static void ThrowIfUnsupported()
    {
        if (!OperatingSystem.IsLinux() || !Environment.Is64BitProcess)
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                "File stores are backed up and restored on 64-bit Linux only.",
                recommendation: "Run the command on the Linux machine that has the files.");
        }
    }

    /// <summary>What to tell where the target of a restore cannot be written.</summary>
    public static SmcException Failure(PosixException e) => e.Error is PosixException.NoSpaceLeft or PosixException.QuotaExceeded
        ? new SmcException(SmcErrorCode.DiskSpaceInsufficient, e.Message, e)
        : new SmcException(
            SmcErrorCode.TargetUnsuitable,
            e.Message,
            e,
            recommendation: "Correct what the message names and run the command again: it continues.");
}
