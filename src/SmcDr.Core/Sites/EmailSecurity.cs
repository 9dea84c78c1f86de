namespace SmcDr.Core.Sites;

/// <summary>How the connection to an SMTP server is protected.</summary>
public enum EmailSecurity
{
    /// <summary>TLS after the greeting (RFC 3207). A server that does not offer it gets nothing.</summary>
    StartTls,

    /// <summary>TLS from the beginning (RFC 8314).</summary>
    Tls,

    /// <summary>In clear.</summary>
    None,
}
