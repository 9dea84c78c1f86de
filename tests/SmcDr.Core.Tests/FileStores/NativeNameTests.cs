using System.Text;
using FsCheck;
using FsCheck.Fluent;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Tests.FileStores;

public sealed class NativeNameTests
{
    [Fact]
    public void Escape_AnyBytes_ComeBack()
    {
        Prop.ForAll<byte[]>(bytes =>
        {
            byte[] name = [.. bytes.Where(static b => b != 0)];
            string text = NativeName.Escape(name);
            return NativeName.ToBytes(text).AsSpan()[..^1].SequenceEqual(name) &&
                text == Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)) && !text.Contains('\\', StringComparison.Ordinal);
        }).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData(new byte[] { 0xFF, (byte)'a' }, "%FFa")]
    [InlineData(new byte[] { (byte)'a', (byte)'%', (byte)'4', (byte)'1' }, "a%2541")]
    [InlineData(new byte[] { (byte)'a', (byte)'\\', (byte)'b' }, "a%5Cb")]
    [InlineData(new byte[] { 0xC3, 0xA4 }, "ä")]
    [InlineData(new byte[] { 0xC3 }, "%C3")]
    [InlineData(new byte[] { 0xED, 0xA0, 0x80 }, "%ED%A0%80")]
    [InlineData(new byte[] { (byte)'\n' }, "\n")]
    public void Escape_OddNames_HaveOneForm(byte[] name, string expected) => Assert.Equal(expected, NativeName.Escape(name));

    [Theory]
    [InlineData("%2E%2E")]
    [InlineData("a%2Fb")]
    [InlineData("%00")]
    [InlineData("%41")]
    [InlineData("%ff")]
    [InlineData("%C3%A4")]
    [InlineData("%")]
    [InlineData("%4")]
    [InlineData("a\\b")]
    [InlineData("..")]
    [InlineData("")]
    public void PartToBytes_OtherForm_IsRefused(string text) =>
        Assert.Equal(SmcErrorCode.ManifestInvalid, Assert.Throws<SmcException>(() => NativeName.PartToBytes(text)).Code);

    [Fact]
    public void ToBytes_HalfASurrogatePair_IsRefused()
    {
        foreach (string text in new[] { new string('\ud800', 1), "%25" + new string('\udc00', 1) })
        {
            Assert.Equal(SmcErrorCode.ManifestInvalid, Assert.Throws<SmcException>(() => NativeName.ToBytes(text)).Code);
        }
    }

    [Theory]
    [InlineData("0.000000000", 0, 0)]
    [InlineData("1763799300.123456789", 1763799300, 123456789)]
    [InlineData("-1.500000000", -1, 500000000)]
    public void FileTime_Text_ComesBack(string text, long seconds, int nanoseconds)
    {
        FileTime time = new(seconds, nanoseconds);
        Assert.Equal(text, time.ToString());
        Assert.Equal(time, FileTime.Parse(text));
    }

    [Fact]
    public void FileTime_Subtract_BorrowsSeconds()
    {
        Assert.Equal(new FileTime(7, 900_000_000), new FileTime(10, 400_000_000).Subtract(TimeSpan.FromSeconds(2.5)));
        Assert.Equal(new FileTime(11, 200_000_000), new FileTime(10, 700_000_000).Subtract(TimeSpan.FromSeconds(-0.5)));
        Assert.Equal(new FileTime(-1, 500_000_000), FileTime.From(DateTimeOffset.UnixEpoch.AddSeconds(-0.5)));
    }
}
