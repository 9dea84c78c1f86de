using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace SmcDr.Core.Recovery;

/// <summary>
/// What a server's log tells of a recovery while no connection is possible: how far replay is, why and where it stopped. The
/// messages are those of xlogrecovery.c and xlog.c; the server is started with <c>lc_messages=C</c> and all times in UTC.
/// </summary>
internal sealed partial class ReplayLog
{
    private readonly StringBuilder _rest = new();
    private bool _inArchiveRecovery;

    /// <summary>The position that the log last named.</summary>
    public Lsn? CurrentLsn { get; private set; }

    /// <summary>The last file that was replayed from.</summary>
    public string? CurrentFile { get; private set; }

    /// <summary>Whether the base backup's end was passed.</summary>
    public bool IsConsistent { get; private set; }

    /// <summary>What PostgreSQL says of the point where it stopped, such as <c>before commit of transaction 739, time …</c>.</summary>
    public string? Stop { get; private set; }

    /// <summary>Where the last record that was replayed begins.</summary>
    public Lsn? RedoDone { get; private set; }

    /// <summary>When the last transaction that was replayed had ended.</summary>
    public DateTimeOffset? LastTransaction { get; private set; }

    /// <summary>The timeline that the promoted server writes.</summary>
    public uint? NewTimeline { get; private set; }

    /// <summary>Whether PostgreSQL ended because the archive ended before the target.</summary>
    public bool TargetNotReached { get; private set; }

    /// <summary>Whether the last start of the server came as far as replaying.</summary>
    public bool HasBegun { get; private set; }

    /// <summary>How much of the log has been read, in bytes.</summary>
    public long Offset { get; private set; }

    /// <summary>Reads what was added since the last call to a log of this host.</summary>
    public void Update(string path)
    {
        if (!File.Exists(path))
        {
            return;
        }

        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        file.Position = Math.Min(Offset, file.Length);
        byte[] buffer = new byte[64 << 10];
        int read;
        while ((read = file.Read(buffer)) > 0)
        {
            Add(buffer.AsSpan(0, read));
        }
    }

    /// <summary>Takes what comes next in the log.</summary>
    public void Add(ReadOnlySpan<byte> content)
    {
        Offset += content.Length;
        // Only ASCII is looked at; half a character at the end of a read does not matter.
        _rest.Append(Encoding.UTF8.GetString(content));
        string text = _rest.ToString();
        int end = text.LastIndexOf('\n');
        if (end < 0)
        {
            return;
        }

        foreach (string line in text[..end].Split('\n'))
        {
            Read(line);
        }

        _rest.Clear().Append(text.AsSpan(end + 1));
    }

    private void Read(string line)
    {
        Match match = MessagePattern().Match(line);
        if (!match.Success)
        {
            return;
        }

        string message = match.Groups[1].Value;
        if (message.StartsWith("starting PostgreSQL ", StringComparison.Ordinal))
        {
            // Another start writes to the same log. What an earlier one came to stays, for the case that it finished the recovery.
            _inArchiveRecovery = false;
            HasBegun = false;
            TargetNotReached = false;
        }
        else if (message.StartsWith("starting archive recovery", StringComparison.Ordinal) ||
            message.StartsWith("starting point-in-time recovery", StringComparison.Ordinal) ||
            message.StartsWith("starting backup recovery", StringComparison.Ordinal))
        {
            _inArchiveRecovery = true;
            HasBegun = true;
        }
        else if (message.Contains("recovery ended before configured recovery target was reached", StringComparison.Ordinal))
        {
            TargetNotReached = true;
        }
        else if (!_inArchiveRecovery)
        {
            // Replay after a crash of the recovered server says nothing of the recovery.
        }
        else if (RestoredPattern().Match(message) is { Success: true } restored)
        {
            CurrentFile = restored.Groups[1].Value;
        }
        else if (LsnPattern().Match(message) is { Success: true } position && Lsn.TryParse(position.Groups[2].Value, out Lsn lsn))
        {
            CurrentLsn = lsn;
            if (position.Groups[1].Value.StartsWith("consistent", StringComparison.Ordinal))
            {
                IsConsistent = true;
            }
            else if (position.Groups[1].Value.StartsWith("redo done", StringComparison.Ordinal))
            {
                RedoDone = lsn;
            }
        }
        else if (message.StartsWith("recovery stopping ", StringComparison.Ordinal))
        {
            Stop = message["recovery stopping ".Length..];
        }
        else if (message.StartsWith("last completed transaction was at log time ", StringComparison.Ordinal))
        {
            if (DateTimeOffset.TryParse(
                message["last completed transaction was at log time ".Length..] + ":00",
                CultureInfo.InvariantCulture,
                DateTimeStyles.AdjustToUniversal,
                out DateTimeOffset time))
            {
                LastTransaction = time;
            }
        }
        else if (message.StartsWith("selected new timeline ID: ", StringComparison.Ordinal))
        {
            NewTimeline = uint.Parse(message["selected new timeline ID: ".Length..], CultureInfo.InvariantCulture);
        }
    }

    [GeneratedRegex(@"\b(?:LOG|FATAL):  (.*)\z", RegexOptions.CultureInvariant)]
    private static partial Regex MessagePattern();

    [GeneratedRegex(@"\Arestored log file ""([0-9A-F]{24})"" from archive", RegexOptions.CultureInvariant)]
    private static partial Regex RestoredPattern();

    [GeneratedRegex(
        @"\A(redo in progress,.* current LSN: |redo starts at |consistent recovery state reached at |redo done at )([0-9A-F]+/[0-9A-F]+)",
        RegexOptions.CultureInvariant)]
    private static partial Regex LsnPattern();
}
