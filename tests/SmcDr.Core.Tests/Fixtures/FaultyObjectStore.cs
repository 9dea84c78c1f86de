using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Tests.ObjectStores;

namespace SmcDr.Core.Tests.Fixtures;

/// <summary>
/// A store before another one, of which single calls go wrong by a plan. Calls are counted from 1: each method, and each commit. With no
/// plan it is the store behind it.
/// </summary>
public sealed class FaultyObjectStore(IObjectStore inner) : IObjectStore
{
    private readonly ConcurrentDictionary<string, ObjectInfo> _removed = new(StringComparer.Ordinal);
    private IReadOnlyDictionary<int, StoreFault> _plan = new Dictionary<int, StoreFault>();
    private Random _random = new(0);
    private int _calls;
    private int _injected;

    public string Location => inner.Location;

    private IObjectStore Inner => inner;

    /// <summary>How many calls there were since the plan was made.</summary>
    public int Calls => Volatile.Read(ref _calls);

    /// <summary>How many of the planned faults met a call to which they can happen.</summary>
    public int Injected => Volatile.Read(ref _injected);

    /// <summary>Makes one call go wrong.</summary>
    public void Plan(int call, StoreFault fault, int seed = 1) => Plan(new Dictionary<int, StoreFault> { [call] = fault }, seed);

    /// <summary>Makes calls go wrong at random.</summary>
    public void PlanRandom(int seed, int calls, double rate)
    {
        Random random = new(seed);
        StoreFault[] faults = Enum.GetValues<StoreFault>();
        Plan(
            Enumerable.Range(1, calls).Where(_ => random.NextDouble() < rate).ToDictionary(static call => call, _ => faults[random.Next(faults.Length)]),
            seed);
    }

    public void Plan(IReadOnlyDictionary<int, StoreFault> plan, int seed)
    {
        (_plan, _random, _calls, _injected) = (plan, new Random(seed), 0, 0);
    }

    public async Task<ObjectWriter> CreateAsync(string key, CancellationToken cancellationToken)
    {
        StoreFault? fault = Next();
        Fail(fault, StoreFault.Unavailable);
        await SlowAsync(fault);
        ObjectWriter writer = await inner.CreateAsync(key, cancellationToken);
        return new Writer(this, writer, key, Is(fault, StoreFault.Cut) ? Pick(100_000) : null);
    }

    public async Task PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        StoreFault? fault = Next();
        Fail(fault, StoreFault.Unavailable, StoreFault.Cut, StoreFault.SuccessWithError);
        await SlowAsync(fault);
        await inner.PutAsync(key, content, cancellationToken);
        if (Is(fault, StoreFault.Duplicate))
        {
            await SmcErrorCode.ObjectExists.ThrowsAsync(() => inner.PutAsync(key, content, cancellationToken));
        }

        Fail(fault, StoreFault.LostResponse);
    }

    public async Task<Stream> OpenReadAsync(string key, long offset, long? length, CancellationToken cancellationToken)
    {
        StoreFault? fault = Next();
        Fail(fault, StoreFault.Unavailable, StoreFault.LostResponse);
        await SlowAsync(fault);
        if (Is(fault, StoreFault.Duplicate))
        {
            await (await inner.OpenReadAsync(key, offset, length, cancellationToken)).DisposeAsync();
        }

        Stream stream = await inner.OpenReadAsync(key, offset, length, cancellationToken);
        if (fault is not (StoreFault.Cut or StoreFault.SilentTruncation))
        {
            return stream;
        }

        long available = length ?? (await inner.GetInfoAsync(key, cancellationToken))!.Length - offset;
        if (available == 0)
        {
            return stream;
        }

        Interlocked.Increment(ref _injected);
        return new BrokenStream(stream, Pick((int)Math.Min(available, int.MaxValue)), fault == StoreFault.Cut);
    }

    public async Task<ObjectInfo?> GetInfoAsync(string key, CancellationToken cancellationToken)
    {
        StoreFault? fault = Next();
        Fail(fault, StoreFault.Unavailable, StoreFault.LostResponse);
        await SlowAsync(fault);
        return await inner.GetInfoAsync(key, cancellationToken);
    }

    public async IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        StoreFault? fault = Next();
        Fail(fault, StoreFault.Unavailable, StoreFault.LostResponse);
        await SlowAsync(fault);
        List<ObjectInfo> infos = [];
        await foreach (ObjectInfo info in inner.ListAsync(prefix, cancellationToken))
        {
            infos.Add(info);
        }

        if (infos.Count > 0 && Is(fault, StoreFault.StaleListLacks))
        {
            infos.RemoveAt(Pick(infos.Count));
        }

        ObjectInfo[] removed = [.. _removed.Values.Where(info => info.Key.StartsWith(prefix, StringComparison.Ordinal) && infos.All(i => i.Key != info.Key))];
        if (removed.Length > 0 && Is(fault, StoreFault.StaleListShows))
        {
            infos.Add(removed[Pick(removed.Length)]);
            infos.Sort(static (left, right) => string.CompareOrdinal(left.Key, right.Key));
        }

        foreach (ObjectInfo info in infos)
        {
            yield return info;
        }
    }

    public async IAsyncEnumerable<string> ListFoldersAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        StoreFault? fault = Next();
        Fail(fault, StoreFault.Unavailable, StoreFault.LostResponse);
        await SlowAsync(fault);
        await foreach (string folder in inner.ListFoldersAsync(prefix, cancellationToken))
        {
            yield return folder;
        }
    }

    public async Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        StoreFault? fault = Next();
        Fail(fault, StoreFault.Unavailable);
        await SlowAsync(fault);
        if (await inner.GetInfoAsync(key, cancellationToken) is { } info)
        {
            _removed[key] = info;
        }

        await inner.DeleteAsync(key, cancellationToken);
        if (Is(fault, StoreFault.Duplicate))
        {
            await inner.DeleteAsync(key, cancellationToken);
        }

        Fail(fault, StoreFault.LostResponse);
    }

    public Task<ObjectStoreCapabilities> ProbeAsync(CancellationToken cancellationToken) => inner.ProbeAsync(cancellationToken);

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private static SmcException Busy() => new(SmcErrorCode.StorageUnavailable, "The store is busy, says the plan.");

    private StoreFault? Next() => _plan.TryGetValue(Interlocked.Increment(ref _calls), out StoreFault fault) ? fault : null;

    private bool Is(StoreFault? fault, StoreFault expected)
    {
        if (fault == expected)
        {
            Interlocked.Increment(ref _injected);
        }

        return fault == expected;
    }

    private void Fail(StoreFault? fault, params ReadOnlySpan<StoreFault> expected)
    {
        foreach (StoreFault one in expected)
        {
            if (Is(fault, one))
            {
                throw Busy();
            }
        }
    }

    private async Task SlowAsync(StoreFault? fault)
    {
        if (Is(fault, StoreFault.Slow))
        {
            await Task.Delay(Pick(20));
        }
    }

    private int Pick(int below)
    {
        lock (_random)
        {
            return _random.Next(below);
        }
    }

    private sealed class Writer(FaultyObjectStore store, ObjectWriter writer, string key, int? cut) : ObjectWriter
    {
        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            if (cut < Length + bytes.Length)
            {
                await writer.WriteAsync(bytes[..(int)(cut.Value - Length)], cancellationToken);
                throw Busy();
            }

            await writer.WriteAsync(bytes, cancellationToken);
            Length = writer.Length;
        }

        public override async Task CommitAsync(CancellationToken cancellationToken)
        {
            StoreFault? fault = store.Next();
            store.Fail(fault, StoreFault.Unavailable, StoreFault.Cut, StoreFault.SuccessWithError);
            await store.SlowAsync(fault);
            await writer.CommitAsync(cancellationToken);
            if (store.Is(fault, StoreFault.Duplicate))
            {
                await SmcErrorCode.ObjectExists.ThrowsAsync(() => store.Inner.PutAsync(key, default, cancellationToken));
            }

            store.Fail(fault, StoreFault.LostResponse);
        }

        public override ValueTask DisposeAsync() => writer.DisposeAsync();
    }

    /// <summary>Gives some bytes, and then ends or breaks.</summary>
    private sealed class BrokenStream(Stream stream, int bytes, bool breaks) : Stream
    {
        private int _left = bytes;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_left == 0)
            {
                return breaks ? throw Busy() : 0;
            }

            int read = await stream.ReadAsync(buffer[..Math.Min(buffer.Length, _left)], cancellationToken);
            _left -= read;
            return read;
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            stream.Dispose();
            base.Dispose(disposing);
        }

        public override async ValueTask DisposeAsync()
        {
            await stream.DisposeAsync();
            await base.DisposeAsync();
        }
    }
}
