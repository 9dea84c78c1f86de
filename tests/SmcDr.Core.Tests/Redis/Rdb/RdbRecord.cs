using SmcDr.Core.Redis.Rdb;

namespace SmcDr.Core.Tests.Redis.Rdb;

/// <summary>A key of an RDB file with a payload of its own, however it came.</summary>
internal sealed record RdbRecord(
    int Database,
    byte[] Key,
    RdbValueType Type,
    RdbEncoding Encoding,
    long? ExpiresAt,
    long? IdleSeconds,
    byte? Frequency,
    long? ElementCount,
    long Length,
    byte[] Payload,
    int Pieces)
{
    public string Name => System.Text.Encoding.Latin1.GetString(Key);

    /// <summary>Reads everything: payloads whole where they come so, else joined.</summary>
    public static async Task<(List<RdbRecord> Records, RdbSummary Summary)> ReadAllAsync(
        Stream stream, RdbReaderOptions? options = null)
    {
        await using RdbReader reader = new(stream, (options ?? new RdbReaderOptions()) with { KeepPayloads = true });
        List<RdbRecord> records = [];
        while (await reader.ReadAsync())
        {
            RdbEntry entry = reader.Entry;
            int pieces = 0;
            byte[] payload;
            if (entry.IsComplete)
            {
                payload = reader.Payload.ToArray();
            }
            else
            {
                using MemoryStream joined = new();
                while (await reader.ReadPayloadAsync() is { Length: > 0 } piece)
                {
                    joined.Write(piece.Span);
                    pieces++;
                }

                payload = joined.ToArray();
            }

            Assert.True(entry.IsComplete);
            Assert.Equal(entry.Length, payload.Length);
            records.Add(new RdbRecord(
                entry.Database, entry.Key.ToArray(), entry.Type, entry.Encoding, entry.ExpiresAt, entry.IdleSeconds, entry.Frequency,
                entry.ElementCount, entry.Length, payload, pieces));
        }

        return (records, reader.Summary);
    }

    public static Task<(List<RdbRecord> Records, RdbSummary Summary)> ReadAllAsync(byte[] file, RdbReaderOptions? options = null) =>
        ReadAllAsync(new MemoryStream(file), options);
}
