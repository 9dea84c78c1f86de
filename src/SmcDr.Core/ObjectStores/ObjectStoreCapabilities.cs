namespace SmcDr.Core.ObjectStores;

/// <summary>What an object store was found to do.</summary>
/// <param name="ConditionalWrites">Whether a write to a taken key is refused by the store itself, so that two writers cannot both win.</param>
/// <param name="Versioning">Whether deleted and overwritten objects are kept as versions.</param>
/// <param name="ObjectLock">Whether objects can be locked against removal.</param>
public sealed record ObjectStoreCapabilities(bool ConditionalWrites, bool Versioning, bool ObjectLock);
