using SmcDr.Core.Recovery;

namespace SmcDr.Core.Tests.Recovery;

public sealed class ServerIsolationTests
{
    [Theory]
    [InlineData("/srv/orders", "/srv/orders")]
    [InlineData("/srv/orders/", "/srv/orders")]
    [InlineData("/srv/orders", "/srv/orders/")]
    [InlineData("/srv/../srv//orders/", "/srv/orders")]
    public void Create_SideInstanceInTheDirectoryOfProduction_IsRefusedHoweverItIsWritten(string asked, string production)
    {
        SmcException error = Assert.Throws<SmcException>(() => ServerIsolation.Create(true, null, false, asked, production));

        Assert.Equal(SmcErrorCode.ArgumentInvalid, error.Code);
        Assert.NotNull(ServerIsolation.Create(true, null, false, "/srv/orders-beside", production));
    }
}
