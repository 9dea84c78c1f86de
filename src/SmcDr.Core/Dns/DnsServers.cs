using System.Globalization;
using System.Net;
using System.Net.Sockets;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Dns;

/// <summary>The servers that answer for a zone, asked directly: what no resolver's memory stands between.</summary>
internal sealed class DnsServers
{
    private const int DnsPort = 53;
    private static readonly TimeSpan s_shortestPause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_longestPause = TimeSpan.FromSeconds(5);

    private readonly IReadOnlyList<(string Display, string Host, int Port)> _servers;
    private readonly DnsServerClient _client;

    /// <param name="zone">The zone, whose own servers are asked.</param>
    /// <param name="others">Servers as host and port that are asked instead.</param>
    /// <param name="client">Asks.</param>
    public DnsServers(DnsZone zone, IReadOnlyList<string> others, DnsServerClient client)
    {
        _client = client;
        _servers = others.Count > 0
            ? [.. others.Select(Parse)]
            : [.. zone.NameServers.Select(static server => (server.Display, server.Display, DnsPort))];
    }

    /// <summary>How many there are; of a private zone none can be asked.</summary>
    public int Count => _servers.Count;

    /// <summary>Asks every server once about everything.</summary>
    public async Task<IReadOnlyList<DnsServerAnswer>> AskAsync(IReadOnlyList<DnsExpectation> expectations, CancellationToken cancellationToken)
    {
        DnsServerAnswer[] answers = await Task.WhenAll(
            from expectation in expectations
            where DnsMessage.CanAsk(expectation.Type)
            from server in _servers
            select AskAsync(server, expectation, cancellationToken)).ConfigureAwait(false);
        return answers;
    }

    /// <summary>Asks until every server gives the right answer, or the time is up.</summary>
    public async Task<IReadOnlyList<DnsServerAnswer>> WaitAsync(
        IReadOnlyList<DnsExpectation> expectations, TimeSpan patience, IOperationObserver observer, CancellationToken cancellationToken)
    {
        long start = TimeProvider.System.GetTimestamp();
        for (TimeSpan pause = s_shortestPause; ; pause = TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, s_longestPause.Ticks)))
        {
            IReadOnlyList<DnsServerAnswer> answers = await AskAsync(expectations, cancellationToken).ConfigureAwait(false);
            int left = answers.Count(static answer => answer.Outcome is not (DnsServerOutcomes.Current or DnsServerOutcomes.Unknown));
            if (left == 0 || TimeProvider.System.GetElapsedTime(start) + pause > patience)
            {
                return answers;
            }

            observer.Verbose(string.Create(
                CultureInfo.InvariantCulture, $"{left} of {answers.Count} answers of the zone's servers are not the new one yet; asking again in {DisplayText.Duration(pause)}."));
            await Task.Delay(pause, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<DnsServerAnswer> AskAsync(
        (string Display, string Host, int Port) server, DnsExpectation expectation, CancellationToken cancellationToken)
    {
        long start = TimeProvider.System.GetTimestamp();
        DnsServerAnswer result = new() { Server = server.Display, Type = expectation.Type, Outcome = DnsServerOutcomes.Silent };
        try
        {
            IPAddress[] addresses = await System.Net.Dns.GetHostAddressesAsync(server.Host, cancellationToken).ConfigureAwait(false);
            // IPv4 first: many networks know addresses of the other kind and have no way there.
            foreach (IPAddress address in addresses.OrderBy(static address => address.AddressFamily == AddressFamily.InterNetworkV6))
            {
                IPEndPoint endpoint = new(address, server.Port);
                result = Judge(
                    await TryAskAsync(endpoint, expectation, cancellationToken).ConfigureAwait(false),
                    result with { Address = endpoint.ToString(), Outcome = DnsServerOutcomes.Silent, Problem = null },
                    expectation);
                if (result.Outcome != DnsServerOutcomes.Silent)
                {
                    break;
                }
            }
        }
        catch (SocketException exception)
        {
            result = result with { Problem = $"The address of {server.Host} cannot be found: {exception.Message}." };
        }

        return result with { DurationSeconds = Math.Round(TimeProvider.System.GetElapsedTime(start).TotalSeconds, 3) };
    }

    private async Task<(DnsAnswer? Answer, Exception? Failure)> TryAskAsync(
        IPEndPoint endpoint, DnsExpectation expectation, CancellationToken cancellationToken)
    {
        try
        {
            return (await _client.AskAsync(endpoint, expectation.Name, expectation.Type, cancellationToken).ConfigureAwait(false), null);
        }
        catch (Exception exception) when (exception is TimeoutException or InvalidDataException or SocketException or IOException)
        {
            return (null, exception);
        }
    }

    private static DnsServerAnswer Judge((DnsAnswer? Answer, Exception? Failure) got, DnsServerAnswer result, DnsExpectation expectation)
    {
        if (got.Answer is not { } answer)
        {
            return got.Failure is InvalidDataException
                ? result with { Outcome = DnsServerOutcomes.Invalid, Problem = $"{result.Server} sends what is no answer: {got.Failure.Message}." }
                : result with { Problem = $"{result.Server} does not answer at {result.Address}: {got.Failure!.Message.TrimEnd('.')}." };
        }

        result = result with
        {
            Values = answer.Alias is { } alias && answer.Values.Count == 0
                ? [$"CNAME {DnsValues.Display("CNAME", alias)}"]
                : [.. answer.Values.Select(value => DnsValues.Display(expectation.Type, value))],
            TtlSeconds = answer.Ttl ?? answer.NegativeTtl,
            ResponseCode = answer.Code,
            Transport = answer.Transport,
        };
        bool isMissing = answer.Code is "NXDOMAIN" or "NOERROR" && answer.Values.Count == 0 && answer.Alias is null;
        return answer.Code is not ("NOERROR" or "NXDOMAIN")
                ? result with { Outcome = DnsServerOutcomes.Failed, Problem = $"{result.Server} answers {answer.Code}." }
            : !answer.IsAuthoritative
                ? result with { Outcome = DnsServerOutcomes.NotAuthoritative, Problem = $"{result.Server} does not answer of its own: it is no server of this zone." }
            : isMissing
                ? expectation.Answers is { Count: 0 }
                    ? result with { Outcome = DnsServerOutcomes.Current }
                    : result with { Outcome = DnsServerOutcomes.Missing, Problem = $"{result.Server} says that there is no such record." }
            : expectation.Answers is not { } right
                ? result with { Outcome = DnsServerOutcomes.Unknown }
            : right.Any(values => answer.Alias is null && DnsValues.AreSame(expectation.Type, values, answer.Values))
                ? result with { Outcome = DnsServerOutcomes.Current }
                : result with { Outcome = DnsServerOutcomes.Different, Problem = $"{result.Server} answers {string.Join(", ", result.Values)}." };
    }

    private static (string Display, string Host, int Port) Parse(string endpoint)
    {
        int colon = endpoint.LastIndexOf(':');
        return (endpoint, endpoint[..colon].Trim('[', ']'), int.Parse(endpoint.AsSpan(colon + 1), CultureInfo.InvariantCulture));
    }
}
