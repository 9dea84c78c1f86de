using System.CommandLine;
using System.Globalization;
using SmcDr.Cli.Output;
using SmcDr.Core.Postgres.Preparation;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr enable pitr</c>.</summary>
internal sealed class EnablePitrCommand : CliCommand
{
    private static readonly Column<PreparationItem>[] s_columns =
    [
        new("State", static item => item.State),
        new("Item", static item => item.Item),
        new("Current", static item => item.Current),
        new("Wanted", static item => item.Wanted),
        new("Recommendation", static item => item.Recommendation),
    ];

    private readonly Option<string?> _admin = new("--admin")
    {
        Description = "A superuser, who carries the changes out. Default: the site's user.",
        HelpName = "USER",
    };

    private readonly Option<string?> _adminPassword = new("--admin-password")
    {
        Description = "Where the superuser's password is: env:NAME or file:PATH.",
        HelpName = "SECRET",
    };

    private readonly Option<string?> _role = new("--role")
    {
        Description = "The role that backups are to connect as. Default: the site's user.",
        HelpName = "USER",
    };

    private readonly Option<string?> _rolePassword = new("--role-password")
    {
        Description = "Where the password that the role gets is: env:NAME or file:PATH.",
        HelpName = "SECRET",
    };

    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show what there is and what would be changed, and change nothing." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Do not ask." };

    public EnablePitrCommand(CliHost host)
        : base(host, "pitr", "Makes the server ready for backups: settings, a role with least privilege, a replication slot.")
    {
        foreach (Option option in new Option[] { _admin, _adminPassword, _role, _rolePassword, _dryRun, _yes, GlobalOptions.Json })
        {
            Options.Add(option);
        }
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        var administrator = Account(context, _admin, _adminPassword);
        var role = Account(context, _role, _rolePassword);

        List<PreparationChange> changes = [];
        List<PreparationItem> items = await CollectAsync(true, change =>
        {
            changes.Add(change);
            return Task.FromResult(false);
        }).ConfigureAwait(false);
        if (changes.Count > 0 && !context.Parsed.GetValue(_dryRun))
        {
            foreach (PreparationChange change in changes)
            {
                await context.Host.Error.WriteLineAsync($"  {change.Statement};").ConfigureAwait(false);
            }

            string what = string.Create(
                CultureInfo.InvariantCulture, $"These {changes.Count} statements are to be run on {items[0].Server}.");
            if (!await context.ConfirmAsync(what, context.Parsed.GetValue(_yes), cancellationToken).ConfigureAwait(false))
            {
                await context.Host.Error.WriteLineAsync("Nothing was changed.").ConfigureAwait(false);
                return SmcErrors.Get(SmcErrorCode.OperationStopped).ExitCode;
            }

            items = await CollectAsync(false, static _ => Task.FromResult(true)).ConfigureAwait(false);
        }

        context.WriteList(items, s_columns, "Nothing was looked at.");
        return items.Exists(static item => item.State is PreparationStates.Missing or PreparationStates.NeedsRestart)
            ? SmcErrors.Get(SmcErrorCode.SettingUnsuitable).ExitCode
            : ExitCodes.Success;

        async Task<List<PreparationItem>> CollectAsync(bool isPreview, Func<PreparationChange, Task<bool>> approve)
        {
            List<PreparationItem> result = [];
            await foreach (PreparationItem item in site
                .CreatePreparation(context.Secrets, administrator, role, isPreview, approve).RunAsync(cancellationToken).ConfigureAwait(false))
            {
                result.Add(item);
            }

            return result;
        }
    }

    private static (string User, Func<CancellationToken, ValueTask<string?>>? Password)? Account(
        CliContext context, Option<string?> user, Option<string?> password)
    {
        string? name = context.Parsed.GetValue(user);
        string? secret = context.Parsed.GetValue(password);
        if (name is null)
        {
            return secret is null
                ? null
                : throw new SmcException(SmcErrorCode.ArgumentInvalid, $"{password.Name} is given without {user.Name}.");
        }

        SecretReference? reference = secret is null ? null : SecretReference.Parse(secret, context.Host.CurrentDirectory);
        return (name, reference is null ? null : async token => await context.Secrets.ResolveAsync(reference, token).ConfigureAwait(false));
    }
}
