using SmcDr.Core.ObjectStores;
using static SmcDr.Core.Tests.ObjectStores.ObjectStoreTestExtensions;

namespace SmcDr.Core.Tests.ObjectStores;

/// <summary>What every object store keeps to. One class for each implementation inherits it.</summary>
public abstract class ObjectStoreConformance : IAsyncLifetime
{
    /// <summary>More than one part of an upload to S3, and not a multiple of anything.</summary>
    private const int LargeLength = (20 * 1024 * 1024) + 12_345;

    protected IObjectStore Store { get; private set; } = null!;

    public async Task InitializeAsync() => Store = await OpenAsync();

    public async Task DisposeAsync()
    {
        if (Store is not null)
        {
            await Store.DisposeAsync();
        }

        await CloseAsync();
    }

    [ConformanceFact]
    public async Task Put_NewKey_IsReadBackExactly()
    {
        byte[] content = Bytes(1000);
        await Store.PutAsync("a/b/c", content, default);
        Assert.Equal(content, await Store.ReadAsync("a/b/c"));
    }

    [ConformanceFact]
    public async Task Put_EmptyContent_ExistsWithLengthZero()
    {
        await Store.PutAsync("empty", ReadOnlyMemory<byte>.Empty, default);
        Assert.Equal(0, (await Store.GetInfoAsync("empty", default))!.Length);
        Assert.Empty(await Store.ReadAsync("empty"));
    }

    [ConformanceFact]
    public async Task Put_TakenKey_ThrowsObjectExistsAndChangesNothing()
    {
        await Store.PutAsync("taken", "first"u8.ToArray(), default);
        await SmcErrorCode.ObjectExists.ThrowsAsync(() => Store.PutAsync("taken", "second"u8.ToArray(), default));
        Assert.Equal("first"u8.ToArray(), await Store.ReadAsync("taken"));
    }

    [ConformanceFact]
    public async Task Put_TakenKeyWithSameContent_ThrowsObjectExists()
    {
        await Store.PutAsync("taken", "same"u8.ToArray(), default);
        await SmcErrorCode.ObjectExists.ThrowsAsync(() => Store.PutAsync("taken", "same"u8.ToArray(), default));
    }

    [ConformanceFact]
    public async Task Put_SliceOfBuffer_StoresTheSliceAlone()
    {
        byte[] buffer = Bytes(1000);
        await Store.PutAsync("slice", buffer.AsMemory(100, 300), default);
        Assert.Equal(buffer[100..400], await Store.ReadAsync("slice"));
    }

    [ConformanceFact]
    public async Task Put_ManyWritersOfOneKey_ExactlyOneWins()
    {
        byte[][] contents = [.. Enumerable.Range(0, 8).Select(static seed => Bytes(5000, seed))];
        bool[] won = await Task.WhenAll(contents.Select(async content =>
        {
            try
            {
                await Store.PutAsync("race", content, default);
                return true;
            }
            catch (SmcException exception) when (exception.Code == SmcErrorCode.ObjectExists)
            {
                return false;
            }
        }));

        Assert.Single(won, static one => one);
        Assert.Equal(contents[Array.IndexOf(won, true)], await Store.ReadAsync("race"));
    }

    [ConformanceFact]
    public async Task Create_ManyBlocks_AreReadBackExactly()
    {
        byte[] content = Bytes(LargeLength);
        await Store.WriteAsync("large", content);
        ObjectInfo info = (await Store.GetInfoAsync("large", default))!;
        Assert.Equal(LargeLength, info.Length);
        Assert.Equal(content, await Store.ReadAsync("large"));
    }

    [ConformanceFact]
    public async Task Create_NothingWritten_CommitsEmptyObject()
    {
        await Store.WriteAsync("nothing", []);
        Assert.Equal(0, (await Store.GetInfoAsync("nothing", default))!.Length);
    }

    [ConformanceFact]
    public async Task Create_BufferReusedAfterWrite_StoresWhatWasWritten()
    {
        byte[] buffer = new byte[1024 * 1024];
        await using (ObjectWriter writer = await Store.CreateAsync("reused", default))
        {
            for (byte block = 0; block < 20; block++)
            {
                buffer.AsSpan().Fill(block);
                await writer.WriteAsync(buffer, default);
                buffer.AsSpan().Fill(0xFF);
            }

            Assert.Equal(20 * buffer.Length, writer.Length);
            await writer.CommitAsync(default);
        }

        byte[] content = await Store.ReadAsync("reused");
        for (int block = 0; block < 20; block++)
        {
            Assert.True(content.AsSpan(block * buffer.Length, buffer.Length).IndexOfAnyExcept((byte)block) < 0);
        }
    }

    [ConformanceFact]
    public async Task Create_BeforeCommit_IsInvisible()
    {
        await using ObjectWriter writer = await Store.CreateAsync("folder/hidden", default);
        await writer.WriteAsync(Bytes(LargeLength), default);
        Assert.Null(await Store.GetInfoAsync("folder/hidden", default));
        Assert.Empty(await Store.KeysAsync());
        Assert.Empty(await Store.FoldersAsync());
        await SmcErrorCode.ObjectNotFound.ThrowsAsync(() => Store.OpenReadAsync("folder/hidden", 0, null, default));
    }

    [ConformanceFact]
    public async Task Create_DisposedWithoutCommit_LeavesNoTrace()
    {
        await using (ObjectWriter writer = await Store.CreateAsync("folder/dropped", default))
        {
            await writer.WriteAsync(Bytes(LargeLength), default);
        }

        Assert.Null(await Store.GetInfoAsync("folder/dropped", default));
        Assert.Equal(0, await CountLeftoversAsync());
    }

    [ConformanceFact]
    public async Task Create_CancelledWrite_LeavesNoTrace()
    {
        using CancellationTokenSource stop = new();
        await using (ObjectWriter writer = await Store.CreateAsync("cancelled", default))
        {
            await writer.WriteAsync(Bytes(LargeLength), stop.Token);
            await stop.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
            {
                await writer.WriteAsync(Bytes(LargeLength), stop.Token);
                await writer.CommitAsync(stop.Token);
            });
        }

        Assert.Null(await Store.GetInfoAsync("cancelled", default));
        Assert.Equal(0, await CountLeftoversAsync());
    }

    [ConformanceFact]
    public async Task Commit_KeyTakenMeanwhileBySmallObject_ThrowsObjectExistsAndChangesNothing()
    {
        await using (ObjectWriter small = await Store.CreateAsync("small", default))
        await using (ObjectWriter large = await Store.CreateAsync("large", default))
        {
            await small.WriteAsync(Bytes(1000), default);
            await large.WriteAsync(Bytes(LargeLength), default);
            await Store.PutAsync("small", "other"u8.ToArray(), default);
            await Store.PutAsync("large", "other"u8.ToArray(), default);
            await SmcErrorCode.ObjectExists.ThrowsAsync(() => small.CommitAsync(default));
            await SmcErrorCode.ObjectExists.ThrowsAsync(() => large.CommitAsync(default));
        }

        Assert.Equal("other"u8.ToArray(), await Store.ReadAsync("small"));
        Assert.Equal("other"u8.ToArray(), await Store.ReadAsync("large"));
        Assert.Equal(0, await CountLeftoversAsync());
    }

    [ConformanceFact]
    public async Task Commit_KeyTakenMeanwhileByLargeObject_ThrowsObjectExistsAndChangesNothing()
    {
        byte[] first = Bytes(LargeLength, 1);
        await using (ObjectWriter writer = await Store.CreateAsync("large", default))
        {
            await writer.WriteAsync(Bytes(LargeLength, 2), default);
            await Store.WriteAsync("large", first);
            await SmcErrorCode.ObjectExists.ThrowsAsync(() => writer.CommitAsync(default));
        }

        Assert.Equal(first, await Store.ReadAsync("large"));
    }

    [ConformanceFact]
    public async Task Write_AfterCommit_IsRefused()
    {
        await using ObjectWriter writer = await Store.CreateAsync("once", default);
        await writer.CommitAsync(default);
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await writer.WriteAsync(new byte[1], default));
    }

    [ConformanceFact]
    public async Task OpenRead_Ranges_AreExact()
    {
        byte[] content = Bytes(300_000);
        await Store.PutAsync("ranges", content, default);
        Assert.Equal(content[..1], await Store.ReadAsync("ranges", 0, 1));
        Assert.Equal(content[123..456], await Store.ReadAsync("ranges", 123, 333));
        Assert.Equal(content[299_999..], await Store.ReadAsync("ranges", 299_999, 1));
        Assert.Equal(content[299_999..], await Store.ReadAsync("ranges", 299_999));
        Assert.Equal(content[1..], await Store.ReadAsync("ranges", 1));
        Assert.Equal(content, await Store.ReadAsync("ranges", 0, 300_000));
    }

    [ConformanceFact]
    public async Task OpenRead_EmptyRange_ReadsNothing()
    {
        await Store.PutAsync("ranges", Bytes(100), default);
        Assert.Empty(await Store.ReadAsync("ranges", 0, 0));
        Assert.Empty(await Store.ReadAsync("ranges", 50, 0));
        Assert.Empty(await Store.ReadAsync("ranges", 100, 0));
        Assert.Empty(await Store.ReadAsync("ranges", 100));
    }

    [ConformanceFact]
    public async Task OpenRead_RangeBeyondEnd_ThrowsObjectTruncated()
    {
        await Store.PutAsync("ranges", Bytes(100), default);
        foreach ((long offset, long? length) in new (long, long?)[]
            { (0, 101), (99, 2), (100, 1), (101, 0), (101, null), (5000, 10), (1, long.MaxValue) })
        {
            SmcException exception = await SmcErrorCode.ObjectTruncated.ThrowsAsync(() => Store.ReadAsync("ranges", offset, length));
            Assert.Equal("ranges", exception.Target);
        }
    }

    [ConformanceFact]
    public async Task OpenRead_AbsentKey_ThrowsObjectNotFound()
    {
        await Store.PutAsync("there/x", Bytes(1), default);
        foreach ((string key, long? length) in new (string, long?)[]
            { ("absent", null), ("absent/x", 5), ("there", null), ("there/x/y", null), ("absent", 0) })
        {
            await SmcErrorCode.ObjectNotFound.ThrowsAsync(() => Store.ReadAsync(key, 0, length));
        }
    }

    [ConformanceFact]
    public async Task OpenRead_SeveralAtOnce_DoNotDisturbEachOther()
    {
        byte[] content = Bytes(2_000_000);
        await Store.PutAsync("shared", content, default);
        byte[][] read = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Store.ReadAsync("shared", i * 1000, 1_000_000)));
        for (int i = 0; i < read.Length; i++)
        {
            Assert.Equal(content[(i * 1000)..((i * 1000) + 1_000_000)], read[i]);
        }
    }

    [ConformanceFact]
    public async Task OpenRead_StreamLeftEarly_CanBeDisposed()
    {
        await Store.WriteAsync("left", Bytes(LargeLength));
        await using Stream stream = await Store.OpenReadAsync("left", 0, null, default);
        Assert.True(await stream.ReadAsync(new byte[10]) > 0);
    }

    [ConformanceFact]
    public async Task GetInfo_AbsentKey_IsNull()
    {
        await Store.PutAsync("there/x", Bytes(1), default);
        Assert.Null(await Store.GetInfoAsync("absent", default));
        Assert.Null(await Store.GetInfoAsync("absent/x", default));
        Assert.Null(await Store.GetInfoAsync("there", default));
        Assert.Null(await Store.GetInfoAsync("there/x/y", default));
    }

    [ConformanceFact]
    public async Task GetInfo_StoredObject_TellsLengthAndTime()
    {
        // Servers keep time in whole seconds.
        DateTimeOffset before = DateTimeOffset.UtcNow.AddSeconds(-2);
        await Store.PutAsync("info", Bytes(1234), default);
        ObjectInfo info = (await Store.GetInfoAsync("info", default))!;
        Assert.Equal("info", info.Key);
        Assert.Equal(1234, info.Length);
        Assert.InRange(info.LastModified, before, DateTimeOffset.UtcNow.AddSeconds(2));
        Assert.Equal(TimeSpan.Zero, info.LastModified.Offset);
    }

    [ConformanceFact]
    public async Task List_NothingStored_IsEmpty()
    {
        Assert.Empty(await Store.KeysAsync());
        Assert.Empty(await Store.KeysAsync("folder/"));
        Assert.Empty(await Store.FoldersAsync());
        Assert.Null(await Store.GetInfoAsync("key", default));
        await Store.DeleteAsync("key", default);
    }

    [ConformanceFact]
    public async Task List_ManyKeys_AreInOrdinalOrder()
    {
        // '-' and '.' sort before '/', letters after it; a walk that sorts names without the slash gets this wrong.
        string[] keys = ["a", "a-b/x", "a.b", "a/b", "a/b-c", "a/b/c", "A/x", "a0", "aa/b", "b/.hidden", "b/_", "Z", "z", "0"];
        keys = [.. keys.Where(static key => key is not ("a" or "a/b"))];
        foreach (string key in keys.Reverse())
        {
            await Store.PutAsync(key, Bytes(key.Length), default);
        }

        List<ObjectInfo> infos = [];
        await foreach (ObjectInfo info in Store.ListAsync("", default))
        {
            infos.Add(info);
        }

        Assert.Equal(keys.Order(StringComparer.Ordinal), infos.Select(static info => info.Key));
        Assert.All(infos, static info => Assert.Equal(info.Key.Length, info.Length));
    }

    [ConformanceFact]
    public async Task List_Prefix_IsAFolderAndNotAStringPrefix()
    {
        foreach (string key in new[] { "wal/1", "wal/2/3", "wal-old/1", "walrus" })
        {
            await Store.PutAsync(key, Bytes(1), default);
        }

        Assert.Equal(["wal/1", "wal/2/3"], await Store.KeysAsync("wal/"));
        Assert.Equal(["wal/2/3"], await Store.KeysAsync("wal/2/"));
        Assert.Empty(await Store.KeysAsync("wal/1/"));
    }

    [ConformanceFact]
    public async Task ListFolders_MixedContent_NamesDirectFoldersOnceInOrder()
    {
        foreach (string key in new[] { "base/2/x", "base/10/x", "base/10/y/z", "base/1-a/x", "base/file", "other/x" })
        {
            await Store.PutAsync(key, Bytes(1), default);
        }

        Assert.Equal(["base", "other"], await Store.FoldersAsync());
        Assert.Equal(["1-a", "10", "2"], await Store.FoldersAsync("base/"));
        Assert.Equal(["y"], await Store.FoldersAsync("base/10/"));
        Assert.Empty(await Store.FoldersAsync("base/2/"));
    }

    [ConformanceFact]
    public async Task ListFolders_LastObjectDeleted_FolderIsGone()
    {
        await Store.PutAsync("base/1/data/x", Bytes(1), default);
        await Store.PutAsync("base/2/x", Bytes(1), default);
        await Store.DeleteAsync("base/1/data/x", default);
        Assert.Equal(["2"], await Store.FoldersAsync("base/"));
    }

    [ConformanceFact]
    public async Task Delete_StoredObject_IsGoneAndCanBeWrittenAgain()
    {
        await Store.PutAsync("x/y", "one"u8.ToArray(), default);
        await Store.DeleteAsync("x/y", default);
        Assert.Null(await Store.GetInfoAsync("x/y", default));
        await Store.PutAsync("x/y", "two"u8.ToArray(), default);
        Assert.Equal("two"u8.ToArray(), await Store.ReadAsync("x/y"));
    }

    [ConformanceFact]
    public async Task Discard_SomeObjects_AreGoneAndAbsentOnesAreNoError()
    {
        foreach (string key in new[] { "a/1", "a/2", "a/3", "b/only" })
        {
            await Store.PutAsync(key, Bytes(1), default);
        }

        await Store.DiscardAsync(["a/1", "a/3", "b/only", "c/absent"], default);
        Assert.Equal(["a/2"], await Store.KeysAsync());
        Assert.Equal(["a"], await Store.FoldersAsync(""));
        await Store.PutAsync("b/only", Bytes(2), default);
        Assert.Equal(Bytes(2), await Store.ReadAsync("b/only"));
    }

    [ConformanceFact]
    public async Task Delete_AbsentObject_IsNoError()
    {
        await Store.PutAsync("there/x", Bytes(1), default);
        await Store.DeleteAsync("absent", default);
        await Store.DeleteAsync("absent/y", default);
        await Store.DeleteAsync("there", default);
        await Store.DeleteAsync("there/x/y", default);
        Assert.Equal(["there/x"], await Store.KeysAsync());
    }

    [ConformanceFact]
    public async Task WriteAndDelete_SameFolderAtOnce_LoseNothing()
    {
        // A deletion that removes its emptied folder must not pull it away from under a writer.
        await Task.WhenAll(
            Task.Run(async () =>
            {
                for (int i = 0; i < 100; i++)
                {
                    await Store.PutAsync($"busy/deep/gone-{i}", Bytes(1), default);
                    await Store.DeleteAsync($"busy/deep/gone-{i}", default);
                }
            }),
            Task.Run(async () =>
            {
                for (int i = 0; i < 100; i++)
                {
                    await Store.PutAsync($"busy/deep/kept-{i}", Bytes(1), default);
                    Assert.NotNull(await Store.GetInfoAsync($"busy/deep/kept-{i}", default));
                    await Store.DeleteAsync($"busy/deep/kept-{i}", default);
                }
            }));
        Assert.Empty(await Store.KeysAsync());
    }

    [ConformanceFact]
    public async Task EveryCall_KeyThatLeavesTheStore_IsRefused()
    {
        foreach (string key in new[] { "../x", "/etc/x", "a//b", "a/../b", "a/", "", "~tmp/x", "a b", "a\\b", "a\0b" })
        {
            await Assert.ThrowsAnyAsync<ArgumentException>(() => Store.PutAsync(key, new byte[1], default));
            await Assert.ThrowsAnyAsync<ArgumentException>(() => Store.CreateAsync(key, default));
            await Assert.ThrowsAnyAsync<ArgumentException>(() => Store.OpenReadAsync(key, 0, null, default));
            await Assert.ThrowsAnyAsync<ArgumentException>(() => Store.GetInfoAsync(key, default));
            await Assert.ThrowsAnyAsync<ArgumentException>(() => Store.DeleteAsync(key, default));
        }

        await Assert.ThrowsAnyAsync<ArgumentException>(() => Store.KeysAsync("../"));
        await Assert.ThrowsAnyAsync<ArgumentException>(() => Store.KeysAsync("no-slash"));
        await Assert.ThrowsAnyAsync<ArgumentException>(() => Store.FoldersAsync("a//"));
    }

    [ConformanceFact]
    public async Task EveryCall_CancelledBefore_DoesNothing()
    {
        CancellationToken cancelled = new(canceled: true);
        await Store.PutAsync("there", Bytes(10), default);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Store.PutAsync("new", Bytes(1), cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Store.OpenReadAsync("there", 0, null, cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Store.GetInfoAsync("there", cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Store.DeleteAsync("there", cancelled));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (ObjectInfo _ in Store.ListAsync("", cancelled))
            {
            }
        });
        Assert.Equal(["there"], await Store.KeysAsync());
    }

    [ConformanceFact]
    public async Task Probe_ThisStore_RefusesSecondWriteAndLeavesNothing()
    {
        ObjectStoreCapabilities capabilities = await Store.ProbeAsync(default);
        Assert.True(capabilities.ConditionalWrites);
        Assert.Empty(await Store.KeysAsync());
        Assert.Equal(0, await CountLeftoversAsync());
    }

    [ConformanceFact]
    public virtual void Location_Parsed_NamesTheSameStore() =>
        Assert.Equal(Store.Location, ObjectStoreLocation.Parse(Store.Location).ToString());

    protected abstract Task<IObjectStore> OpenAsync();

    protected abstract Task CloseAsync();

    /// <summary>Temporary files or unfinished uploads that are still there.</summary>
    protected abstract Task<int> CountLeftoversAsync();
}
