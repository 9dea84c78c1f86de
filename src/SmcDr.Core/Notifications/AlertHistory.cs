using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Notifications;

/// <summary>Which channel was told of what, in a file of this account on this host.</summary>
/// <remarks>
/// Not in the repository: alerts matter most when that is full or away, and what cannot be noted must not keep anybody from being told. So two hosts that find the
/// same each tell it, and a container without a volume repeats itself; too often is the right side to err on. For the same reason a file that cannot be read
/// counts for an empty one, and two that tell at the same moment may both do so: what is noted was told, never what is about to be.
/// </remarks>
internal sealed class AlertHistory
{
    private static readonly TimeSpan s_life = TimeSpan.FromDays(31);
    private static readonly TimeSpan s_lockPatience = TimeSpan.FromSeconds(5);

    private readonly string? _path;
    private readonly TimeProvider _clock;
    private readonly IOperationObserver _observer;

    /// <param name="directory">The directory of the state; null = none, and nothing is known.</param>
    /// <param name="site">The site's name.</param>
    /// <param name="repository">Where its repository is: two sites may have one name.</param>
    /// <param name="clock">What says how old something is.</param>
    /// <param name="observer">Is warned where nothing can be noted.</param>
    public AlertHistory(string? directory, string site, string repository, TimeProvider clock, IOperationObserver observer)
    {
        _path = directory is null ? null : Path.Combine(directory, "alerts", $"{site}-{Digest(repository)[..12]}.json");
        _clock = clock;
        _observer = observer;
    }

    /// <summary>Where SmcDr keeps state of this account; null where there is no home.</summary>
    public static string? FindDirectory(Func<string, string?> environment)
    {
        ArgumentNullException.ThrowIfNull(environment);
        if (environment("SMCDR_STATE_DIR") is { Length: > 0 } own)
        {
            return Path.GetFullPath(own);
        }

        if (OperatingSystem.IsWindows())
        {
            return Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData) is { Length: > 0 } local ? Path.Combine(local, "SmcDr") : null;
        }

        return environment("XDG_STATE_HOME") is { Length: > 0 } state && Path.IsPathRooted(state) ? Path.Combine(state, "smcdr")
            : environment("HOME") is { Length: > 0 } home && Path.IsPathRooted(home) ? Path.Combine(home, ".local", "state", "smcdr")
            : null;
    }

    /// <summary>When a channel was last told of something; null where it was not, or nobody knows.</summary>
    public async Task<AlertSighting?> FindAsync(string channel, string key, CancellationToken cancellationToken)
    {
        Dictionary<string, AlertSighting> sightings = await ReadAsync(cancellationToken).ConfigureAwait(false);
        // A time that is to come is that of a clock that was wrong.
        return sightings.TryGetValue(IdOf(channel, key), out AlertSighting? found) && found.Time <= _clock.GetUtcNow() ? found : null;
    }

    /// <summary>Notes what channels were told; a sighting that is null is forgotten.</summary>
    public async Task NoteAsync(IReadOnlyCollection<(string Channel, string Key, AlertSighting? Sighting)> notes, CancellationToken cancellationToken)
    {
        if (_path is null || notes.Count == 0)
        {
            if (notes.Count > 0)
            {
                _observer.Verbose("This account has no directory for state, so that nothing is known of earlier alerts. SMCDR_STATE_DIR names one.");
            }

            return;
        }

        string temporary = $"{_path}.{Environment.ProcessId}.new";
        try
        {
            CreateDirectory(Path.GetDirectoryName(_path)!);
            FileStream held = await LockAsync(cancellationToken).ConfigureAwait(false);
            await using (held.ConfigureAwait(false))
            {
                Dictionary<string, AlertSighting> sightings = await ReadAsync(cancellationToken).ConfigureAwait(false);
                foreach ((string channel, string key, AlertSighting? sighting) in notes)
                {
                    string id = IdOf(channel, key);
                    sightings.Remove(id);
                    if (sighting is not null)
                    {
                        sightings[id] = sighting;
                    }
                }

                DateTimeOffset oldest = _clock.GetUtcNow() - s_life;
                foreach (string old in sightings.Where(one => one.Value.Time < oldest).Select(static one => one.Key).ToList())
                {
                    sightings.Remove(old);
                }

                await WriteAsync(temporary, sightings, cancellationToken).ConfigureAwait(false);
                File.Move(temporary, _path, overwrite: true);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _observer.Warning($"What was told cannot be noted in '{_path}', so that it may be told again too soon: {e.Message}");
        }
    }

    private static async Task WriteAsync(string path, Dictionary<string, AlertSighting> sightings, CancellationToken cancellationToken)
    {
        FileStream file = new(path, OwnerOnly(FileMode.Create, FileShare.None));
        await using (file.ConfigureAwait(false))
        {
            await JsonSerializer.SerializeAsync(
                file, new AlertHistoryFile { Sightings = sightings }, NotificationsJson.Default.AlertHistoryFile, cancellationToken).ConfigureAwait(false);
            file.Flush(flushToDisk: true);
        }
    }

    private async Task<Dictionary<string, AlertSighting>> ReadAsync(CancellationToken cancellationToken)
    {
        if (_path is null || !File.Exists(_path))
        {
            return new(StringComparer.Ordinal);
        }

        try
        {
            byte[] content = await File.ReadAllBytesAsync(_path, cancellationToken).ConfigureAwait(false);
            return JsonSerializer.Deserialize(content, NotificationsJson.Default.AlertHistoryFile) is { Sightings: { } sightings }
                ? new(sightings, StringComparer.Ordinal)
                : new(StringComparer.Ordinal);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            _observer.Warning($"What was told earlier cannot be read from '{_path}', and counts for not told: {e.Message}");
            return new(StringComparer.Ordinal);
        }
    }

    private async Task<FileStream> LockAsync(CancellationToken cancellationToken)
    {
        long start = _clock.GetTimestamp();
        while (true)
        {
            try
            {
                return new FileStream(_path + ".lock", OwnerOnly(FileMode.OpenOrCreate, FileShare.None));
            }
            catch (IOException) when (_clock.GetElapsedTime(start) < s_lockPatience)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(20), _clock, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private static FileStreamOptions OwnerOnly(FileMode mode, FileShare share)
    {
        FileStreamOptions options = new() { Mode = mode, Access = FileAccess.Write, Share = share };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        return options;
    }

    private static void CreateDirectory(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
        }
        else
        {
            Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    // Keys are what an operator wrote; what is kept need not be readable.
    private static string IdOf(string channel, string key) => Digest($"{channel}\0{key}");

    private static string Digest(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}
