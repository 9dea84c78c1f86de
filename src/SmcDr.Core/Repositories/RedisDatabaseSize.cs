namespace SmcDr.Core.Repositories;

/// <summary>How much one of a Redis server's numbered databases holds.</summary>
/// <param name="Database">Its number.</param>
/// <param name="Keys">How many keys, those among them whose time has passed and that nobody has asked for since.</param>
/// <param name="Expires">How many of them have a time to live.</param>
public sealed record RedisDatabaseSize(int Database, long Keys, long Expires);
