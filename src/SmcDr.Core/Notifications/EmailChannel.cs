using System.Net.Sockets;
using System.Globalization;
using MailKit;
using MailKit.Net.Smtp;
using MailKit.Security;
using MimeKit;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Notifications;

/// <summary>Mail by SMTP, to each recipient once: who was accepted in one attempt is left out of the next.</summary>
internal sealed class EmailChannel : IAlertChannel
{
    private readonly EmailSettings _settings;
    private readonly string? _password;
    private readonly CertificateRule _certificates;
    private readonly SecretText _secrets;
    private readonly MimeMessage _message = new();
    private readonly List<MailboxAddress> _open = [];
    private readonly List<string> _refused = [];
    private bool _taken;

    public EmailChannel(EmailSettings settings, string? password, string? authorityFile, Alert alert, SecretText secrets)
    {
        _settings = settings;
        _password = password;
        _certificates = new CertificateRule(authorityFile);
        _secrets = secrets;
        _open.AddRange(settings.To.Distinct(StringComparer.OrdinalIgnoreCase).Select(static to => new MailboxAddress("", to)));
        _message.From.Add(new MailboxAddress("SmcDr", settings.From));
        _message.To.AddRange(_open);
        _message.Subject = AlertText.Headline(alert);
        _message.Date = alert.Time;
        // Made once: a mail that an attempt left behind unnoticed is known as the same one.
        _message.MessageId = $"{Guid.NewGuid():N}@{settings.From[(settings.From.IndexOf('@', StringComparison.Ordinal) + 1)..]}";
        // RFC 3834: nobody's "I am on holiday" is wanted.
        _message.Headers.Add(HeaderId.AutoSubmitted, "auto-generated");
        _message.Importance = alert.Severity >= AlertSeverity.Error && !alert.IsResolved ? MessageImportance.High : MessageImportance.Normal;
        _message.Body = new TextPart("plain") { Text = AlertText.ToMail(alert) };
    }

    public void Dispose() => _message.Dispose();

    public async Task<string?> SendAsync(CancellationToken cancellationToken)
    {
        using Client client = new();
        client.ServerCertificateValidationCallback = (_, certificate, chain, errors) => _certificates.Accept(certificate, chain, errors);
        // Asking for revocations would make an alert depend on one more server.
        client.CheckCertificateRevocation = false;
        client.Timeout = Timeout.Infinite;
        try
        {
            await client.ConnectAsync(
                _settings.Host,
                _settings.EffectivePort,
                _settings.Security switch
                {
                    EmailSecurity.StartTls => SecureSocketOptions.StartTls,
                    EmailSecurity.Tls => SecureSocketOptions.SslOnConnect,
                    _ => SecureSocketOptions.None,
                },
                cancellationToken).ConfigureAwait(false);
            if (_password is not null)
            {
                await client.AuthenticateAsync(_settings.UserName!, _password, cancellationToken).ConfigureAwait(false);
            }

            await client.SendAsync(_message, _message.From.Mailboxes.First(), _open, cancellationToken).ConfigureAwait(false);
            _taken |= _open.RemoveAll(client.WasTaken) > 0;
        }
        catch (SmtpCommandException) when (client.Refusals.Count > 0 && !_open.Exists(client.WasTaken))
        {
            // Nobody is left whom the server would take mail for; who, and why, is said below.
        }
        catch (Exception e) when (e is not (OperationCanceledException or DeliveryException))
        {
            throw Translate(e);
        }
        finally
        {
            if (client.IsConnected && !cancellationToken.IsCancellationRequested)
            {
                await SayGoodbyeAsync(client, cancellationToken).ConfigureAwait(false);
            }
        }

        foreach ((MailboxAddress recipient, SmtpResponse answer) in client.Refusals.Where(static refusal => !IsTransient(refusal.Answer.StatusCode)))
        {
            _open.Remove(recipient);
            _refused.Add($"{recipient.Address} ({Describe(answer.StatusCode, answer.Response)})");
        }

        if (_open.Count > 0)
        {
            SmtpResponse answer = client.Refusals[0].Answer;
            throw new DeliveryException(
                $"The server does not take mail for {string.Join(", ", _open.Select(static to => to.Address))} now ({Describe(answer.StatusCode, answer.Response)}).",
                mayPass: true,
                isPartial: _taken);
        }

        return _refused.Count == 0 ? null
            : _taken ? $"The server does not take mail for {string.Join(", ", _refused)}; the others have it."
            : throw new DeliveryException(
                $"The server does not take mail for {string.Join(", ", _refused)}.", mayPass: false, "Correct to in the site file, or let the server's owner permit it.");
    }

    private static async Task SayGoodbyeAsync(Client client, CancellationToken cancellationToken)
    {
        try
        {
            await client.DisconnectAsync(quit: true, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or SocketException or ProtocolException or CommandException or ServiceNotConnectedException or OperationCanceledException)
        {
            // The mail is with the server, or is known not to be: a farewell that takes too long must not have it sent again.
        }
    }

    private DeliveryException Translate(Exception e)
    {
        if (_certificates.Refusal is not null)
        {
            return _certificates.Refused();
        }

        string server = string.Create(CultureInfo.InvariantCulture, $"{_settings.Host}:{_settings.EffectivePort}");
        return e switch
        {
            AuthenticationException when e.InnerException is SmtpCommandException { StatusCode: var status } && IsTransient(status) =>
                new DeliveryException($"The server {server} cannot check the password now.", mayPass: true),
            AuthenticationException => new DeliveryException(
                $"The server {server} refuses the user '{_settings.UserName}' or the password.", mayPass: false, "Correct userName in the site file or the password in its secret."),
            SmtpCommandException { ErrorCode: SmtpErrorCode.SenderNotAccepted } command => new DeliveryException(
                $"The server {server} does not take mail from {_settings.From} ({Describe(command.StatusCode, command.Message)}).",
                IsTransient(command.StatusCode),
                "Correct from in the site file, or let the server's owner permit it."),
            SmtpCommandException command => new DeliveryException(
                $"The server {server} answers {Describe(command.StatusCode, command.Message)}.", IsTransient(command.StatusCode)),
            SslHandshakeException => new DeliveryException(
                $"No encrypted connection to {server} comes about.", mayPass: true, "Check port and security of the channel in the site file."),
            NotSupportedException => new DeliveryException(
                _settings.Security == EmailSecurity.StartTls
                    ? $"The server {server} does not offer STARTTLS, so that nothing is sent to it."
                    : $"The server {server} does not offer what is needed: {e.Message}",
                mayPass: false,
                "Correct port and security of the channel in the site file, or have the server offer TLS."),
            SocketException socket => new DeliveryException(
                $"The server {server} cannot be reached ({socket.SocketErrorCode}).", mayPass: true, "Check host and port of the channel in the site file."),
            IOException or ProtocolException or ServiceNotConnectedException => new DeliveryException($"The connection to {server} broke.", mayPass: true),
            _ => new DeliveryException($"The server {server} cannot be used: {_secrets.Hide(e.Message)}", mayPass: false),
        };
    }

    private string Describe(SmtpStatusCode status, string? answer) =>
        FormattableString.Invariant($"{(int)status} {Alert.Cut(_secrets.Hide((answer ?? "").ReplaceLineEndings(" ").Trim()), 200)}").TrimEnd();

    // RFC 5321, 4.2.1: 4yz may be otherwise another time, 5yz may not.
    private static bool IsTransient(SmtpStatusCode status) => (int)status is >= 400 and < 500;

    /// <summary>One address that is refused must not keep the alert from the others.</summary>
    private sealed class Client : SmtpClient
    {
        public List<(MailboxAddress Recipient, SmtpResponse Answer)> Refusals { get; } = [];

        public bool WasTaken(MailboxAddress recipient) => Refusals.TrueForAll(refusal => refusal.Recipient.Address != recipient.Address);

        protected override void OnRecipientNotAccepted(MimeMessage message, MailboxAddress mailbox, SmtpResponse response) =>
            Refusals.Add((mailbox, response));

        protected override void OnNoRecipientsAccepted(MimeMessage message)
        {
            // SendAsync says who was refused, and whether that may pass.
        }
    }
}
