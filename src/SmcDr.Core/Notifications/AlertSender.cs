using SmcDr.Core.Operations;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Notifications;

/// <summary>Tells the people whom a site names, on all channels at once: a receiver that does not answer holds up nobody else's.</summary>
public sealed class AlertSender
{
    private readonly Site _site;
    private readonly SecretResolver _secrets;
    private readonly IOperationObserver _observer;

    /// <summary>Creates it.</summary>
    /// <param name="site">The site.</param>
    /// <param name="secrets">Gives addresses and passwords.</param>
    /// <param name="observer">Hears of failed attempts.</param>
    public AlertSender(Site site, SecretResolver secrets, IOperationObserver observer)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(secrets);
        _site = site;
        _secrets = secrets.Of(site.PrimaryRegion);
        _observer = observer;
    }

    /// <summary>The names of a site's channels, in the order of its file.</summary>
    public static IReadOnlyList<string> NamesOf(Site site)
    {
        ArgumentNullException.ThrowIfNull(site);
        List<string> names = [];
        foreach (NotificationSettings settings in site.Notifications)
        {
            string name = settings.Name ?? settings.Kind;
            for (int i = 2; names.Contains(name) || settings.Name is null && site.Notifications.Any(other => other.Name == name); i++)
            {
                name = FormattableString.Invariant($"{settings.Kind}-{i}");
            }

            names.Add(name);
        }

        return names;
    }

    /// <summary>Sends an alert.</summary>
    /// <returns>What became of it, for each channel, in the order of the site file.</returns>
    /// <exception cref="SmcException">The site names nobody, or no such channel.</exception>
    public async Task<IReadOnlyList<AlertResult>> SendAsync(Alert alert, AlertSendOptions options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(alert);
        ArgumentNullException.ThrowIfNull(options);
        (string Name, NotificationSettings Settings)[] channels = FindChannels(options.Channels);
        AlertHistory history = new(options.StateDirectory, _site.Name, _site.Repository.Location, options.Delivery.Clock, _observer);

        // All of them before anybody is told: where one question ends the command, nobody must be told without a note of it.
        List<AlertResult?> decided = [];
        foreach ((string name, NotificationSettings settings) in channels)
        {
            decided.Add(await DecideAsync(name, settings, alert, options, history, cancellationToken).ConfigureAwait(false));
        }

        Task<AlertResult>[] work =
        [
            .. channels.Zip(decided, (channel, result) => result is null
                ? SendAsync(channel.Name, channel.Settings, alert, options, cancellationToken)
                : Task.FromResult(result)),
        ];
        AlertResult[] results;
        try
        {
            results = await Task.WhenAll(work).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Who was told before the stop need not be told again.
            await NoteAsync([.. work.Where(static task => task.IsCompletedSuccessfully).Select(static task => task.Result)]).ConfigureAwait(false);
            throw;
        }

        await NoteAsync(results).ConfigureAwait(false);
        return results;

        Task NoteAsync(AlertResult[] told) => history.NoteAsync(
            [
                .. told.Where(static result => result.State is "Sent" or "Partial")
                    .Select(result => (result.Channel, alert.Key, alert.IsResolved ? null : new AlertSighting(alert.Severity, result.Time))),
            ],
            CancellationToken.None);
    }

    /// <summary>The failure that results come to, or null where everybody was told who was to be.</summary>
    public static SmcException? FindFailure(IReadOnlyCollection<AlertResult> results)
    {
        ArgumentNullException.ThrowIfNull(results);
        AlertResult[] failed = [.. results.Where(static result => result.State is "Failed" or "Partial")];
        return failed.Length == 0 ? null : new SmcException(
            SmcErrorCode.AlertNotDelivered,
            string.Join(' ', failed.Select(static result => $"{result.Channel}: {result.Problem}")),
            recommendation: failed.Select(static result => result.Recommendation).FirstOrDefault(static one => one is not null),
            target: failed[0].Channel);
    }

    /// <summary>Where the site tells that all is well.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.SiteInvalid"/>: it has no heartbeat.</exception>
    public SecretReference GetHeartbeat() => _site.Alerts.HeartbeatUrl ?? throw new SmcException(
        SmcErrorCode.SiteInvalid,
        $"The site '{_site.Name}' has no heartbeat.",
        recommendation: $"Make a check at a service that alarms when it is not called, and add 'alerts: {{ heartbeatUrl: env:NAME }}' to '{_site.Path}'.",
        target: _site.Name);

    /// <summary>Tells the dead man's switch that all is well.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.SiteInvalid"/>: the site names none.</exception>
    public async Task<AlertResult> SendHeartbeatAsync(DeliveryOptions options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        SecretReference reference = GetHeartbeat();
        DeliveryOutcome outcome;
        try
        {
            string address = await _secrets.ResolveAsync(reference, cancellationToken).ConfigureAwait(false);
            using WebhookClient client = new(address, null, null, options.Clock);
            outcome = await Delivery.RunAsync(
                "heartbeat",
                async token =>
                {
                    await client.SendAsync(null, null, token).ConfigureAwait(false);
                    return null;
                },
                options,
                _observer,
                cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is DeliveryException or SmcException)
        {
            outcome = Unbegun(e);
        }

        return new AlertResult
        {
            Channel = "heartbeat",
            Kind = "Heartbeat",
            State = outcome.IsDelivered ? "Sent" : "Failed",
            Attempts = outcome.Attempts,
            Time = options.Clock.GetUtcNow(),
            Duration = outcome.Duration,
            Problem = outcome.Problem,
            Recommendation = outcome.Recommendation,
        };
    }

    /// <summary>Whether the secrets of a channel are there and can be what they are to be. Nothing is sent.</summary>
    /// <returns>What is wrong and what to do; null where nothing is.</returns>
    internal async Task<(string Problem, string? Recommendation)?> CheckAsync(NotificationSettings settings, CancellationToken cancellationToken)
    {
        Alert alert = Alert.Create(_site.Name, AlertSeverity.Information, "Test", null, [], null, false, DateTimeOffset.UnixEpoch);
        return await FindProblemAsync(async () => (await OpenAsync(settings, alert, new DeliveryOptions(), cancellationToken).ConfigureAwait(false)).Dispose())
            .ConfigureAwait(false);
    }

    /// <summary>The same for the heartbeat.</summary>
    internal Task<(string Problem, string? Recommendation)?> CheckAsync(SecretReference heartbeat, CancellationToken cancellationToken) => FindProblemAsync(
        async () => new WebhookClient(
            await _secrets.ResolveAsync(heartbeat, cancellationToken).ConfigureAwait(false), null, null, TimeProvider.System).Dispose());

    private static async Task<(string Problem, string? Recommendation)?> FindProblemAsync(Func<Task> open)
    {
        try
        {
            await open().ConfigureAwait(false);
            return null;
        }
        catch (Exception e) when (e is DeliveryException or SmcException)
        {
            DeliveryOutcome outcome = Unbegun(e);
            return (outcome.Problem!, outcome.Recommendation);
        }
    }

    private (string Name, NotificationSettings Settings)[] FindChannels(IReadOnlyList<string> wanted)
    {
        if (_site.Notifications.Count == 0)
        {
            throw new SmcException(
                SmcErrorCode.SiteInvalid,
                $"The site '{_site.Name}' does not say who is told of failures.",
                recommendation: $"Add 'notifications: [ {{ slack: env:SLACK_WEBHOOK_URL }} ]' to '{_site.Path}'.",
                target: _site.Name);
        }

        (string Name, NotificationSettings Settings)[] all = [.. NamesOf(_site).Zip(_site.Notifications)];
        return wanted.FirstOrDefault(name => !all.Any(one => one.Name == name)) is { } unknown
            ? throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"The site '{_site.Name}' has no channel '{unknown}'.",
                recommendation: $"Give one of its channels: {string.Join(", ", all.Select(static one => one.Name))}.",
                target: unknown)
            : [.. all.Where(one => wanted.Count == 0 || wanted.Contains(one.Name))];
    }

    /// <summary>What is plain before anything is sent; null where it is to be sent.</summary>
    private async Task<AlertResult?> DecideAsync(
        string name, NotificationSettings settings, Alert alert, AlertSendOptions options, AlertHistory history, CancellationToken cancellationToken)
    {
        AlertResult result = New(name, settings, alert, options, "Planned");
        if (!options.Force)
        {
            AlertSighting? told = await history.FindAsync(name, alert.Key, cancellationToken).ConfigureAwait(false);
            if (alert.IsResolved && told is null && options.StateDirectory is not null)
            {
                return result with { State = "Suppressed" };
            }

            if (!alert.IsResolved && alert.Severity < settings.MinimumSeverity)
            {
                return result with { State = "BelowSeverity" };
            }

            TimeSpan window = options.RepeatAfter ?? _site.Alerts.RepeatAfter ?? AlertSendOptions.DefaultRepeatAfter;
            // What has become worse is told at once.
            if (!alert.IsResolved && told is not null && told.Severity >= alert.Severity && result.Time - told.Time < window)
            {
                return result with { State = "Suppressed", LastSentTime = told.Time };
            }
        }

        return options.IsPreview || options.Approve is { } approve && !await approve(name).ConfigureAwait(false) ? result : null;
    }

    private async Task<AlertResult> SendAsync(
        string name, NotificationSettings settings, Alert alert, AlertSendOptions options, CancellationToken cancellationToken)
    {
        DeliveryOutcome outcome;
        try
        {
            using IAlertChannel channel = await OpenAsync(settings, alert, options.Delivery, cancellationToken).ConfigureAwait(false);
            outcome = await Delivery.RunAsync(name, channel.SendAsync, options.Delivery, _observer, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is DeliveryException or SmcException)
        {
            outcome = Unbegun(e);
        }

        return New(name, settings, alert, options, !outcome.IsDelivered ? "Failed" : outcome.Problem is null ? "Sent" : "Partial") with
        {
            Attempts = outcome.Attempts,
            Duration = outcome.Duration,
            Problem = outcome.Problem,
            Recommendation = outcome.Recommendation,
        };
    }

    private async Task<IAlertChannel> OpenAsync(NotificationSettings settings, Alert alert, DeliveryOptions options, CancellationToken cancellationToken)
    {
        string? address = await ResolveAsync(settings.Slack ?? settings.Webhook).ConfigureAwait(false);
        string? authorization = await ResolveAsync(settings.Authorization).ConfigureAwait(false);
        string? password = await ResolveAsync(settings.Email?.Password).ConfigureAwait(false);
        SecretText hidden = new(new[] { address, authorization, password }.OfType<string>());
        alert = alert.Without(hidden);
        if (address is null)
        {
            return new EmailChannel(settings.Email!, password, settings.CaFile, alert, hidden);
        }

        return new WebhookChannel(
            new WebhookClient(address, authorization, settings.CaFile, options.Clock),
            settings.Slack is not null ? AlertText.ToSlack(alert) : AlertText.ToJson(alert));

        async Task<string?> ResolveAsync(SecretReference? reference) =>
            reference is null ? null : await _secrets.ResolveAsync(reference, cancellationToken).ConfigureAwait(false);
    }

    private static DeliveryOutcome Unbegun(Exception e) => new(
        0, IsDelivered: false, e.Message, e is SmcException smc ? smc.Recommendation : ((DeliveryException)e).Recommendation, TimeSpan.Zero);

    private static AlertResult New(string name, NotificationSettings settings, Alert alert, AlertSendOptions options, string state) => new()
    {
        Channel = name,
        Kind = settings.Slack is not null ? "Slack" : settings.Webhook is not null ? "Webhook" : "Email",
        State = state,
        Severity = alert.Severity,
        Title = alert.Title,
        Key = alert.Key,
        Time = options.Delivery.Clock.GetUtcNow(),
    };
}
