using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace SmcDr.Core.Platform;

/// <summary>Names of users and groups, asked once each: a directory service may be far away.</summary>
internal sealed unsafe class AccountNames
{
    // struct passwd and struct group of 64-bit systems: the name at 0, the number at 16.
    private const int EntrySize = 64;
    private const int IdOffset = 16;
    private const int MaximumBuffer = 1 << 20;

    private readonly ConcurrentDictionary<uint, string?> _users = new();
    private readonly ConcurrentDictionary<uint, string?> _groups = new();
    private readonly ConcurrentDictionary<string, uint?> _userIds = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, uint?> _groupIds = new(StringComparer.Ordinal);

    private delegate int Call(byte* entry, byte* buffer, nint size, byte** result);

    public string? UserName(uint id) => _users.GetOrAdd(id, static id => Ask(
        (entry, buffer, size, result) => LinuxCalls.getpwuid_r(id, entry, buffer, size, result))?.Name);

    public string? GroupName(uint id) => _groups.GetOrAdd(id, static id => Ask(
        (entry, buffer, size, result) => LinuxCalls.getgrgid_r(id, entry, buffer, size, result))?.Name);

    public uint? UserId(string name) => _userIds.GetOrAdd(name, static name => Ask(
        (entry, buffer, size, result) => LinuxCalls.getpwnam_r(name, entry, buffer, size, result))?.Id);

    public uint? GroupId(string name) => _groupIds.GetOrAdd(name, static name => Ask(
        (entry, buffer, size, result) => LinuxCalls.getgrnam_r(name, entry, buffer, size, result))?.Id);

    private static (string? Name, uint Id)? Ask(Call call)
    {
        byte* entry = stackalloc byte[EntrySize];
        for (int size = 4096; size <= MaximumBuffer; size *= 4)
        {
            byte[] buffer = new byte[size];
            fixed (byte* room = buffer)
            {
                byte* result = null;
                int error = call(entry, room, size, &result);
                if (error != PosixException.RangeTooSmall)
                {
                    // An account that is unknown, and a directory service that does not answer, leave the number.
                    return result is null ? null : (Marshal.PtrToStringUTF8(*(nint*)entry), *(uint*)(entry + IdOffset));
                }
            }
        }

        return null;
    }
}
