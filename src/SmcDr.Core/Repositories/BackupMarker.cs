namespace SmcDr.Core.Repositories;

/// <summary>The completion marker: the root of all trust in a backup. It repeats the header, so that a listing reads one object a backup.</summary>
/// <param name="Format">The format.</param>
/// <param name="ManifestLength">The manifest's length.</param>
/// <param name="ManifestHash">The manifest's SHA-256.</param>
/// <param name="ManifestCodec">How the manifest is compressed.</param>
/// <param name="Header">The manifest's header.</param>
internal sealed record BackupMarker(
    int Format, long ManifestLength, Hash256 ManifestHash, string ManifestCodec, BackupHeader Header);
