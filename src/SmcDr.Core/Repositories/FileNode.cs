using System.Text.Json.Serialization;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Repositories;

/// <summary>What a file system knows of a file besides name, size, mode and content. Entries of file stores have it.</summary>
public sealed record FileNode
{
    [JsonPropertyName("uid")]
    public required uint UserId { get; init; }

    [JsonPropertyName("gid")]
    public required uint GroupId { get; init; }

    /// <summary>The user's name, where the number had one: the same user may have another number elsewhere.</summary>
    [JsonPropertyName("user")]
    public string? UserName { get; init; }

    [JsonPropertyName("group")]
    public string? GroupName { get; init; }

    /// <summary>When the content was changed.</summary>
    public required FileTime Modified { get; init; }

    /// <summary>When content or status was changed. Not restored: it tells the next backup whether a file is still the same.</summary>
    public FileTime? Changed { get; init; }

    /// <summary>The inode, for the next backup.</summary>
    public ulong? Inode { get; init; }

    /// <summary>Extended attributes by name, access control lists among them.</summary>
    public IReadOnlyDictionary<string, byte[]>? Attributes { get; init; }

    /// <summary>Whether the file took less room than it has bytes, so that zeros are restored as holes.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Sparse { get; init; }

    /// <summary>Whether the file was being changed each time that it was read: its content may be of different moments.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Torn { get; init; }

    /// <summary><c>fifo</c>, <c>char</c> or <c>block</c>, for a special file.</summary>
    public string? Type { get; init; }

    /// <summary>The device that a device file stands for.</summary>
    public uint? Major { get; init; }

    public uint? Minor { get; init; }
}
