using Npgsql;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>Errors of the server's file functions, told from each other.</summary>
internal static class ServerErrors
{
    /// <summary>
    /// A file that the server's own account may not read has the same SQLSTATE (42501) as a function that the role may not call,
    /// and another cure. The server says which routine raised the error; aclchk.c raises the second kind.
    /// </summary>
    public static SmcException TranslateFileError(PostgresConnector connector, Exception exception) =>
        exception is PostgresException { SqlState: PostgresErrorCodes.InsufficientPrivilege } e && e.Routine != "aclcheck_error"
            ? new SmcException(
                SmcErrorCode.PrivilegeMissing,
                $"PostgreSQL at {connector.Display} cannot read its own data directory: {e.MessageText}.",
                e,
                recommendation: "On the server's host, make the file or directory that the message names readable for the account that PostgreSQL runs as, or remove it if it is not PostgreSQL's.",
                target: connector.Display)
            : connector.Translate(exception);
}
