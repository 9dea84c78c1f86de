using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.FileStores;

/// <summary>Gives restored files their owner, mode, attributes and times. What the system refuses is told, and the rest is done. Safe for concurrent use.</summary>
internal sealed class NodeRestorer(FileStoreRestoreOptions options, IOperationObserver observer)
{
    private const int MaximumProblems = 1000;
    private const int SetUserId = 0x800;
    private const int SetGroupId = 0x400;
    private const string UserAttributes = "user.";

    private readonly bool _owners = options.Owners ?? Posix.IsRoot;
    private readonly AccountNames _accounts = new();
    private readonly Lock _gate = new();
    private readonly List<string> _problems = [];

    public long ProblemCount { get; private set; }

    public IReadOnlyList<string> Problems => _problems;

    /// <summary>For a file or directory that is open.</summary>
    /// <param name="file">The file.</param>
    /// <param name="mode">The permission bits.</param>
    /// <param name="node">What else is known of it.</param>
    /// <param name="inheritsAccessList">Whether it may have got an access control list by being created where it is.</param>
    public void Apply(NativeFile file, int mode, FileNode node, bool inheritsAccessList)
    {
        (uint user, uint group) = OwnerOf(node);

        // The owner first: chown(2) takes set-user-id bits and capabilities away.
        bool owned = _owners && Try(() => file.SetOwner(user, group));
        if (!owned && (mode & (SetUserId | SetGroupId)) != 0)
        {
            // A program that runs as its owner must not come back as somebody else's.
            FileStatus status = file.GetStatus();
            mode &= ~((status.UserId != user ? SetUserId : 0) | (status.GroupId != group ? SetGroupId : 0));
        }

        // User attributes need the right to write, which the mode may take away; access control lists would be changed by the mode.
        ApplyAttributes(file, node, static name => name.StartsWith(UserAttributes, StringComparison.Ordinal));
        Try(() => file.SetMode(mode));
        if (inheritsAccessList && node.Attributes?.ContainsKey(ExtendedAttributes.AccessList) != true)
        {
            Try(() => ExtendedAttributes.Remove(file, ExtendedAttributes.AccessList));
        }

        ApplyAttributes(file, node, static name => !name.StartsWith(UserAttributes, StringComparison.Ordinal));
        Try(() => file.SetModified(node.Modified));
    }

    /// <summary>For a link or special file, which cannot be opened.</summary>
    public void Apply(DirectoryHandle directory, byte[] name, ManifestEntry entry)
    {
        FileNode node = entry.Node!;
        (uint user, uint group) = OwnerOf(node);
        if (_owners)
        {
            Try(() => directory.SetOwner(name, user, group));
        }

        if (entry.Kind != ManifestEntryKind.Link)
        {
            Try(() => directory.SetMode(name, entry.Mode & ~(SetUserId | SetGroupId)));
        }

        foreach ((string attribute, byte[] value) in node.Attributes ?? new Dictionary<string, byte[]>())
        {
            Try(() => ExtendedAttributes.Set(directory, name, attribute, value));
        }

        Try(() => directory.SetModified(name, node.Modified));
    }

    public void Report(string problem)
    {
        lock (_gate)
        {
            ProblemCount++;
            if (_problems.Count >= MaximumProblems)
            {
                return;
            }

            _problems.Add(problem);
        }

        observer.Warning(problem);
    }

    private (uint User, uint Group) OwnerOf(FileNode node) => options.NumericOwners || !_owners
        ? (node.UserId, node.GroupId)
        : (node.UserName is { } user ? _accounts.UserId(user) ?? node.UserId : node.UserId,
            node.GroupName is { } group ? _accounts.GroupId(group) ?? node.GroupId : node.GroupId);

    private void ApplyAttributes(NativeFile file, FileNode node, Func<string, bool> applies)
    {
        if (node.Attributes is not null)
        {
            foreach ((string name, byte[] value) in node.Attributes)
            {
                if (applies(name))
                {
                    Try(() => ExtendedAttributes.Set(file, name, value));
                }
            }
        }
    }

    private bool Try(Action action)
    {
        try
        {
            action();
            return true;
        }
        catch (PosixException e) when (e.Error is not (PosixException.NoSpaceLeft or PosixException.QuotaExceeded))
        {
            Report(e.Message);
            return false;
        }
    }
}
