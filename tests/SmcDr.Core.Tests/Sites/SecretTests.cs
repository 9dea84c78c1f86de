using SmcDr.Core.Operations;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Tests.Sites;

public sealed class SecretTests : IDisposable
{
    private const string Secret = "correct horse battery staple";
    private readonly string _directory = Directory.CreateTempSubdirectory("smcdr-test-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("env:PGPASSWORD", SecretScheme.Environment, "PGPASSWORD")]
    [InlineData("secret:ops/postgres/main", SecretScheme.Vault, "ops/postgres/main")]
    [InlineData("k8s:prod/postgres/password", SecretScheme.Kubernetes, "prod/postgres/password")]
    [InlineData("file:/etc/smcdr/key", SecretScheme.File, "/etc/smcdr/key")]
    [InlineData("file:key", SecretScheme.File, "/srv/site/key")]
    public void Parse_Reference_HasSchemeAndName(string text, SecretScheme scheme, string name)
    {
        SecretReference reference = SecretReference.Parse(text, "/srv/site");

        Assert.Equal((scheme, name), (reference.Scheme, reference.Name));
        Assert.Equal(reference, SecretReference.Parse(reference.ToString()));
    }

    [Theory]
    [InlineData("hunter2")]
    [InlineData("env:")]
    [InlineData("env:MY-NAME hunter2")]
    [InlineData("k8s:prod/hunter2")]
    [InlineData("secret:hunter2")]
    [InlineData("vault:hunter2")]
    [InlineData("https://hooks.slack.com/services/hunter2")]
    [InlineData("file:/a\nhunter2")]
    public void Parse_NoReference_IsRefusedWithoutRepeatingIt(string text)
    {
        SmcException e = Assert.Throws<SmcException>(() => SecretReference.Parse(text));

        Assert.Equal(SmcErrorCode.ArgumentInvalid, e.Code);
        Assert.DoesNotContain("hunter2", e.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("awskms:arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab")]
    [InlineData("awskms:alias/smcdr")]
    [InlineData("file:/etc/smcdr/repository.key")]
    [InlineData("env:KEY")]
    [InlineData("secret:ops/repository")]
    public void KeyReference_OfAnyKind_ComesBackAsItWas(string text)
    {
        KeyReference reference = KeyReference.Parse(text);

        Assert.Equal(text, reference.ToString());
        Assert.Equal(text.StartsWith("awskms:", StringComparison.Ordinal), reference.Secret is null);
    }

    [Theory]
    [InlineData("hunter2")]
    [InlineData("awskms:")]
    [InlineData("awskms:alias/x hunter2")]
    [InlineData("SMCDR-KEY-1 hunter2")]
    public void KeyReference_None_IsRefusedWithoutRepeatingIt(string text)
    {
        SmcException e = Assert.Throws<SmcException>(() => KeyReference.Parse(text));

        Assert.Equal(SmcErrorCode.ArgumentInvalid, e.Code);
        Assert.DoesNotContain("hunter2", e.ToString(), StringComparison.Ordinal);
        Assert.False(SecretReference.TryParse("awskms:alias/smcdr", null, out _));
    }

    [Theory]
    [InlineData(Secret, Secret)]
    [InlineData(Secret + "\n", Secret)]
    [InlineData(Secret + "\r\n", Secret)]
    [InlineData(Secret + "\n\n", Secret + "\n")]
    [InlineData("\uFEFF" + Secret, Secret)]
    [InlineData("pässwörd ", "pässwörd ")]
    public async Task ResolveAsync_File_LosesOneLineEndAndNothingElse(string content, string expected)
    {
        SecretReference reference = await WriteAsync(content);

        Assert.Equal(expected, await new SecretResolver().ResolveAsync(reference, default));
    }

    [Fact]
    public async Task ResolveAsync_FileReadableByOthers_Warns()
    {
        SecretReference reference = await WriteAsync(Secret);
        RecordingObserver observer = new();
        SecretResolver resolver = new(observer);

        await resolver.ResolveAsync(reference, default);
        Assert.Empty(observer.Warnings);
        File.SetUnixFileMode(reference.Name, UnixFileMode.UserRead | UnixFileMode.OtherRead);
        await resolver.ResolveAsync(reference, default);

        string warning = Assert.Single(observer.Warnings);
        Assert.Contains(reference.Name, warning, StringComparison.Ordinal);
        Assert.DoesNotContain(Secret, warning, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ResolveAsync_Environment_IsReadEachTime()
    {
        string name = "SMCDR_TEST_" + Guid.NewGuid().ToString("N");
        SecretReference reference = SecretReference.Parse("env:" + name);
        SecretResolver resolver = new();
        try
        {
            Environment.SetEnvironmentVariable(name, "old");
            Assert.Equal("old", await resolver.ResolveAsync(reference, default));
            Environment.SetEnvironmentVariable(name, "rotated");
            Assert.Equal("rotated", await resolver.ResolveAsync(reference, default));
        }
        finally
        {
            Environment.SetEnvironmentVariable(name, null);
        }

        await AssertUnavailableAsync(resolver, reference);
    }

    [Fact]
    public async Task ResolveAsync_MissingEmptyHugeOrBinaryFile_IsUnavailableAndNamesTheReference()
    {
        SecretResolver resolver = new();
        await AssertUnavailableAsync(resolver, SecretReference.Parse("file:missing", _directory));
        await AssertUnavailableAsync(resolver, SecretReference.Parse($"file:{_directory}"));
        await AssertUnavailableAsync(resolver, await WriteAsync("\n"));
        await AssertUnavailableAsync(resolver, await WriteAsync(new string('x', 70_000)));
        SecretReference binary = await WriteAsync("x");
        await File.WriteAllBytesAsync(binary.Name, [0xFF, 0xFE, 0x00, 0xD8]);
        await AssertUnavailableAsync(resolver, binary);
    }

    [Theory]
    [InlineData("secret:ops/postgres")]
    [InlineData("k8s:prod/postgres/password")]
    public async Task ResolveAsync_SchemeOfTheHost_GoesToTheHostOrIsUnavailable(string text)
    {
        SecretReference reference = SecretReference.Parse(text);
        SecretResolver with = new()
        {
            Vault = static (r, _) => ValueTask.FromResult<string?>("of " + r.Name),
            Kubernetes = static (r, _) => ValueTask.FromResult<string?>("of " + r.Name),
        };
        SecretResolver knowingNothing = new()
        {
            Vault = static (_, _) => ValueTask.FromResult<string?>(null),
            Kubernetes = static (_, _) => ValueTask.FromResult<string?>(null),
        };

        Assert.Equal("of " + reference.Name, await with.ResolveAsync(reference, default));
        await AssertUnavailableAsync(new SecretResolver(), reference);
        await AssertUnavailableAsync(knowingNothing, reference);
    }

    private static async Task AssertUnavailableAsync(SecretResolver resolver, SecretReference reference)
    {
        SmcException e = await Assert.ThrowsAsync<SmcException>(async () => await resolver.ResolveAsync(reference, default));
        Assert.Equal(SmcErrorCode.SecretUnavailable, e.Code);
        Assert.Contains(reference.ToString(), e.Message, StringComparison.Ordinal);
    }

    private async Task<SecretReference> WriteAsync(string content)
    {
        string path = Path.Combine(_directory, Guid.NewGuid().ToString("N"));
        await File.WriteAllTextAsync(path, content);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return SecretReference.Parse("file:" + path);
    }

    private sealed class RecordingObserver : IOperationObserver
    {
        public List<string> Warnings { get; } = [];

        public void Verbose(string message)
        {
        }

        public void Warning(string message) => Warnings.Add(message);

        public void Progress(OperationProgress progress)
        {
        }
    }
}
