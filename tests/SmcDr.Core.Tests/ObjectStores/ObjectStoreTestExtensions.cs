using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Tests.ObjectStores;

internal static class ObjectStoreTestExtensions
{
    public static byte[] Bytes(int length, int seed = 1)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    public static async Task WriteAsync(this IObjectStore store, string key, byte[] content, int blockSize = 100_000)
    {
        await using ObjectWriter writer = await store.CreateAsync(key, default);
        for (int at = 0; at < content.Length; at += blockSize)
        {
            await writer.WriteAsync(content.AsMemory(at, Math.Min(blockSize, content.Length - at)), default);
        }

        await writer.CommitAsync(default);
    }

    public static async Task<byte[]> ReadAsync(this IObjectStore store, string key, long offset = 0, long? length = null)
    {
        await using Stream stream = await store.OpenReadAsync(key, offset, length, default);
        using MemoryStream content = new();
        await stream.CopyToAsync(content);
        return content.ToArray();
    }

    public static async Task<List<string>> KeysAsync(this IObjectStore store, string prefix = "")
    {
        List<string> keys = [];
        await foreach (ObjectInfo info in store.ListAsync(prefix, default))
        {
            keys.Add(info.Key);
        }

        return keys;
    }

    public static async Task<List<string>> FoldersAsync(this IObjectStore store, string prefix = "")
    {
        List<string> folders = [];
        await foreach (string folder in store.ListFoldersAsync(prefix, default))
        {
            folders.Add(folder);
        }

        return folders;
    }

    public static async Task<SmcException> ThrowsAsync(this SmcErrorCode code, Func<Task> action)
    {
        SmcException exception = await Assert.ThrowsAsync<SmcException>(action);
        Assert.True(code == exception.Code, $"{exception.Code}: {exception.Message} {exception.InnerException}");
        return exception;
    }
}
