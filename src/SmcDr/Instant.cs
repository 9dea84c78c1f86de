using System.Globalization;

namespace SmcDr;

/// <summary>An instant as it was given to a command: resolved, or with the reason why it cannot be.</summary>
/// <remarks>
/// PowerShell reports what the reading of an argument throws with an id of its own and without a recommendation. So the refusal
/// travels to the command, which throws it before it does anything else.
/// </remarks>
public sealed class Instant
{
    private readonly DateTimeOffset _time;
    private readonly SmcException? _refusal;

    /// <summary>An instant.</summary>
    public Instant(DateTimeOffset time) => _time = time.ToUniversalTime();

    /// <summary>What was meant as an instant and is none.</summary>
    public Instant(SmcException refusal)
    {
        ArgumentNullException.ThrowIfNull(refusal);
        _refusal = refusal;
    }

    /// <summary>The instant in UTC.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.TargetTimeAmbiguous"/> or <see cref="SmcErrorCode.ArgumentInvalid"/>: what was given is none.
    /// </exception>
    public DateTimeOffset Resolve() => _refusal is null
        ? _time
        : throw new SmcException(_refusal.Code, _refusal.Message, _refusal, _refusal.Recommendation, _refusal.Target);

    /// <inheritdoc/>
    public override string ToString() => _refusal?.Message ?? _time.ToString("O", CultureInfo.InvariantCulture);
}
