namespace SmcDr.Core.ObjectStores;

/// <summary>A part of an object.</summary>
/// <param name="Content">What there is of the part; disposed by who asked for it.</param>
/// <param name="ObjectLength">The length of the whole object.</param>
public readonly record struct ObjectRange(Stream Content, long ObjectLength);
