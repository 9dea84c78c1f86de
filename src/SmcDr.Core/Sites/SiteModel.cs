using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace SmcDr.Core.Sites;

/// <summary>What the site file may hold, read from the records and their <see cref="SiteKeyAttribute"/>s: for the loader and the schema.</summary>
internal static class SiteModel
{
    private static readonly ConcurrentDictionary<Type, IReadOnlyList<Key>> s_keys = new();

    /// <summary>One key of a record.</summary>
    public sealed record Key(string Name, PropertyInfo Property, SiteKeyAttribute Attribute, bool IsRequired)
    {
        /// <summary>The type of the value, without <c>Nullable</c>.</summary>
        public Type Type { get; } = Nullable.GetUnderlyingType(Property.PropertyType) ?? Property.PropertyType;
    }

    /// <summary>The keys of a record in the order of its declaration.</summary>
    public static IReadOnlyList<Key> KeysOf(Type record) => s_keys.GetOrAdd(record, static type =>
    [
        .. from property in type.GetProperties()
           let attribute = property.GetCustomAttribute<SiteKeyAttribute>()
           where attribute is not null
           orderby property.MetadataToken
           select new Key(
               NameOf(property.Name), property, attribute, property.IsDefined(typeof(RequiredMemberAttribute), inherit: false)),
    ]);

    /// <summary>Whether a type is a record of the site file.</summary>
    public static bool IsRecord(Type type) => KeysOf(type).Count > 0;

    /// <summary>The type of a list's items, or null where the type is no list.</summary>
    public static Type? ItemOf(Type type) => ArgumentOf(type, typeof(IReadOnlyList<>), 0);

    /// <summary>The type of the values by name, or null where the type is none such.</summary>
    public static Type? EntryOf(Type type) => ArgumentOf(type, typeof(IReadOnlyDictionary<,>), 1);

    /// <summary>The word that stands for an enumeration's member in the site file, or for a property.</summary>
    public static string NameOf(string member) => JsonNamingPolicy.CamelCase.ConvertName(member);

    private static Type? ArgumentOf(Type type, Type definition, int index) =>
        type.IsGenericType && type.GetGenericTypeDefinition() == definition ? type.GetGenericArguments()[index] : null;
}
