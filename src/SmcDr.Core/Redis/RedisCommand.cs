namespace SmcDr.Core.Redis;

/// <summary>A command as Redis knows it, whatever the server calls it.</summary>
/// <param name="name">The name, in capital letters.</param>
/// <param name="arguments">What follows it.</param>
internal readonly struct RedisCommand(string name, params RedisArgument[] arguments)
{
    public string Name => name;

    public IReadOnlyList<RedisArgument> Arguments => arguments;
}
