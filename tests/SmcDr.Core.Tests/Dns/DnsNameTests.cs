using SmcDr.Core.Dns;

namespace SmcDr.Core.Tests.Dns;

public sealed class DnsNameTests
{
    [Theory]
    [InlineData("API.Example.COM", "api.example.com.")]
    [InlineData("api.example.com.", "api.example.com.")]
    [InlineData(@"\052.example.com.", "*.example.com.")]
    [InlineData("*.example.com", "*.example.com.")]
    [InlineData(@"a\100b.example.com", "a@b.example.com.")]
    [InlineData("münchen.example", "xn--mnchen-3ya.example.")]
    [InlineData(@"a\.b.example", @"a\056b.example.")]
    [InlineData(@"a\040b.example", @"a\040b.example.")]
    [InlineData("_dmarc.example.com", "_dmarc.example.com.")]
    [InlineData(".", ".")]
    public void Parse_Name_HasOneForm_Route53Trap3(string text, string expected)
    {
        DnsName name = DnsName.Parse(text);

        Assert.Equal(expected, name.Text);
        Assert.Equal(name, DnsName.Parse(name.Text));
    }

    [Theory]
    [InlineData("")]
    [InlineData("a..b")]
    [InlineData(".a")]
    [InlineData("a b")]
    [InlineData(@"a\9")]
    [InlineData(@"a\")]
    [InlineData("123456789012345678901234567890123456789012345678901234567890abcd.example")]
    public void TryParse_NoName_IsRefused(string text) => Assert.False(DnsName.TryParse(text, out _));

    [Fact]
    public void TryParse_TooLong_IsRefused()
    {
        string label = new('a', 63);
        Assert.True(DnsName.TryParse($"{label}.{label}.{label}.{new string('a', 61)}", out _));
        Assert.False(DnsName.TryParse($"{label}.{label}.{label}.{new string('a', 62)}", out _));
    }

    [Fact]
    public void IsWithin_OnlyWholeLabelsCount()
    {
        DnsName zone = DnsName.Parse("example.com");

        Assert.True(DnsName.Parse("api.example.com").IsWithin(zone));
        Assert.True(zone.IsWithin(zone));
        Assert.False(DnsName.Parse("badexample.com").IsWithin(zone));
        Assert.False(DnsName.Parse("com").IsWithin(zone));
    }

    [Theory]
    [InlineData("192.0.2.1", "A")]
    [InlineData("2001:DB8::1", "AAAA")]
    [InlineData("west.example.com", "CNAME")]
    [InlineData("192.0.2", "CNAME")]
    [InlineData("1", "CNAME")]
    public void TypeOf_Value_IsWhatWasMeant(string value, string expected) => Assert.Equal(expected, DnsValues.TypeOf(value));

    [Fact]
    public void AreSame_OtherSpellingAndOrder_AreTheSame()
    {
        Assert.True(DnsValues.AreSame("AAAA", ["2001:db8::1", "2001:DB8:0:0::2"], ["2001:db8::2", "2001:db8:0::1"]));
        Assert.True(DnsValues.AreSame("CNAME", ["West.example.com"], ["west.example.com."]));
        Assert.False(DnsValues.AreSame("A", ["192.0.2.1"], ["192.0.2.1", "192.0.2.2"]));
    }

    [Theory]
    [InlineData("A", "west.example.com")]
    [InlineData("A", "2001:db8::1")]
    [InlineData("CNAME", "192.0.2.1")]
    [InlineData("CNAME", "a.example.com", "b.example.com")]
    [InlineData("A", "192.0.2.1", "192.0.2.1")]
    [InlineData("A")]
    public void Validate_WrongValues_AreRefused(string type, params string[] values) =>
        Assert.Equal(SmcErrorCode.ArgumentInvalid, Assert.Throws<SmcException>(() => DnsValues.Validate(type, values)).Code);
}
