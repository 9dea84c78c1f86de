using System.Collections.ObjectModel;
using System.Diagnostics.CodeAnalysis;

namespace SmcDr;

/// <summary>
/// A list within a result. As a text it is its items, so that a table, a string or a CSV file shows what is in it and not the name of a type.
/// </summary>
/// <typeparam name="T">The items.</typeparam>
[SuppressMessage("Naming", "CA1710", Justification = "It is a list.")]
public sealed class ResultList<T> : ReadOnlyCollection<T>, IEquatable<ResultList<T>>
{
    /// <summary>Makes a list of items.</summary>
    /// <param name="items">The items, which are not copied.</param>
    public ResultList(IList<T> items)
        : base(items)
    {
    }

    /// <summary>The items, with semicolons between them.</summary>
    public override string ToString() => string.Join("; ", this);

    /// <inheritdoc/>
    public bool Equals(ResultList<T>? other) => other is not null && this.SequenceEqual(other);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as ResultList<T>);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        HashCode hash = default;
        foreach (T item in this)
        {
            hash.Add(item);
        }

        return hash.ToHashCode();
    }
}
