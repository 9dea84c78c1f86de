using System.Collections.ObjectModel;
using System.Globalization;
using System.Text;
using YamlDotNet.Core;

namespace SmcDr.Core.Sites;

/// <summary>Reads site files.</summary>
public static class SiteFile
{
    /// <summary>The name of a site file in its folder.</summary>
    public const string DefaultName = "smcdr.yaml";

    private const int MaximumBytes = 1024 * 1024;
    private const int MaximumProblems = 20;
    private static readonly UTF8Encoding s_utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The environment variable that names the site file where nobody else does.</summary>
    public const string Variable = "SMCDR_SITE";

    /// <summary>The site file that is meant where none is named: that of <see cref="Variable"/>, else <see cref="DefaultName"/> here.</summary>
    /// <param name="directory">The directory that is "here".</param>
    /// <param name="environment">Looks an environment variable up.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.SiteNotSet"/>: there is neither.</exception>
    public static string FindDefault(string directory, Func<string, string?> environment)
    {
        ArgumentNullException.ThrowIfNull(environment);
        if (environment(Variable) is { Length: > 0 } named)
        {
            return PathText.Resolve(named, directory);
        }

        string here = Path.Combine(directory, DefaultName);
        return File.Exists(here)
            ? here
            : throw new SmcException(
                SmcErrorCode.SiteNotSet, $"No site was named, and there is no '{DefaultName}' in '{directory}'.");
    }

    /// <summary>Loads and validates a site file; a folder stands for the <c>smcdr.yaml</c> in it.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.SiteNotFound"/>; <see cref="SmcErrorCode.SiteInvalid"/> with every problem and its line.
    /// </exception>
    public static Site Load(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string full = PathText.Resolve(path);
        if (Directory.Exists(full))
        {
            full = Path.Combine(full, DefaultName);
        }

        try
        {
            using FileStream file = File.OpenRead(full);
            if (file.Length > MaximumBytes)
            {
                throw Invalid(full, $"The site file '{full}' is larger than 1 MiB.");
            }

            using StreamReader reader = new(file, s_utf8);
            return Parse(reader.ReadToEnd(), full);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new SmcException(SmcErrorCode.SiteNotFound, $"There is no site file '{full}'.", e, target: full);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SmcException(
                SmcErrorCode.SiteNotFound,
                $"The site file '{full}' cannot be read: {e.Message}",
                e,
                recommendation: "Make the file readable by this account.",
                target: full);
        }
        catch (DecoderFallbackException e)
        {
            throw Invalid(full, $"The site file '{full}' is not UTF-8 text.", e);
        }
    }

    /// <summary>Parses and validates the text of a site file.</summary>
    /// <param name="text">The YAML.</param>
    /// <param name="path">The full path that it has or will have: relative paths in it start at its folder.</param>
    public static Site Parse(string text, string path)
    {
        List<(Mark Mark, string Problem)> problems = [];
        void Report(Mark mark, string problem) => problems.Add((mark, problem));
        Site? site = null;
        try
        {
            SiteNode? root = SiteParser.Parse(text, Report);
            if (root is null or SiteNode.Scalar { Value: null })
            {
                Report(Mark.Empty, "The site file is empty.");
            }
            else
            {
                site = (Site?)new SiteReader(Path.GetDirectoryName(path)!, Report).ReadRecord(root, typeof(Site), "");
            }
        }
        catch (YamlException e)
        {
            // YamlDotNet's messages are sentences without a full stop; some quote the text around, none a whole value.
            Report(e.Start, $"This is not valid YAML: {e.Message.TrimEnd('.')}.");
        }

        return problems.Count == 0
            ? Complete(site!, path)
            : throw Invalid(path, Describe(path, problems));
    }

    private static Site Complete(Site site, string path)
    {
        OrderedDictionary<string, RegionSettings> regions = [];
        foreach ((string name, RegionSettings region) in site.Regions)
        {
            DatabaseSettings? database = region.Database is { Slot: "" } unnamed
                ? unnamed with { Slot = DefaultSlot(site.Name) }
                : region.Database;
            regions.Add(name, region with { Name = name, Database = database });
        }

        return site with { Path = path, Regions = new ReadOnlyDictionary<string, RegionSettings>(regions) };
    }

    private static string DefaultSlot(string site)
    {
        // Slot names are [a-z0-9_]{1,63} (ReplicationSlotValidateName in slot.c).
        string name = string.Concat(site.Select(static c => char.IsAsciiLetterOrDigit(c) ? char.ToLowerInvariant(c) : '_'));
        return "smcdr_" + name[..Math.Min(name.Length, 63 - "smcdr_".Length)];
    }

    private static string Describe(string path, List<(Mark Mark, string Problem)> problems)
    {
        // Within a line the order of finding says more than the column.
        List<string> lines =
        [
            .. problems.OrderBy(static p => p.Mark.Line).Take(MaximumProblems)
                .Select(p => string.Create(CultureInfo.InvariantCulture, $"{path}:{p.Mark.Line}:{p.Mark.Column}: {p.Problem}")),
        ];
        if (problems.Count == 1)
        {
            return lines[0];
        }

        int more = problems.Count - lines.Count;
        return string.Create(CultureInfo.InvariantCulture, $"The site file has {problems.Count} problems:\n") +
            string.Join('\n', lines) +
            (more > 0 ? string.Create(CultureInfo.InvariantCulture, $"\nand {more} more.") : "");
    }

    private static SmcException Invalid(string path, string message, Exception? inner = null) =>
        new(SmcErrorCode.SiteInvalid, message, inner, target: path);
}
