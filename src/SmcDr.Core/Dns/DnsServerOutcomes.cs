namespace SmcDr.Core.Dns;

/// <summary>The words of <see cref="DnsServerAnswer.Outcome"/>.</summary>
public static class DnsServerOutcomes
{
    /// <summary>The answer is what Route 53 has.</summary>
    public const string Current = nameof(Current);

    /// <summary>The answer is another.</summary>
    public const string Different = nameof(Different);

    /// <summary>There is no such record.</summary>
    public const string Missing = nameof(Missing);

    /// <summary>The server repeats what it has heard.</summary>
    public const string NotAuthoritative = nameof(NotAuthoritative);

    /// <summary>The server says that it does not, or cannot.</summary>
    public const string Failed = nameof(Failed);

    /// <summary>What came is no answer.</summary>
    public const string Invalid = nameof(Invalid);

    /// <summary>Nothing came.</summary>
    public const string Silent = nameof(Silent);

    /// <summary>The answer cannot be compared.</summary>
    public const string Unknown = nameof(Unknown);
}
