using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Objectives;

/// <summary>Measures again and again and answers Prometheus with the last result, so that a scrape costs nothing and never waits.</summary>
public sealed class MetricsServer
{
    private const int PortAttempts = 20;

    private readonly string _site;
    private readonly Func<CancellationToken, Task<IReadOnlyList<ObjectiveResult>>> _measure;
    private readonly TimeSpan _interval;
    private readonly IOperationObserver _observer;
    private readonly HashSet<Task> _answers = [];
    private volatile string? _text;

    /// <summary>Creates it.</summary>
    /// <param name="site">The site's name.</param>
    /// <param name="measure">One measurement.</param>
    /// <param name="interval">How long after the end of one measurement the next begins.</param>
    /// <param name="observer">Hears of measurements that fail.</param>
    public MetricsServer(
        string site, Func<CancellationToken, Task<IReadOnlyList<ObjectiveResult>>> measure, TimeSpan interval, IOperationObserver observer)
    {
        _site = site;
        _measure = measure;
        _interval = interval;
        _observer = observer;
    }

    /// <summary>How long a measurement may take before it counts as failed: a number that nobody renews must not go on looking like one.</summary>
    internal TimeSpan MeasurementTimeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>Reads an address to listen at.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: the text is none.</exception>
    public static IPEndPoint ParseAddress(string text) =>
        text is not null && text.LastIndexOf(':') is > 0 and var colon && !text.EndsWith(':') &&
        (text[..colon].Contains('.', StringComparison.Ordinal) || text[0] == '[' && text[colon - 1] == ']') && IPEndPoint.TryParse(text, out IPEndPoint? address)
            ? address
            : throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"'{text}' is not an address to listen at.",
                recommendation: "Give an IP address of this host and a port, such as 127.0.0.1:9817; the port 0 takes one that is free.");

    /// <summary>Serves until it is stopped, and returns when all is closed.</summary>
    /// <param name="address">Where it listens; the port 0 is one that is free.</param>
    /// <param name="started">Hears where, once it does.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetInUse"/>: it cannot listen there.</exception>
    public async Task RunAsync(IPEndPoint address, Action<Uri> started, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(address);
        ArgumentNullException.ThrowIfNull(started);
        (HttpListener listener, IPEndPoint bound) = Listen(address);
        using (listener)
        {
            using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            Task measuring = MeasureAsync(stop);
            started(new Uri($"http://{bound}/metrics"));
            try
            {
                using CancellationTokenRegistration end = stop.Token.Register(listener.Stop);
                while (!stop.IsCancellationRequested)
                {
                    HttpListenerContext context;
                    try
                    {
                        context = await listener.GetContextAsync().ConfigureAwait(false);
                    }
                    catch (Exception e) when (e is HttpListenerException or ObjectDisposedException or InvalidOperationException && stop.IsCancellationRequested)
                    {
                        break;
                    }

                    Track(AnswerAsync(context));
                }
            }
            finally
            {
                await stop.CancelAsync().ConfigureAwait(false);
                // A listener that was stopped binds its addresses once more when it is disposed of, to take them out again (HttpEndPointManager): by then
                // they may be somebody else's, and the end of this would be an error.
                listener.Prefixes.Clear();
                await measuring.ConfigureAwait(false);
            }
        }

        await Task.WhenAll(Pending()).ConfigureAwait(false);
    }

    private static (HttpListener Listener, IPEndPoint Bound) Listen(IPEndPoint address)
    {
        for (int attempt = 1; ; attempt++)
        {
            IPEndPoint bound = new(address.Address, address.Port == 0 ? FindFreePort(address.Address) : address.Port);
            bool isAny = bound.Address.Equals(IPAddress.Any) || bound.Address.Equals(IPAddress.IPv6Any);
            HttpListener listener = new() { IgnoreWriteExceptions = true };
            try
            {
                // With an address of its own only requests that name it are answered, so no web page elsewhere can ask in a browser's name.
                listener.Prefixes.Add(isAny ? string.Create(CultureInfo.InvariantCulture, $"http://*:{bound.Port}/") : $"http://{bound}/");
                listener.Start();
                return (listener, bound);
            }
            catch (Exception e) when (e is HttpListenerException or SocketException)
            {
                ((IDisposable)listener).Dispose();
                if (address.Port != 0 || attempt == PortAttempts)
                {
                    throw new SmcException(
                        SmcErrorCode.TargetInUse,
                        $"Nothing can listen at {bound}: {e.Message}",
                        e,
                        recommendation: "End what listens there, or give another address of this host.",
                        target: bound.ToString());
                }
            }
        }
    }

    private static int FindFreePort(IPAddress address)
    {
        try
        {
            using TcpListener probe = new(address, 0);
            probe.Start();
            return ((IPEndPoint)probe.LocalEndpoint).Port;
        }
        catch (SocketException e)
        {
            throw new SmcException(
                SmcErrorCode.TargetInUse, $"Nothing can listen at {address}: {e.Message}", e, recommendation: "Give an address of this host.", target: address.ToString());
        }
    }

    private async Task MeasureAsync(CancellationTokenSource stop)
    {
        CancellationToken cancellationToken = stop.Token;
        string? last = null;
        try
        {
            while (true)
            {
                long start = TimeProvider.System.GetTimestamp();
                IReadOnlyList<ObjectiveResult>? results = null;
                string? failure = null;
                using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                limit.CancelAfter(MeasurementTimeout);
                try
                {
                    results = await _measure(limit.Token).ConfigureAwait(false);
                }
                catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
                {
                    failure = $"It took longer than {DisplayText.Duration(MeasurementTimeout)}.";
                }
                catch (SmcException e) when (!cancellationToken.IsCancellationRequested)
                {
                    failure = e.Message;
                }

                // Told once, and not every few seconds.
                if (failure is not null && failure != last)
                {
                    _observer.Warning($"The objectives cannot be measured: {failure}");
                }

                last = failure;
                _text = ObjectiveMetrics.Format(_site, results, DateTimeOffset.UtcNow, TimeProvider.System.GetElapsedTime(start));
                await Task.Delay(_interval, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SmcException && cancellationToken.IsCancellationRequested)
        {
            // Being stopped is how it ends.
        }
        finally
        {
            // What nobody foresaw ends the server: it must not go on with numbers that nobody renews.
            await stop.CancelAsync().ConfigureAwait(false);
        }
    }

    private async Task AnswerAsync(HttpListenerContext context)
    {
        // Away from the loop that accepts: a client that does not read holds up its own answer only.
        await Task.Yield();
        // Not disposed of: that breaks the connection, and with it an answer that is still on its way.
        HttpListenerResponse response = context.Response;
        try
        {
            bool isHead = context.Request.HttpMethod == "HEAD";
            (HttpStatusCode status, string type, string body) = (context.Request.Url?.AbsolutePath, context.Request.HttpMethod, _text) switch
            {
                (_, not ("GET" or "HEAD"), _) => (HttpStatusCode.MethodNotAllowed, "text/plain; charset=utf-8", "GET only.\n"),
                ("/metrics", _, null) => (HttpStatusCode.ServiceUnavailable, "text/plain; charset=utf-8", "The first measurement is not over yet.\n"),
                ("/metrics", _, { } text) => (HttpStatusCode.OK, ObjectiveMetrics.MediaType, text),
                ("/", _, _) => (HttpStatusCode.OK, "text/plain; charset=utf-8", "Metrics are at /metrics.\n"),
                _ => (HttpStatusCode.NotFound, "text/plain; charset=utf-8", "Metrics are at /metrics.\n"),
            };
            byte[] content = Encoding.UTF8.GetBytes(body);
            response.StatusCode = (int)status;
            response.ContentType = type;
            response.ContentLength64 = content.Length;
            if (!isHead)
            {
                await response.OutputStream.WriteAsync(content).ConfigureAwait(false);
            }

            response.Close();
        }
        catch (Exception e) when (e is HttpListenerException or IOException or ObjectDisposedException or InvalidOperationException)
        {
            // Who asked is gone.
            response.Abort();
        }
    }

    private void Track(Task answer)
    {
        lock (_answers)
        {
            _answers.RemoveWhere(static task => task.IsCompleted);
            _answers.Add(answer);
        }
    }

    private Task[] Pending()
    {
        lock (_answers)
        {
            return [.. _answers];
        }
    }
}
