namespace SmcDr.Core.Redis;

/// <summary>A replica as its master sees it.</summary>
/// <param name="Host">Where it is.</param>
/// <param name="Port">Its port.</param>
/// <param name="IsOnline">Whether it has all data and follows.</param>
/// <param name="Offset">Which part of the stream of changes it has confirmed.</param>
/// <param name="LagSeconds">How long ago it last confirmed anything; null where it never did.</param>
internal sealed record RedisReplica(string Host, int Port, bool IsOnline, long Offset, long? LagSeconds);
