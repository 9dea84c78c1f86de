using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>A part of a file, and where its content is.</summary>
/// <param name="File">The file.</param>
/// <param name="Offset">Where the part begins in it.</param>
/// <param name="Length">How long it is.</param>
/// <param name="Extents">What it consists of, in order.</param>
internal sealed record PodRestorePiece(RestoreFile File, long Offset, int Length, IReadOnlyList<FileExtent> Extents);
