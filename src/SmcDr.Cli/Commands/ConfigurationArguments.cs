using System.CommandLine;
using SmcDr.Core.Kubernetes.Configuration;

namespace SmcDr.Cli.Commands;

/// <summary>What the commands on the backup of a configuration have in common: which backup, which objects, and where they are.</summary>
internal sealed class ConfigurationArguments
{
    private readonly Option<string?> _backup = new("--backup") { Description = "The backup. Default: the site's newest.", HelpName = "ID" };
    private readonly Option<string?> _region = new("--region") { Description = "The region whose cluster is meant. Default: the primary one.", HelpName = "NAME" };
    private readonly Option<string[]> _kinds = Many("--kind", "KIND", "Only this kind, as kubectl names it: deploy, configmaps, widgets.example.com.");
    private readonly Option<string[]> _excluded = Many("--exclude-kind", "KIND", "Not this kind.");
    private readonly Option<string[]> _names = Many("--name", "PATTERN", "Only names that are so; * and ? stand for characters.");
    private readonly Option<string?> _selector = new("--selector", "-l")
    {
        Description = "Only objects with such labels, in kubectl's words: app=web,tier!=test.",
        HelpName = "SELECTOR",
    };

    private readonly Option<string[]> _mapping = Many("--namespace-mapping", "FROM=TO", "What was in one namespace is in another.");
    private readonly Option<string?> _target = new("--target-namespace")
    {
        Description = "The namespace that the backup's only one becomes.",
        HelpName = "NAME",
    };

    public IEnumerable<Option> Options => [_backup, _region, _kinds, _excluded, _names, _selector, _mapping, _target];

    public string? Backup(ParseResult parsed) => parsed.GetValue(_backup);

    public string? Region(ParseResult parsed) => parsed.GetValue(_region);

    public string? Target(ParseResult parsed) => parsed.GetValue(_target);

    public ObjectFilter Filter(ParseResult parsed) => new()
    {
        Kinds = parsed.GetValue(_kinds)!,
        ExcludeKinds = parsed.GetValue(_excluded)!,
        Names = parsed.GetValue(_names)!,
        LabelSelector = parsed.GetValue(_selector),
    };

    public IReadOnlyDictionary<string, string> Mapping(ParseResult parsed)
    {
        Dictionary<string, string> mapping = new(StringComparer.Ordinal);
        foreach (string text in parsed.GetValue(_mapping)!)
        {
            if (text.Split('=') is not [{ Length: > 0 } from, { Length: > 0 } to] || !mapping.TryAdd(from, to))
            {
                throw new SmcException(
                    SmcErrorCode.ArgumentInvalid,
                    $"'{text}' does not say which namespace becomes which, or says it again.",
                    recommendation: "Write --namespace-mapping from=to, once for each namespace.");
            }
        }

        return mapping;
    }

    private static Option<string[]> Many(string name, string helpName, string description) => new(name)
    {
        Description = description + " Can be given again.",
        HelpName = helpName,
        DefaultValueFactory = static _ => [],
    };
}
