using SmcDr.Core.Postgres.Preparation;

namespace SmcDr.Core.Tests.Postgres.Preparation;

public sealed class ScramVerifierTests
{
    [Fact]
    public void Compute_SaltOfRfc7677_GivesKeysOfItsExample()
    {
        // RFC 7677, section 3: the server's signature of the example is HMAC(ServerKey, AuthMessage).
        string verifier = ScramVerifier.Compute("pencil", Convert.FromBase64String("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096);
        Assert.StartsWith("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$", verifier, StringComparison.Ordinal);
        byte[] serverKey = Convert.FromBase64String(verifier.Split(':')[^1]);
        byte[] message = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"u8.ToArray();
        Assert.Equal(
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            Convert.ToBase64String(System.Security.Cryptography.HMACSHA256.HashData(serverKey, message)));
    }

    [Fact]
    public void Matches_OwnVerifier_OnlyForItsPassword()
    {
        string verifier = ScramVerifier.Create("correct horse");
        Assert.True(ScramVerifier.Matches(verifier, "correct horse"));
        Assert.False(ScramVerifier.Matches(verifier, "correct horsf"));
        Assert.NotEqual(verifier, ScramVerifier.Create("correct horse"));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("md5a3556571e93b0d20722ba62be61e8c2d")]
    [InlineData("SCRAM-SHA-256$4096:!$x:y")]
    [InlineData("SCRAM-SHA-256$0:AAAA$x:y")]
    public void Matches_AnythingElse_IsFalse(string? verifier) => Assert.False(ScramVerifier.Matches(verifier, "pencil"));

    [Theory]
    [InlineData("")]
    [InlineData("schlüssel")]
    [InlineData("a\u00adb")]
    [InlineData("a\tb")]
    public void Create_PasswordOnWhichClientsDisagree_IsRefusedWithoutRepeatingIt(string password)
    {
        SmcException refused = Assert.Throws<SmcException>(() => ScramVerifier.Create(password));
        Assert.Equal(SmcErrorCode.ArgumentInvalid, refused.Code);
        Assert.True(password.Length == 0 || !refused.Message.Contains(password, StringComparison.Ordinal));
    }
}
