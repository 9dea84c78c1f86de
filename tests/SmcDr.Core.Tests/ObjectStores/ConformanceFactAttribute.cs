using Xunit.Abstractions;
using Xunit.Sdk;

namespace SmcDr.Core.Tests.ObjectStores;

/// <summary>A test of the conformance suite. The class that runs it says by <see cref="NeedsMotoAttribute"/> what it needs.</summary>
[AttributeUsage(AttributeTargets.Method)]
[XunitTestCaseDiscoverer("SmcDr.Core.Tests.ObjectStores.ConformanceFactDiscoverer", "SmcDr.Core.Tests")]
public sealed class ConformanceFactAttribute : FactAttribute;

/// <summary>The tests of a class need moto.</summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class NeedsMotoAttribute : Attribute;

/// <summary>Finds the tests of the suite for each class that inherits it.</summary>
public sealed class ConformanceFactDiscoverer(IMessageSink diagnostics) : IXunitTestCaseDiscoverer
{
    public IEnumerable<IXunitTestCase> Discover(
        ITestFrameworkDiscoveryOptions discoveryOptions,
        ITestMethod testMethod,
        IAttributeInfo factAttribute) =>
        [
            new ConformanceTestCase(
                diagnostics,
                discoveryOptions.MethodDisplayOrDefault(),
                discoveryOptions.MethodDisplayOptionsOrDefault(),
                testMethod),
        ];
}

/// <summary>A test that xunit 2 skips by the class that inherits it, which an attribute of the method cannot know.</summary>
public sealed class ConformanceTestCase : XunitTestCase
{
    [Obsolete("Called by the de-serializer.", error: true)]
    public ConformanceTestCase()
    {
    }

    public ConformanceTestCase(IMessageSink diagnostics, TestMethodDisplay display, TestMethodDisplayOptions options, ITestMethod method)
        : base(diagnostics, display, options, method)
    {
    }

    protected override string GetSkipReason(IAttributeInfo factAttribute) =>
        TestMethod.TestClass.Class.GetCustomAttributes(typeof(NeedsMotoAttribute)).Any()
            ? Fixtures.MotoInstallation.SkipReason!
            : base.GetSkipReason(factAttribute);
}
