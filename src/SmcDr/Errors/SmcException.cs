namespace SmcDr;

/// <summary>A failure that SmcDr foresees: what happened, and by its <see cref="Code"/> what to do about it.</summary>
public sealed class SmcException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="code">The cause, which gives the error id, the category, the exit code and the recommendation.</param>
    /// <param name="message">A whole sentence that names the thing concerned. Never holds a secret.</param>
    /// <param name="innerException">What led to it.</param>
    /// <param name="recommendation">What to do next, where more is known than the code's general recommendation.</param>
    /// <param name="target">The thing concerned, such as a backup id or a directory.</param>
    public SmcException(
        SmcErrorCode code,
        string message,
        Exception? innerException = null,
        string? recommendation = null,
        string? target = null)
        : base(message, innerException)
    {
        Code = code;
        Recommendation = recommendation ?? SmcErrors.Get(code).Recommendation;
        Target = target;
    }

    /// <summary>The cause.</summary>
    public SmcErrorCode Code { get; }

    /// <summary>What the operator should do next.</summary>
    public string Recommendation { get; }

    /// <summary>The thing concerned, such as a backup id or a directory.</summary>
    public string? Target { get; }

    /// <summary>The stable id of the error, such as <c>SmcTargetNotEmpty</c>.</summary>
    public string ErrorId => SmcErrors.Get(Code).ErrorId;
}
