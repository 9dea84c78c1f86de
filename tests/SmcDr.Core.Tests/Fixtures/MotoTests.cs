namespace SmcDr.Core.Tests.Fixtures;

/// <summary>Tests that share one moto.</summary>
[CollectionDefinition(Name)]
public sealed class MotoTests : ICollectionFixture<MotoServer>
{
    public const string Name = "moto";
}
