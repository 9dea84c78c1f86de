using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Recovery;

/// <summary>An account of this host, as its name service knows it: the local file, LDAP or whatever else is set up.</summary>
/// <param name="Name">The login name.</param>
/// <param name="UserId">The user id.</param>
/// <param name="GroupId">The id of its primary group.</param>
public sealed partial record OsAccount(string Name, uint UserId, uint GroupId)
{
    // struct passwd begins alike on Linux and macOS: two pointers (name, password), then the two ids.
    private static readonly int s_userIdOffset = 2 * IntPtr.Size;

    /// <summary>Looks an account up by its name; null where there is none.</summary>
    [UnsupportedOSPlatform("windows")]
    public static OsAccount? Find(string name) => Read((record, buffer, length) =>
    {
        int error = getpwnam_r(name, record, buffer, length, out nint result);
        return (error, result);
    });

    /// <summary>Looks an account up by its id; null where there is none.</summary>
    [UnsupportedOSPlatform("windows")]
    public static OsAccount? Find(uint userId) => Read((record, buffer, length) =>
    {
        int error = getpwuid_r(userId, record, buffer, length, out nint result);
        return (error, result);
    });

    /// <summary>
    /// The account that a PostgreSQL server in <paramref name="dataDirectory"/> must run as. The server refuses root, and refuses a
    /// directory of somebody else (miscinit.c, checkDataDir): so it is the directory's owner, else the one that was asked for, else
    /// <c>postgres</c>. Without root's rights it is always the present account.
    /// </summary>
    /// <returns>Null on Windows, where the present account is used.</returns>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetUnsuitable"/>: there is no such account.</exception>
    public static OsAccount? ForServer(string dataDirectory, string? name)
    {
        if (OperatingSystem.IsWindows())
        {
            return null;
        }

        if (!Posix.IsRoot)
        {
            return Find(geteuid()) ?? new OsAccount(Environment.UserName, geteuid(), getegid());
        }

        if (name is null && Directory.Exists(dataDirectory))
        {
            (uint user, uint group) = Posix.GetOwner(dataDirectory);
            if (user != 0)
            {
                // In a container the owner of a volume often has no name; the server does not need one, but initdb and we do.
                return Find(user) is { } owner
                    ? owner with { GroupId = group }
                    : throw new SmcException(
                        SmcErrorCode.TargetUnsuitable,
                        $"The directory '{dataDirectory}' belongs to user {user}, which has no name on this host.",
                        recommendation: "Create an account with that id, or give the directory to the account that PostgreSQL runs as.",
                        target: dataDirectory);
            }
        }

        OsAccount account = Find(name ?? "postgres") ?? throw new SmcException(
            SmcErrorCode.TargetUnsuitable,
            $"There is no account '{name ?? "postgres"}' on this host, and PostgreSQL refuses to run as root.",
            recommendation: "Create the account (useradd --system), or name the one that PostgreSQL runs as.",
            target: name ?? "postgres");
        return account.UserId != 0
            ? account
            : throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                $"PostgreSQL refuses to run as '{account.Name}'.",
                recommendation: "Name another account than root to run PostgreSQL as.",
                target: account.Name);
    }

    private static unsafe OsAccount? Read(Func<nint, nint, nuint, (int Error, nint Result)> query)
    {
        const int Range = 34;
        for (int length = 4096; ; length *= 4)
        {
            byte[] bytes = new byte[length + 256];
            fixed (byte* start = bytes)
            {
                (int error, nint result) = query((nint)start, (nint)(start + 256), (nuint)length);
                if (error == Range && length < 1 << 20)
                {
                    continue;
                }

                return result == 0
                    ? null
                    : new OsAccount(
                        Marshal.PtrToStringUTF8(Marshal.ReadIntPtr(result))!,
                        (uint)Marshal.ReadInt32(result, s_userIdOffset),
                        (uint)Marshal.ReadInt32(result, s_userIdOffset + 4));
            }
        }
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int getpwnam_r(string name, nint record, nint buffer, nuint length, out nint result);

    [LibraryImport("libc")]
    private static partial int getpwuid_r(uint user, nint record, nint buffer, nuint length, out nint result);

    [LibraryImport("libc")]
    private static partial uint geteuid();

    [LibraryImport("libc")]
    private static partial uint getegid();
}
