using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace SmcDr.Core.Postgres.Preparation;

/// <summary>
/// What PostgreSQL keeps in place of a password (RFC 5802 with SHA-256 of RFC 7677, in the form of libpq's PQencryptPasswordConn):
/// <c>SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey</c>. Computed here, so that the password itself is never sent.
/// </summary>
internal static class ScramVerifier
{
    public const int DefaultIterations = 4096;
    private const string Scheme = "SCRAM-SHA-256";
    private const int SaltLength = 16;

    /// <summary>A new verifier, with a salt of its own.</summary>
    public static string Create(string password, int iterations = DefaultIterations) =>
        Compute(password, RandomNumberGenerator.GetBytes(SaltLength), iterations);

    /// <summary>The verifier of a password and a salt.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: clients would not agree on the password's form.</exception>
    public static string Compute(string password, ReadOnlySpan<byte> salt, int iterations)
    {
        // SASLprep (RFC 4013) leaves printable ASCII as it is. Of anything else clients have differing notions: libpq falls back to the raw
        // bytes where the string is prohibited, others normalize more or less of it.
        if (password.Length == 0 || password.AsSpan().ContainsAnyExceptInRange(' ', '~'))
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "The password of a backup role consists of printable ASCII characters, at least one: of others clients make different keys.",
                recommendation: "Choose a long random password of letters and digits.");
        }

        byte[] salted = Rfc2898DeriveBytes.Pbkdf2(Encoding.ASCII.GetBytes(password), salt, iterations, HashAlgorithmName.SHA256, SHA256.HashSizeInBytes);
        try
        {
            byte[] storedKey = SHA256.HashData(HMACSHA256.HashData(salted, "Client Key"u8));
            byte[] serverKey = HMACSHA256.HashData(salted, "Server Key"u8);
            return string.Create(
                CultureInfo.InvariantCulture,
                $"{Scheme}${iterations}:{Convert.ToBase64String(salt)}${Convert.ToBase64String(storedKey)}:{Convert.ToBase64String(serverKey)}");
        }
        finally
        {
            CryptographicOperations.ZeroMemory(salted);
        }
    }

    /// <summary>Whether a verifier is that of a password. One of another kind, such as md5, is not.</summary>
    public static bool Matches(string? verifier, string password)
    {
        if (verifier?.Split('$') is not [Scheme, var head, _] || head.Split(':') is not [var count, var salt] ||
            !int.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out int iterations) || iterations < 1 || !Base64.IsValid(salt))
        {
            return false;
        }

        return CryptographicOperations.FixedTimeEquals(
            Encoding.ASCII.GetBytes(verifier), Encoding.ASCII.GetBytes(Compute(password, Convert.FromBase64String(salt), iterations)));
    }
}
