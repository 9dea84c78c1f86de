using Npgsql;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>
/// How PostgreSQL's own programs reach the server that a <see cref="PostgresConnector"/> reaches: by variables, and by a password file that
/// nobody else can read. Nothing secret stands among the arguments or the variables of a process.
/// </summary>
internal sealed class ClientEnvironment : IDisposable
{
    private readonly PrivateFile? _passwords;
    private readonly IRoutedPort? _port;

    private ClientEnvironment(IReadOnlyDictionary<string, string> variables, PrivateFile? passwords, IRoutedPort? port)
    {
        Variables = variables;
        _passwords = passwords;
        _port = port;
    }

    public IReadOnlyDictionary<string, string> Variables { get; }

    /// <summary>A database's name as an argument: as a connection string, since pg_dump takes a name with <c>=</c> in it for one.</summary>
    public static string DatabaseArgument(string database) =>
        "--dbname=" + LibpqSettings.Keyword("dbname", database);

    public static async Task<ClientEnvironment> CreateAsync(PostgresConnector connector, CancellationToken cancellationToken)
    {
        IRoutedPort? port = await connector.RouteAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return Create(await connector.ResolveAsync(port, cancellationToken).ConfigureAwait(false), port);
        }
        catch
        {
            port?.Dispose();
            throw;
        }
    }

    private static ClientEnvironment Create(NpgsqlConnectionStringBuilder settings, IRoutedPort? port)
    {
        Dictionary<string, string> variables = LibpqSettings.From(settings).ToDictionary(static one => one.Variable, static one => one.Value);
        Set("PGUSER", settings.Username ?? Environment.GetEnvironmentVariable("PGUSER"));

        PrivateFile? passwords = null;
        // Where the site names no password, Npgsql falls back to these variables, and so must the programs.
        if ((settings.Password ?? Environment.GetEnvironmentVariable("PGPASSWORD")) is { Length: > 0 } password)
        {
            // The four fields match any host, port, database and user: the programs are told one of each.
            passwords = PrivateFile.Create(LibpqSettings.PasswordLine(password));
            Set("PGPASSFILE", passwords.Path);
        }
        else
        {
            Set("PGPASSFILE", settings.Passfile ?? Environment.GetEnvironmentVariable("PGPASSFILE"));
        }

        return new ClientEnvironment(variables, passwords, port);

        void Set(string name, string? value)
        {
            if (value is { Length: > 0 })
            {
                variables[name] = value;
            }
        }
    }

    public void Dispose()
    {
        _passwords?.Dispose();
        _port?.Dispose();
    }
}
