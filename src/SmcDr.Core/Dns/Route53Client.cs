using System.Globalization;
using System.Net;
using System.Xml;
using System.Xml.Linq;
using Amazon.Runtime;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Dns;

/// <summary>The few calls to Route 53 that records need. Each is tried again, within its time, where it may pass; each may be sent twice.</summary>
internal sealed class Route53Client : IDisposable
{
    private readonly Route53Options _options;
    private readonly IOperationObserver _observer;
    private readonly Route53Signer _signer;
    private readonly HttpClient _http;
    private TimeSpan _clockCorrection;

    public Route53Client(Route53Options options, IOperationObserver observer)
    {
        _options = options;
        _observer = observer;
        _signer = new Route53Signer(options);
        _http = new HttpClient(new SocketsHttpHandler
        {
            // A signed request belongs to the host that it was signed for.
            AllowAutoRedirect = false,
            UseCookies = false,
            AutomaticDecompression = DecompressionMethods.None,
            ConnectTimeout = TimeSpan.FromSeconds(10),
            PooledConnectionLifetime = TimeSpan.FromMinutes(2),
            UseProxy = !_signer.Endpoint.IsLoopback,
        })
        {
            Timeout = Timeout.InfiniteTimeSpan,
            MaxResponseContentBufferSize = 16 << 20,
        };
    }

    public void Dispose() => _http.Dispose();

    /// <summary>A zone, with its servers where it is public.</summary>
    public Task<DnsZone> GetZoneAsync(string zone, CancellationToken cancellationToken) => SendAsync(
        $"The hosted zone {zone} cannot be read",
        zone,
        HttpMethod.Get,
        $"/2013-04-01/hostedzone/{zone}",
        [],
        null,
        static answer => Route53Xml.ReadZone(Route53Xml.Required(answer, "HostedZone"), Route53Xml.Child(answer, "DelegationSet")),
        cancellationToken);

    /// <summary>The zones of a name: there may be a public one and several private ones.</summary>
    public Task<IReadOnlyList<DnsZone>> ListZonesAsync(DnsName name, CancellationToken cancellationToken) => SendAsync<IReadOnlyList<DnsZone>>(
        $"The hosted zones of {name.Display} cannot be listed",
        name.Display,
        HttpMethod.Get,
        "/2013-04-01/hostedzonesbyname",
        [("dnsname", name.Text), ("maxitems", "100")],
        null,
        answer =>
        [
            .. Route53Xml.Required(answer, "HostedZones").Elements()
                .Select(static zone => Route53Xml.ReadZone(zone, null))
                .Where(zone => zone.Name == name),
        ],
        cancellationToken);

    /// <summary>All record sets of a name, whatever their type.</summary>
    public async Task<IReadOnlyList<DnsRecordSet>> ListRecordSetsAsync(string zone, DnsName name, CancellationToken cancellationToken)
    {
        List<DnsRecordSet> sets = [];
        (string Name, string? Type, string? Identifier) start = (name.Text, null, null);
        while (true)
        {
            (string, string?, string?)? next = await SendAsync(
                $"The records of {name.Display} in zone {zone} cannot be read",
                zone,
                HttpMethod.Get,
                $"/2013-04-01/hostedzone/{zone}/rrset",
                [
                    ("name", start.Name),
                    .. start.Type is null ? [] : new[] { ("type", start.Type) },
                    .. start.Identifier is null ? [] : new[] { ("identifier", start.Identifier) },
                    ("maxitems", _options.PageSize.ToString(CultureInfo.InvariantCulture)),
                ],
                null,
                answer => ReadPage(answer, name, sets),
                cancellationToken).ConfigureAwait(false);
            if (next is not { } following)
            {
                return sets;
            }

            start = following == start
                ? throw new SmcException(SmcErrorCode.DnsUnavailable, $"The list of the records of {name.Display} does not end: each page leads to itself.", target: zone)
                : following;
        }
    }

    /// <summary>Carries changes out, all or none.</summary>
    public Task<Route53Change> ChangeAsync(
        string zone, IReadOnlyList<DnsRecordChange> changes, string comment, CancellationToken cancellationToken) => SendAsync(
        $"The records of {changes[0].Set.Name.Display} in zone {zone} cannot be changed",
        zone,
        HttpMethod.Post,
        $"/2013-04-01/hostedzone/{zone}/rrset/",
        [],
        Route53Xml.WriteChanges(changes, comment),
        Route53Xml.ReadChange,
        cancellationToken);

    /// <summary>How far a change is.</summary>
    public Task<Route53Change> GetChangeAsync(string zone, string id, CancellationToken cancellationToken) => SendAsync(
        $"How far the change {id} is cannot be read",
        zone,
        HttpMethod.Get,
        $"/2013-04-01/change/{id}",
        [],
        null,
        Route53Xml.ReadChange,
        cancellationToken);

    /// <summary>Reads one page; where the list goes on with the same name, what the next page begins with.</summary>
    private static (string Name, string? Type, string? Identifier)? ReadPage(XElement answer, DnsName name, List<DnsRecordSet> sets)
    {
        foreach (XElement element in Route53Xml.Required(answer, "ResourceRecordSets").Elements())
        {
            // Names are sorted by their labels, so the first other one is the end.
            if (Route53Xml.ReadRecordSet(element) is var set && set.Name != name)
            {
                return null;
            }

            sets.Add(set);
        }

        return Route53Xml.Optional(answer, "IsTruncated") == "true" && Route53Xml.Optional(answer, "NextRecordName") is { } next
            && DnsName.TryParse(next, out DnsName? nextName) && nextName == name
                ? (name.Text, Route53Xml.Optional(answer, "NextRecordType"), Route53Xml.Optional(answer, "NextRecordIdentifier"))
                : null;
    }

    private async Task<T> SendAsync<T>(
        string what,
        string zone,
        HttpMethod method,
        string path,
        IReadOnlyList<(string, string)> query,
        byte[]? body,
        Func<XElement, T> read,
        CancellationToken cancellationToken)
    {
        long start = _options.Clock.GetTimestamp();
        for (int failures = 0; ; failures++)
        {
            SmcException failure;
            using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(_options.RequestTimeout);
            try
            {
                using HttpRequestMessage request = await SignAsync(what, method, path, query, body, limit.Token).ConfigureAwait(false);
                using HttpResponseMessage response = await _http.SendAsync(request, limit.Token).ConfigureAwait(false);
                byte[] content = await response.Content.ReadAsByteArrayAsync(limit.Token).ConfigureAwait(false);
                if (response.IsSuccessStatusCode)
                {
                    if (content.Length == 0)
                    {
                        // Route 53 answers nothing with nothing: the connection, or something in between, has lost the rest.
                        throw new IOException("The answer is empty.");
                    }

                    return read(Route53Xml.Parse(content));
                }

                (string code, string message) = Route53Xml.ReadError(content) ?? ("", "");
                failure = Route53Errors.Translate(what, zone, response.StatusCode, code, message);
                if (Route53Errors.IsSkew(code, message) && CorrectClock(response))
                {
                    continue;
                }

                if (!Route53Errors.MayPass(response.StatusCode, code))
                {
                    throw failure;
                }
            }
            catch (Exception exception) when (exception is XmlException or InvalidDataException or FormatException)
            {
                throw Route53Errors.NotRoute53(what, _signer.Endpoint, exception);
            }
            catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
            {
                failure = Route53Errors.Unreachable(what, _signer.Endpoint, new TimeoutException(
                    string.Create(CultureInfo.InvariantCulture, $"it takes longer than {_options.RequestTimeout.TotalSeconds:0.#} s"), exception));
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException)
            {
                failure = Route53Errors.Unreachable(what, _signer.Endpoint, exception);
            }

            TimeSpan pause = Pause(failures);
            if (_options.Clock.GetElapsedTime(start) + pause > _options.RetryTime)
            {
                throw failure;
            }

            _observer.Verbose($"{failure.Message} Trying again in {DisplayText.Duration(pause)}.");
            await Task.Delay(pause, _options.Clock, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<HttpRequestMessage> SignAsync(
        string what, HttpMethod method, string path, IReadOnlyList<(string, string)> query, byte[]? body, CancellationToken cancellationToken)
    {
        try
        {
            return await _signer.CreateRequestAsync(
                method, path, query, body, _options.Clock.GetUtcNow() + _clockCorrection, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is AmazonClientException or AmazonServiceException or InvalidOperationException or HttpRequestException)
        {
            throw Route53Errors.NoCredentials(what, exception);
        }
    }

    /// <summary>Takes the server's time for the right one, once: a failover must not wait for somebody who sets this machine's clock.</summary>
    private bool CorrectClock(HttpResponseMessage response)
    {
        if (_clockCorrection != TimeSpan.Zero || response.Headers.Date is not { } time)
        {
            return false;
        }

        _clockCorrection = time - _options.Clock.GetUtcNow();
        _observer.Warning(
            $"This machine's clock is {DisplayText.Duration(_clockCorrection.Duration())} {(_clockCorrection < TimeSpan.Zero ? "ahead of" : "behind")} Route 53's, "
            + "whose time is used for its requests. Set this machine's clock.");
        return _clockCorrection != TimeSpan.Zero;
    }

    private TimeSpan Pause(int failures)
    {
        double longest = Math.Min(
            _options.MaximumRetryDelay.TotalMilliseconds, _options.RetryDelay.TotalMilliseconds * Math.Pow(2, Math.Min(failures, 16)));
        return TimeSpan.FromMilliseconds(longest * (0.5 + (0.5 * Random.Shared.NextDouble())));
    }
}
