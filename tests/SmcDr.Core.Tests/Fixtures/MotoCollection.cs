namespace SmcDr.Core.Tests.Fixtures;

/// <summary>Tests that share one moto.</summary>
[CollectionDefinition(Name)]
public sealed class MotoCollection : ICollectionFixture<MotoServer>
{
    public const string Name = "moto";
}
