namespace SmcDr.Core.Exports;

/// <summary>What is exported, and where to.</summary>
public sealed record TableExportOptions
{
    /// <summary>The database.</summary>
    public required string Database { get; init; }

    /// <summary>The tables and materialized views, as <c>schema.name</c> or, where only one has it, <c>name</c>; as they are, without quotes.</summary>
    public required IReadOnlyList<string> Tables { get; init; }

    /// <summary>The file, of one table; null = each gets one in <see cref="OutDirectory"/>.</summary>
    public string? OutFile { get; init; }

    /// <summary>The directory of files named <c>schema.name</c> and by the format.</summary>
    public string? OutDirectory { get; init; }

    /// <summary>How the rows are written.</summary>
    public TableExportFormat Format { get; init; }

    /// <summary>Whether a file that is there is replaced.</summary>
    public bool Force { get; init; }

    /// <summary>Throws where the options contradict each other, or a file that is known already is in the way: before hours of recovery.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>, <see cref="SmcErrorCode.TargetNotEmpty"/>.</exception>
    public void Validate()
    {
        if (Tables.Count == 0 || Tables.Any(string.IsNullOrWhiteSpace))
        {
            throw new SmcException(SmcErrorCode.ArgumentInvalid, "No table is named.", recommendation: "Name tables as schema.name.");
        }

        if ((OutFile is null) == (OutDirectory is null))
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "Either a file or a directory to export to is needed.",
                recommendation: "Give a file for one table, or a directory for any number of them.");
        }

        if (OutFile is not null && Tables.Count > 1)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"{Tables.Count} tables cannot go to one file.",
                recommendation: "Give a directory instead.",
                target: OutFile);
        }

        if (OutFile is not null)
        {
            RefuseExisting(OutFile);
            if (!Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(OutFile))))
            {
                throw new SmcException(
                    SmcErrorCode.TargetUnsuitable, $"The directory of the file '{OutFile}' does not exist.", target: OutFile);
            }
        }
    }

    internal void RefuseExisting(string path)
    {
        if (Directory.Exists(path))
        {
            throw new SmcException(SmcErrorCode.TargetUnsuitable, $"'{path}' is a directory.", target: path);
        }

        if (File.Exists(path) && !Force)
        {
            throw new SmcException(
                SmcErrorCode.TargetNotEmpty,
                $"The file '{path}' exists.",
                recommendation: "Name another one, or replace it with -Force.",
                target: path);
        }
    }
}
