namespace SmcDr.Core.Tests.Fixtures;

/// <summary>One <see cref="PostgresServer"/> for all tests of a class: <c>IClassFixture&lt;PostgresServerFixture&gt;</c>.</summary>
public sealed class PostgresServerFixture : IAsyncLifetime
{
    /// <summary>The server, running when the first test begins.</summary>
    public PostgresServer Server { get; private set; } = null!;

    public async Task InitializeAsync() => Server = await PostgresServer.StartAsync();

    public async Task DisposeAsync()
    {
        if (Server is not null)
        {
            await Server.DisposeAsync();
        }
    }
}
