namespace SmcDr;

/// <summary>A file that an import of write-ahead log did not take, and why.</summary>
public sealed record WalImportProblem
{
    /// <summary>The file.</summary>
    public required string Path { get; init; }

    /// <summary>The error id, such as <c>SmcWalInvalid</c> or <c>SmcWalDuplicate</c>.</summary>
    public required string ErrorId { get; init; }

    /// <summary>What is wrong with it.</summary>
    public required string Reason { get; init; }

    /// <inheritdoc/>
    public override string ToString() => $"{Path}: {Reason}";
}
