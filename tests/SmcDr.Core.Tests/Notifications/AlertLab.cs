using SmcDr.Core.Notifications;
using SmcDr.Core.Operations;
using SmcDr.Core.Sites;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Notifications;

/// <summary>A site whose channels lead to receivers of one test, and a clock that can be set.</summary>
internal sealed class AlertLab : IOperationObserver, IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly List<string> _said = [];
    private int _secrets;

    public string Directory => _directory.Path;

    public string StateDirectory => Path.Combine(_directory.Path, "state");

    public ShiftedClock Clock { get; } = new();

    /// <summary>All that was said on the way.</summary>
    public string Said
    {
        get
        {
            lock (_said)
            {
                return string.Join('\n', _said);
            }
        }
    }

    public List<NotificationSettings> Channels { get; } = [];

    public AlertSettings Settings { get; set; } = new();

    public Site Site => new()
    {
        Name = "orders",
        Repository = new RepositorySettings { Location = _directory.Path },
        Regions = new Dictionary<string, RegionSettings> { ["here"] = new RegionSettings { Role = RegionRole.Primary } },
        Notifications = Channels,
        Alerts = Settings,
    };

    public DeliveryOptions Patience => new() { RetryDelay = TimeSpan.FromMilliseconds(5), Clock = Clock };

    public SecretReference Secret(string value)
    {
        string path = Path.Combine(_directory.Path, FormattableString.Invariant($"secret-{_secrets++}"));
        File.WriteAllText(path, value + "\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return SecretReference.Parse($"file:{path}");
    }

    public AlertSender Sender() => new(Site, new SecretResolver(this), this);

    public Alert Alert(AlertSeverity severity = AlertSeverity.Error, string title = "The backup failed", string? text = null, bool isResolved = false) =>
        Core.Notifications.Alert.Create(
            "orders", severity, title, text, [new AlertField("Backup", "20261122T081500Z-full")], "backup", isResolved, Clock.GetUtcNow());

    public Task<IReadOnlyList<AlertResult>> SendAsync(Alert? alert = null, AlertSendOptions? options = null) => Sender().SendAsync(
        alert ?? Alert(), (options ?? new AlertSendOptions()) with { StateDirectory = StateDirectory, Delivery = options?.Delivery.Clock == Clock ? options.Delivery : Patience }, CancellationToken.None);

    public void Verbose(string message)
    {
        lock (_said)
        {
            _said.Add(message);
        }
    }

    public void Warning(string message) => Verbose(message);

    public void Progress(OperationProgress progress)
    {
    }

    public void Dispose() => _directory.Dispose();
}
