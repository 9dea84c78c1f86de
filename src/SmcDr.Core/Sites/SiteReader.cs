using System.Collections;
using System.Collections.ObjectModel;
using System.Globalization;
using SmcDr.Core.ObjectStores;
using YamlDotNet.Core;

namespace SmcDr.Core.Sites;

/// <summary>Turns a tree into the records of the site file and gathers everything that is wrong with it.</summary>
internal sealed class SiteReader(string directory, Action<Mark, string> report)
{
    private int _problems;

    /// <summary>Reads a record; null where something is wrong with it, which was reported.</summary>
    public object? ReadRecord(SiteNode node, Type type, string path)
    {
        if (node is not SiteNode.Mapping mapping)
        {
            Report(node.Start, $"{Named(path)} must be a mapping with keys such as {Quote(SiteModel.KeysOf(type).Select(static key => key.Name))}, and is {node.Display}.");
            return null;
        }

        int before = _problems;
        IReadOnlyList<SiteModel.Key> keys = SiteModel.KeysOf(type);
        object record = Activator.CreateInstance(type)!;
        foreach ((SiteNode.Scalar name, SiteNode value) in mapping.Entries)
        {
            SiteModel.Key? key = keys.FirstOrDefault(key => key.Name == name.Value);
            if (key is null)
            {
                Report(name.Start, DescribeUnknownKey(name.Value!, path, keys));
            }
            else if (value is SiteNode.Scalar { Value: null })
            {
                Report(name.Start, $"'{Join(path, key.Name)}' has no value; give it one or take the key out.");
            }
            else if (Read(value, key.Type, key.Attribute, Join(path, key.Name)) is { } read)
            {
                key.Property.SetValue(record, read);
            }
        }

        foreach (SiteModel.Key key in keys.Where(key => key.IsRequired && mapping.Find(key.Name) is null))
        {
            Report(mapping.Start, $"{Named(path)} lacks the key '{key.Name}': {key.Attribute.Description}");
        }

        if (_problems > before)
        {
            return null;
        }

        if (record is ISiteRules rules)
        {
            foreach ((string key, string problem) in rules.FindProblems())
            {
                Report((mapping.Find(key) ?? mapping).Start, $"'{Join(path, key)}' {problem}.");
            }
        }

        return _problems > before ? null : record;
    }

    private object? Read(SiteNode node, Type type, SiteKeyAttribute key, string path)
    {
        if (SiteModel.ItemOf(type) is { } item)
        {
            return ReadList(node, item, key, path);
        }

        if (SiteModel.EntryOf(type) is { } entry)
        {
            return ReadEntries(node, entry, key, path);
        }

        if (SiteModel.IsRecord(type))
        {
            return ReadRecord(node, type, path);
        }

        if (node is not SiteNode.Scalar { Value: { } text } scalar)
        {
            Report(node.Start, $"'{path}' must be {Expected(type, key)}, and is {node.Display}.");
            return null;
        }

        return ReadScalar(scalar, text, type, key, path);
    }

    private IList? ReadList(SiteNode node, Type item, SiteKeyAttribute key, string path)
    {
        if (node is not SiteNode.Sequence sequence)
        {
            Report(node.Start, $"'{path}' must be a list such as [ … ], and is {node.Display}.");
            return null;
        }

        IList list = (IList)Activator.CreateInstance(typeof(List<>).MakeGenericType(item))!;
        for (int i = 0; i < sequence.Items.Count; i++)
        {
            string itemPath = string.Create(CultureInfo.InvariantCulture, $"{path}[{i}]");
            if (Read(sequence.Items[i], item, key, itemPath) is { } read)
            {
                list.Add(read);
            }
        }

        return (IList)Activator.CreateInstance(typeof(ReadOnlyCollection<>).MakeGenericType(item), list)!;
    }

    private object? ReadEntries(SiteNode node, Type entry, SiteKeyAttribute key, string path)
    {
        if (node is not SiteNode.Mapping mapping)
        {
            Report(node.Start, $"'{path}' must be a mapping of names, and is {node.Display}.");
            return null;
        }

        // In the order of the file: it is the order that people see.
        IDictionary entries = (IDictionary)Activator.CreateInstance(typeof(OrderedDictionary<,>).MakeGenericType(typeof(string), entry))!;
        foreach ((SiteNode.Scalar name, SiteNode value) in mapping.Entries)
        {
            if (SiteValueRule.FindProblem(SiteValueKind.Name, name.Value!) is { } problem)
            {
                Report(name.Start, $"The name of '{Join(path, name.Value!)}' {problem}.");
            }
            else if (Read(value, entry, key, Join(path, name.Value!)) is { } read)
            {
                entries.Add(name.Value!, read);
            }
        }

        return Activator.CreateInstance(typeof(ReadOnlyDictionary<,>).MakeGenericType(typeof(string), entry), entries);
    }

    private object? ReadScalar(SiteNode.Scalar node, string text, Type type, SiteKeyAttribute key, string path)
    {
        if (type == typeof(string))
        {
            if (key.Kind == SiteValueKind.Location && text.Length > 0 && !text.Contains("://", StringComparison.Ordinal))
            {
                text = PathText.Resolve(text, directory);
            }

            if (SiteValueRule.FindProblem(key.Kind, text) is { } problem)
            {
                Report(node.Start, $"'{path}' {problem}.");
                return null;
            }

            return key.Kind switch
            {
                SiteValueKind.Path => PathText.Resolve(text, directory),
                SiteValueKind.Location => ObjectStoreLocation.Parse(text).ToString(),
                _ => text,
            };
        }

        object? value = null;
        if (type == typeof(SecretReference))
        {
            value = SecretReference.TryParse(text, directory, out SecretReference? reference) ? reference : null;
            if (value is null)
            {
                // Not repeated: it may be the secret itself.
                Report(node.Start, $"'{path}' must be {SecretReference.Expected}; the secret itself does not belong in the site file.");
                return null;
            }
        }
        else if (type == typeof(KeyReference))
        {
            value = KeyReference.TryParse(text, directory, out KeyReference? reference) ? reference : null;
            if (value is null)
            {
                Report(node.Start, $"'{path}' must be {KeyReference.Expected}; the key itself does not belong in the site file.");
                return null;
            }
        }
        else if (type == typeof(TimeSpan))
        {
            value = DurationText.TryParse(text, out TimeSpan duration) ? duration : null;
        }
        else if (type == typeof(long))
        {
            value = SizeText.TryParse(text, out long bytes) ? bytes : null;
        }
        else if (type == typeof(int))
        {
            value = node.IsPlain && int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number) &&
                number >= key.Minimum && number <= key.Maximum ? number : null;
        }
        else if (type == typeof(bool))
        {
            value = node.IsPlain && text is "true" or "false" ? text == "true" : null;
        }
        else if (type.IsEnum)
        {
            value = Enum.GetNames(type).FirstOrDefault(name => SiteModel.NameOf(name) == text) is { } name ? Enum.Parse(type, name) : null;
        }

        if (value is null)
        {
            Report(node.Start, $"'{path}' must be {Expected(type, key)}, not '{Shorten(text)}'.");
        }

        return value;
    }

    private static string Expected(Type type, SiteKeyAttribute key) => type switch
    {
        _ when type == typeof(string) => SiteValueRule.Of(key.Kind).Expected,
        _ when type == typeof(SecretReference) => SecretReference.Expected,
        _ when type == typeof(KeyReference) => KeyReference.Expected,
        _ when type == typeof(TimeSpan) => DurationText.Expected,
        _ when type == typeof(long) => SizeText.Expected,
        _ when type == typeof(bool) => "true or false",
        _ when type == typeof(int) && key.Maximum == int.MaxValue => string.Create(
            CultureInfo.InvariantCulture, $"a whole number of at least {key.Minimum}"),
        _ when type == typeof(int) => string.Create(
            CultureInfo.InvariantCulture, $"a whole number from {key.Minimum} to {key.Maximum}"),
        _ => string.Join(" or ", Enum.GetNames(type).Select(SiteModel.NameOf)),
    };

    private static string DescribeUnknownKey(string name, string path, IReadOnlyList<SiteModel.Key> keys)
    {
        string what = path.Length == 0 ? $"'{Shorten(name)}' is not a key of the site file" : $"'{Shorten(name)}' is not a key of '{path}'";
        if (name == "<<")
        {
            return $"{what}: YAML's merge keys are not supported.";
        }

        string nearest = keys.Select(static key => key.Name).MinBy(key => EditDistance.Between(name, key))!;
        return EditDistance.Between(name, nearest) <= Math.Max(2, nearest.Length / 2)
            ? $"{what}; did you mean '{nearest}'?"
            : $"{what}; the nearest is '{nearest}', and all are {Quote(keys.Select(static key => key.Name))}.";
    }

    private void Report(Mark mark, string problem)
    {
        _problems++;
        report(mark, problem);
    }

    private static string Named(string path) => path.Length == 0 ? "The site file" : $"'{path}'";

    private static string Join(string path, string key) => path.Length == 0 ? key : $"{path}.{key}";

    private static string Quote(IEnumerable<string> names) => string.Join(", ", names.Select(static name => $"'{name}'"));

    private static string Shorten(string text) => text.Length <= 60 ? text : text[..60] + "…";
}
