using System.Text;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Tests.Platform;

public sealed class LosslessTextTests
{
    [Theory]
    [InlineData(new byte[] { })]
    [InlineData(new byte[] { 0x66, 0xFC, 0x72 })]
    [InlineData(new byte[] { 0xEF, 0xBB, 0xBF, 0x23 })]
    [InlineData(new byte[] { 0xC3 })]
    [InlineData(new byte[] { 0xE2, 0x82, 0x0A, 0xF0, 0x9F, 0x98 })]
    [InlineData(new byte[] { 0xED, 0xB3, 0xBC, 0xFF, 0x80 })]
    [InlineData(new byte[] { 0xC3, 0xBC, 0xF0, 0x9F, 0x98, 0x80, 0x00 })]
    public void Encode_WhatWasDecoded_IsAsItWas(byte[] bytes) => Assert.Equal(bytes, LosslessText.Encode(LosslessText.Decode(bytes)));

    [Fact]
    public void Encode_AllPairsOfBytes_AreAsTheyWere()
    {
        for (int pair = 0; pair <= 0xFFFF; pair++)
        {
            byte[] bytes = [(byte)(pair >> 8), (byte)pair, (byte)'\n', (byte)pair];
            Assert.Equal(bytes, LosslessText.Encode(LosslessText.Decode(bytes)));
        }
    }

    [Fact]
    public void Decode_Utf8_IsRead()
    {
        Assert.Equal("port = 5433 # für 😀\n", LosslessText.Decode(Encoding.UTF8.GetBytes("port = 5433 # für 😀\n")));
        Assert.Equal("für 😀"u8, LosslessText.Encode("für 😀"));
    }
}
