using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes;

public sealed partial class KubernetesClient
{
    /// <summary>How long the server is asked to hold a watch; it is begun again where it ended.</summary>
    private static readonly TimeSpan s_watchTime = TimeSpan.FromMinutes(5);

    /// <summary>
    /// Lists objects page by page. Where the server forgets the state in the middle of a long list, the list goes on with the present one: then it
    /// is not of one instant, but nothing that was there throughout is left out or comes twice.
    /// </summary>
    /// <param name="namespace">The namespace; null = all of them.</param>
    public async IAsyncEnumerable<KubernetesObject> ListAsync(
        KubernetesResource resource,
        string? @namespace,
        ListOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        options ??= new ListOptions();
        HashSet<(string?, string)> told = [];
        string? token = null;
        bool isSure = true;
        do
        {
            ObjectPage? page = null;
            try
            {
                page = await GetPageAsync(resource, @namespace, options, token, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (token is not null && KubernetesStatusException.Of(e) is { Code: 410 } status)
            {
                // The server offers a token for going on behind the last object, in today's state (apimachinery, meta/v1 ListMeta.Continue).
                token = status.Continue is { Length: > 0 } next && next != token ? next : null;
                isSure = false;
                _observer.Verbose($"The list of '{resource.FullName}' took longer than the cluster '{Access.Display}' keeps its past; it goes on with the present state.");
            }

            if (page is not null)
            {
                foreach (KubernetesObject item in page.Objects())
                {
                    if (told.Add((item.Namespace, item.Name)) || isSure)
                    {
                        yield return item;
                    }
                }

                token = page.Continue;
                if (token is null)
                {
                    yield break;
                }
            }
        }
        while (true);
    }

    /// <summary>
    /// Tells what is there, and from then on what happens to it, without end. Breaks of the connection are bridged; what the server has forgotten
    /// is told by <see cref="WatchEventKind.Restarted"/>.
    /// </summary>
    /// <param name="namespace">The namespace; null = all of them.</param>
    public async IAsyncEnumerable<WatchEvent> WatchAsync(
        KubernetesResource resource,
        string? @namespace,
        ListOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        options ??= new ListOptions();
        string? version = null;
        bool isFirst = true;
        int failures = 0;
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (version is null)
            {
                if (!isFirst)
                {
                    yield return new WatchEvent(WatchEventKind.Restarted, null);
                }

                isFirst = false;
                string? token = null;
                string? listed = null;
                bool isExpired = false;
                do
                {
                    ObjectPage? page = null;
                    try
                    {
                        page = await GetPageAsync(resource, @namespace, options, token, cancellationToken).ConfigureAwait(false);
                    }
                    catch (SmcException e) when (token is not null && KubernetesStatusException.Of(e) is { Code: 410 })
                    {
                        // A watch needs one state to begin from.
                        isExpired = true;
                        break;
                    }

                    listed = page.ResourceVersion;
                    token = page.Continue;
                    foreach (KubernetesObject item in page.Objects())
                    {
                        yield return new WatchEvent(WatchEventKind.Added, item);
                    }
                }
                while (token is not null);

                if (isExpired)
                {
                    continue;
                }

                version = listed;
                yield return new WatchEvent(WatchEventKind.Synced, null);
            }

            bool hasEvents = false;
            WatchReader reader = await OpenWatchAsync(resource, @namespace, options, version!, cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false) is JsonObject line)
                {
                    JsonObject? body = line["object"] as JsonObject;
                    switch ((string?)line["type"])
                    {
                        case "ERROR":
                            KubernetesStatus status = KubernetesStatus.FromJson(body) ?? new KubernetesStatus { Code = 500 };
                            if (status.Code == 410 || status.Reason is "Expired" or "Gone")
                            {
                                version = null;
                            }
                            else if (status.Code is not (429 or >= 500))
                            {
                                throw KubernetesErrors.Translate(Access, Request(HttpMethod.Get, "watch", resource, @namespace), status);
                            }

                            goto ended;
                        case "BOOKMARK":
                            version = (string?)body?["metadata"]?["resourceVersion"] ?? version;
                            hasEvents = true;
                            continue;
                        case string type when body is not null && Enum.TryParse(type, ignoreCase: true, out WatchEventKind kind):
                            KubernetesObject item = new(body);
                            version = item.ResourceVersion ?? version;
                            hasEvents = true;
                            yield return new WatchEvent(kind, item);
                            continue;
                        default:
                            continue;
                    }
                }
            }

        ended:
            // A watch that ends at once again and again must not keep the server busy.
            failures = hasEvents || reader.Lived > TimeSpan.FromSeconds(5) ? 0 : failures + 1;
            if (failures > 0)
            {
                await Task.Delay(
                    TimeSpan.FromMilliseconds(Math.Min(8000, Options.RetryDelay.TotalMilliseconds * Math.Pow(2, Math.Min(failures, 10)))), _time, cancellationToken)
                    .ConfigureAwait(false);
            }
        }
    }

    private async Task<ObjectPage> GetPageAsync(
        KubernetesResource resource, string? @namespace, ListOptions options, string? token, CancellationToken cancellationToken)
    {
        ApiRequest request = Request(
            HttpMethod.Get, "list", resource, @namespace, null, null,
            ("limit", (options.PageSize ?? Options.PageSize).ToString(CultureInfo.InvariantCulture)),
            options.LabelSelector is null ? null : ("labelSelector", options.LabelSelector),
            options.FieldSelector is null ? null : ("fieldSelector", options.FieldSelector),
            token is null ? null : ("continue", token));
        return ObjectPage.Parse(await _transport.SendAsync(request, cancellationToken).ConfigureAwait(false), resource);
    }

    private async Task<WatchReader> OpenWatchAsync(
        KubernetesResource resource, string? @namespace, ListOptions options, string version, CancellationToken cancellationToken)
    {
        ApiRequest request = Request(
            HttpMethod.Get, "watch", resource, @namespace, null, null,
            ("watch", "1"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", ((int)s_watchTime.TotalSeconds).ToString(CultureInfo.InvariantCulture)),
            options.LabelSelector is null ? null : ("labelSelector", options.LabelSelector),
            options.FieldSelector is null ? null : ("fieldSelector", options.FieldSelector));
        HttpResponseMessage response;
        try
        {
            response = await _transport.OpenAsync(request, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (KubernetesStatusException.Of(e) is { Code: 410 })
        {
            return new WatchReader(null, Stream.Null, _time, s_watchTime, isExpired: true);
        }

        try
        {
            return new WatchReader(
                response, await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false), _time, s_watchTime, isExpired: false);
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    /// <summary>Reads the lines of a watch; its end and its break are the same, since the next one begins where it was.</summary>
    private sealed class WatchReader(HttpResponseMessage? response, Stream stream, TimeProvider time, TimeSpan limit, bool isExpired) : IAsyncDisposable
    {
        private const int MaximumLine = 64 << 20;
        private readonly PipeReader _reader = PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: 32 << 10));
        private readonly long _start = time.GetTimestamp();
        private bool _isExpired = isExpired;

        public TimeSpan Lived => time.GetElapsedTime(_start);

        public async Task<JsonObject?> ReadAsync(CancellationToken cancellationToken)
        {
            if (_isExpired)
            {
                _isExpired = false;
                return new JsonObject
                {
                    ["type"] = "ERROR",
                    ["object"] = new JsonObject { ["kind"] = "Status", ["status"] = "Failure", ["code"] = 410 },
                };
            }

            // The server ends a watch by itself; one that is silent for longer is lost.
            using CancellationTokenSource timer = new(limit + TimeSpan.FromSeconds(30), time);
            using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timer.Token);
            try
            {
                while (true)
                {
                    ReadResult result = await _reader.ReadAsync(either.Token).ConfigureAwait(false);
                    ReadOnlySequence<byte> buffer = result.Buffer;
                    if (buffer.PositionOf((byte)'\n') is SequencePosition end)
                    {
                        ReadOnlySequence<byte> line = buffer.Slice(0, end);
                        JsonObject? parsed = Parse(line);
                        _reader.AdvanceTo(buffer.GetPosition(1, end));
                        if (parsed is not null)
                        {
                            return parsed;
                        }

                        continue;
                    }

                    _reader.AdvanceTo(buffer.Start, buffer.End);
                    if (result.IsCompleted || buffer.Length > MaximumLine)
                    {
                        // A line without its end was cut.
                        return null;
                    }
                }
            }
            catch (OperationCanceledException) when (timer.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
            {
                return null;
            }
            catch (Exception e) when (e is IOException or HttpRequestException or SocketException)
            {
                return null;
            }
        }

        public async ValueTask DisposeAsync()
        {
            await _reader.CompleteAsync().ConfigureAwait(false);
            await stream.DisposeAsync().ConfigureAwait(false);
            response?.Dispose();
        }

        private static JsonObject? Parse(ReadOnlySequence<byte> line)
        {
            if (line.IsEmpty)
            {
                return null;
            }

            Utf8JsonReader reader = new(line);
            try
            {
                return JsonNode.Parse(ref reader) as JsonObject;
            }
            catch (JsonException e)
            {
                throw new SmcException(SmcErrorCode.ClusterUnavailable, "The API server's watch sent what is no event in JSON.", e);
            }
        }
    }
}
