using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using SmcDr.Core.Redis;
using SmcDr.Core.Redis.Rdb;

namespace SmcDr.Core.Drills;

/// <summary>What the drill's Redis holds: keys of every kind that are loaded and stay as they are, and orders that writers add in a database of their own.</summary>
internal sealed class DrillRedisData(RedisConnector connector)
{
    /// <summary>The database of the orders.</summary>
    public const int Orders = 1;

    private const int Loaded = 0;
    private const int Sessions = 40_000;
    private const int Users = 8_000;
    private const int Others = 500;
    private const int AtOnce = 1000;
    private const string Prefix = "order:";

    private static readonly TimeSpan s_life = TimeSpan.FromDays(1);

    /// <summary>The key of an order.</summary>
    public static string KeyOf(long id) => string.Create(CultureInfo.InvariantCulture, $"{Prefix}{id}");

    /// <summary>What an order holds.</summary>
    public static string ContentOf(long id) => string.Create(CultureInfo.InvariantCulture, $"content of order {id}");

    /// <summary>Loads keys of every kind.</summary>
    public async Task LoadAsync(CancellationToken cancellationToken)
    {
        RedisConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            foreach (RedisCommand[] commands in CreateCommands().Chunk(AtOnce))
            {
                foreach (RedisReply reply in await connection.ExecuteManyAsync(commands, cancellationToken).ConfigureAwait(false))
                {
                    if (reply.IsError)
                    {
                        throw connection.Translate(reply, "SET");
                    }
                }
            }
        }
    }

    /// <summary>How many keys were loaded, and a digest of them all that depends on keys and values alone, not on how the server keeps them.</summary>
    public async Task<(long Keys, string Digest)> DigestAsync(CancellationToken cancellationToken)
    {
        UInt128 sum = 0;
        long keys = await VisitAsync(
            Loaded,
            "DUMP",
            (key, dump) =>
            {
                ReadOnlySpan<byte> bytes = dump.Bytes.Span;
                UInt128 value = bytes.Length > RdbDump.FooterLength &&
                    RdbValueDigest.TryCompute((RdbEncoding)bytes[0], bytes[1..^RdbDump.FooterLength], out UInt128 digest) ? digest : 0;
                byte[] pair = [.. Encoding.UTF8.GetBytes(key), .. new byte[16]];
                BinaryPrimitives.WriteUInt128LittleEndian(pair.AsSpan(pair.Length - 16), value);
                sum += BinaryPrimitives.ReadUInt128LittleEndian(SHA256.HashData(pair));
            },
            cancellationToken).ConfigureAwait(false);
        return (keys, sum.ToString("x32", CultureInfo.InvariantCulture));
    }

    /// <summary>The ids of the orders that are there, and how many do not hold what was written.</summary>
    public async Task<(HashSet<long> Ids, long Wrong)> OrdersAsync(CancellationToken cancellationToken)
    {
        HashSet<long> ids = [];
        long wrong = 0;
        await VisitAsync(
            Orders,
            "GET",
            (key, value) =>
            {
                if (key.StartsWith(Prefix, StringComparison.Ordinal) && long.TryParse(key.AsSpan(Prefix.Length), CultureInfo.InvariantCulture, out long id))
                {
                    ids.Add(id);
                    wrong += !value.IsError && value.Text == ContentOf(id) ? 0 : 1;
                }
                else
                {
                    wrong++;
                }
            },
            cancellationToken).ConfigureAwait(false);
        return (ids, wrong);
    }

    private static IEnumerable<RedisCommand> CreateCommands()
    {
        Random random = new(1);
        byte[] value = new byte[90];
        for (int i = 0; i < Sessions; i++)
        {
            random.NextBytes(value);
            RedisArgument[] session = [Name("session", i), Convert.ToHexString(value)];
            // One of four goes by itself in the end.
            yield return new RedisCommand("SET", i % 4 == 0 ? [.. session, "EX", (long)s_life.TotalSeconds + i] : session);
        }

        for (int i = 0; i < Users; i++)
        {
            yield return new RedisCommand("HSET", Name("user", i), "name", Name("name", i), "balance", (long)random.Next(), "country", "CH");
        }

        for (int i = 0; i < Others; i++)
        {
            string[] some = [.. Enumerable.Range(0, 1 + (i % 40)).Select(n => Name("element", n * i))];
            yield return new RedisCommand("RPUSH", [Name("list", i), .. some.Select(static one => (RedisArgument)one)]);
            yield return new RedisCommand("SADD", [Name("set", i), .. some.Select(static one => (RedisArgument)one)]);
            yield return new RedisCommand("ZADD", [Name("sorted", i), .. some.SelectMany(static (one, n) => (RedisArgument[])[(long)n, one])]);
            yield return new RedisCommand("XADD", Name("stream", i), "1-1", "field", some[0]);
        }
    }

    private static string Name(string kind, int number) => string.Create(CultureInfo.InvariantCulture, $"{kind}:{number}");

    /// <summary>Reads each key of a database once by a command. Returns how many there are.</summary>
    private async Task<long> VisitAsync(int database, string command, Action<string, RedisReply> visit, CancellationToken cancellationToken)
    {
        // A server may name a key twice while its table grows or shrinks.
        HashSet<string> seen = new(StringComparer.Ordinal);
        RedisConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            await connection.ExecuteAsync(new RedisCommand("SELECT", database), cancellationToken).ConfigureAwait(false);
            string cursor = "0";
            do
            {
                RedisReply page = await connection.ExecuteAsync(new RedisCommand("SCAN", cursor, "COUNT", AtOnce), cancellationToken).ConfigureAwait(false);
                cursor = page.Items[0].Text;
                string[] keys = [.. page.Items[1].Items.Select(static key => key.Text).Where(seen.Add)];
                RedisReply[] replies = await connection.ExecuteManyAsync(
                    [.. keys.Select(key => new RedisCommand(command, key))], cancellationToken).ConfigureAwait(false);
                foreach ((string key, RedisReply reply) in keys.Zip(replies))
                {
                    visit(key, reply);
                }
            }
            while (cursor != "0");
        }

        return seen.Count;
    }
}
