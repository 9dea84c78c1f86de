using System.Text;
using System.Text.RegularExpressions;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>Restores roles and tablespaces.</summary>
internal static partial class GlobalsRestore
{
    // What is there already: duplicate_object; and a tablespace's directory that holds one.
    private static readonly string[] s_expected = ["42710", "55006"];

    /// <summary>Runs the script of pg_dumpall through psql. Roles that exist stay, with the attributes that the script gives them.</summary>
    public static async Task RunAsync(
        LogicalRestorePlan plan,
        PostgresConnector connector,
        ClientEnvironment environment,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        observer.Progress(new OperationProgress(LogicalRestore.Activity, "Roles and tablespaces"));
        byte[] content = await DumpReader
            .ReadAllAsync(plan.Backup, plan.Entries[plan.Backup.Header.Logical!.Globals!], cancellationToken).ConfigureAwait(false);
        string script = WithoutRole(Encoding.UTF8.GetString(content), connector.Username);
        ClientProcess process = ClientProcess.Start(
            plan.Programs.PathOf("psql"),
            ["--no-psqlrc", "--quiet", "--no-password", "--set=VERBOSITY=sqlstate", ClientEnvironment.DatabaseArgument("postgres"), "--file=-"],
            environment.Variables);
        await using (process.ConfigureAwait(false))
        {
            try
            {
                await process.Input.WriteAsync(Encoding.UTF8.GetBytes(script), cancellationToken).ConfigureAwait(false);
                process.Input.Close();
            }
            catch (IOException)
            {
                // It ended before it read all; how it ended says why.
            }

            using StreamReader output = new(process.Output, Encoding.UTF8, leaveOpen: true);
            await output.ReadToEndAsync(cancellationToken).ConfigureAwait(false);
            int exitCode = await process.WaitAsync(cancellationToken).ConfigureAwait(false);
            if (exitCode != 0)
            {
                throw ClientFailure.Translate("psql", exitCode, process.Error, "postgres", connector, SmcErrorCode.RecoveryFailed);
            }

            // Only states of errors are printed: a message could hold a password.
            string[] unexpected = [.. ErrorPattern().Matches(process.Error).Select(static match => match.Groups[1].Value)
                .Where(state => !s_expected.Contains(state)).Distinct(StringComparer.Ordinal)];
            if (unexpected.Length > 0)
            {
                observer.Warning($"Some roles or tablespaces could not be restored (SQLSTATE {string.Join(", ", unexpected)}); 42501 is a missing privilege, 58P01 a missing directory.");
            }
        }
    }

    /// <summary>The script without the user that restores: another password of it would lock this very restore out.</summary>
    private static string WithoutRole(string script, string? role)
    {
        if (role is null)
        {
            return script;
        }

        string[] names = [role, Sql.Name(role)];
        return string.Join('\n', script.Split('\n').Where(line =>
            !names.Any(name => line.StartsWith($"CREATE ROLE {name};", StringComparison.Ordinal) || line.StartsWith($"ALTER ROLE {name} WITH ", StringComparison.Ordinal))));
    }

    [GeneratedRegex(@"ERROR:\s+([0-9A-Z]{5})", RegexOptions.CultureInvariant)]
    private static partial Regex ErrorPattern();
}
