namespace SmcDr.Core.Tests.Redis;

/// <summary>An error that the server answered with.</summary>
public sealed class RedisTestException(string message) : Exception(message);
