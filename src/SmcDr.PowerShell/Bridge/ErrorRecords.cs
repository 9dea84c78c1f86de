using System.Management.Automation;

namespace SmcDr.PowerShell.Bridge;

/// <summary>The one place where failures become PowerShell's error records.</summary>
internal static class ErrorRecords
{
    /// <summary>The record of a foreseen failure, with its id, category and recommendation.</summary>
    public static ErrorRecord From(SmcException error, object? target = null)
    {
        // The names of the two enumerations are the same by contract; a test walks through them.
        ErrorCategory category = Enum.Parse<ErrorCategory>(SmcErrors.Get(error.Code).Category.ToString());
        return new ErrorRecord(error, error.ErrorId, category, target ?? error.Target)
        {
            ErrorDetails = new ErrorDetails(error.Message) { RecommendedAction = error.Recommendation },
        };
    }

    /// <summary>The record of a failure that nobody foresaw.</summary>
    public static ErrorRecord FromUnforeseen(Exception error) => From(Translate(error));

    private static SmcException Translate(Exception error)
    {
        switch (error)
        {
            case SmcException known:
                return known;
            case AggregateException { InnerExceptions.Count: 1 } single:
                return Translate(single.InnerExceptions[0]);
            case OperationCanceledException { InnerException: TimeoutException }:
                return new SmcException(
                    SmcErrorCode.OperationTimedOut, $"An operation took too long: {error.Message}", error);
            default:
                return new SmcException(
                    SmcErrorCode.InternalError, $"SmcDr ran into something unforeseen: {error.Message}", error);
        }
    }
}
