namespace SmcDr.Core.Operations;

/// <summary>What a progress counts.</summary>
public enum ProgressUnit
{
    /// <summary>Bytes.</summary>
    Bytes,

    /// <summary>Things, such as files or steps.</summary>
    Items,
}
