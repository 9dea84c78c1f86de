namespace SmcDr.Core.Operations;

/// <summary>An <see cref="SmcException"/> on its way from another process.</summary>
/// <param name="Code">The name of its <see cref="SmcErrorCode"/>: one that this version does not know must still be readable.</param>
/// <param name="Message">What happened.</param>
/// <param name="Recommendation">What to do next.</param>
/// <param name="Target">The thing concerned.</param>
public sealed record CommandFailure(string Code, string Message, string Recommendation, string? Target)
{
    /// <summary>What is sent of an exception.</summary>
    public static CommandFailure From(SmcException error)
    {
        ArgumentNullException.ThrowIfNull(error);
        return new CommandFailure(error.Code.ToString(), error.Message, error.Recommendation, error.Target);
    }

    /// <summary>The exception again; one of a code that is not known here is of <paramref name="unknown"/>.</summary>
    public SmcException ToException(SmcErrorCode unknown) => new(
        Enum.TryParse(Code, out SmcErrorCode code) && Enum.IsDefined(code) ? code : unknown, Message, recommendation: Recommendation, target: Target);
}
