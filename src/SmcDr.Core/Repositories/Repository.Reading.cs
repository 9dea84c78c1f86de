using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Repositories;

/// <content>Reading and listing, here and in copies; the small documents.</content>
public sealed partial class Repository
{
    internal static async Task PutDocumentAsync<T>(
        IObjectStore store, string key, T document, JsonTypeInfo<T> type, CancellationToken cancellationToken) =>
        await store.PutAsync(key, Envelope.Seal(JsonSerializer.SerializeToUtf8Bytes(document, type)), cancellationToken)
            .ConfigureAwait(false);

    /// <summary>Reads an object from here, or else from a copy: from the first place that gives it whole and right.</summary>
    /// <param name="key">The object.</param>
    /// <param name="read">Reads it from a store, and throws where it is missing or not right.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <param name="mayBeAbsent">Whether it is no news that it is not here.</param>
    internal Task<T> ReadAsync<T>(
        string key,
        Func<IObjectStore, CancellationToken, Task<T>> read,
        CancellationToken cancellationToken,
        bool mayBeAbsent = false) =>
        _copies is null ? read(Store, cancellationToken) : _copies.ReadAsync(key, read, mayBeAbsent, cancellationToken);

    /// <summary>The objects below a prefix, here and in the copies.</summary>
    internal async IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (_copies is null)
        {
            await foreach (ObjectInfo info in Store.ListAsync(prefix, cancellationToken).ConfigureAwait(false))
            {
                yield return info;
            }

            yield break;
        }

        foreach (ObjectInfo info in (await _copies.ListAsync(
            store => store.ListAsync(prefix, cancellationToken), static info => info.Key, cancellationToken).ConfigureAwait(false)).Values)
        {
            yield return info;
        }
    }

    /// <summary>The folders directly below a prefix, here and in the copies.</summary>
    internal async IAsyncEnumerable<string> ListFoldersAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (_copies is null)
        {
            await foreach (string folder in Store.ListFoldersAsync(prefix, cancellationToken).ConfigureAwait(false))
            {
                yield return folder;
            }

            yield break;
        }

        foreach (string folder in (await _copies.ListAsync(
            store => store.ListFoldersAsync(prefix, cancellationToken), static folder => folder, cancellationToken).ConfigureAwait(false)).Keys)
        {
            yield return folder;
        }
    }

    internal async Task<T?> TryReadDocumentAsync<T>(
        string key, JsonTypeInfo<T> type, CancellationToken cancellationToken, Action<T>? check = null)
        where T : class
    {
        try
        {
            return await ReadAsync(
                key,
                async (store, token) =>
                {
                    T document = await TryReadDocumentAsync(store, key, type, token).ConfigureAwait(false) ?? throw new SmcException(
                        SmcErrorCode.ObjectNotFound, $"There is no object '{key}' in {store.Location}.", target: key);
                    check?.Invoke(document);
                    return document;
                },
                cancellationToken,
                mayBeAbsent: true).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ObjectNotFound)
        {
            return null;
        }
    }

    /// <summary>The header of a complete backup; null where there is no marker.</summary>
    internal async Task<BackupHeader?> TryReadHeaderAsync(Component component, string id, CancellationToken cancellationToken) =>
        (await TryReadMarkerAsync(component, id, cancellationToken).ConfigureAwait(false))?.Header;

    /// <summary>Reads a document from one store; null where it is not there.</summary>
    internal static async Task<T?> TryReadDocumentAsync<T>(
        IObjectStore store, string key, JsonTypeInfo<T> type, CancellationToken cancellationToken)
        where T : class
    {
        byte[] content;
        try
        {
            Stream stream = await store.OpenReadAsync(key, 0, null, cancellationToken).ConfigureAwait(false);
            await using (stream.ConfigureAwait(false))
            {
                content = await ReadLimitedAsync(stream, key, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ObjectNotFound)
        {
            return null;
        }

        try
        {
            return JsonSerializer.Deserialize(Envelope.OpenWhole(content, key).Span, type);
        }
        catch (JsonException e)
        {
            throw new SmcException(SmcErrorCode.ManifestInvalid, $"The object '{key}' is not valid: {e.Message}", e, target: key);
        }
    }

    private static async Task<byte[]> ReadLimitedAsync(Stream stream, string key, CancellationToken cancellationToken)
    {
        using MemoryStream memory = new();
        byte[] buffer = new byte[32 << 10];
        int read;
        while ((read = await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
        {
            memory.Write(buffer, 0, read);
            if (memory.Length > MaximumDocumentLength)
            {
                throw new SmcException(SmcErrorCode.ManifestInvalid, $"The object '{key}' is far too long.", target: key);
            }
        }

        return memory.ToArray();
    }

    private Task<BackupMarker?> TryReadMarkerAsync(Component component, string id, CancellationToken cancellationToken)
    {
        string key = RepositoryKeys.Complete(component, id);
        return TryReadDocumentAsync(key, RepositoryJson.Default.BackupMarker, cancellationToken, marker =>
        {
            if (marker.Format > FormatVersion)
            {
                throw new SmcException(
                    SmcErrorCode.RepositoryFormatUnknown,
                    $"The backup '{id}' has format {marker.Format}, which this version does not know.",
                    recommendation: "Update SmcDr on this host: a newer version wrote this backup, which is not damaged by that.",
                    target: id);
            }

            // A marker that was copied to another place, or from another repository, is not this backup's.
            if (marker.Header.Id != id || marker.Header.Component != component || marker.Header.RepositoryId != Id)
            {
                throw new SmcException(SmcErrorCode.ManifestInvalid, $"The object '{key}' is the marker of another backup.", target: key);
            }
        });
    }
}
