using SmcDr.Core.Notifications;

namespace SmcDr.Core.Tests.Notifications;

/// <summary>What people write into notes and alerts, and what has the form of a secret in it.</summary>
public sealed class SecretTextTests
{
    [Theory]
    [InlineData("Host=db;Password=hunter2;Port=1", "Host=db;Password=***;Port=1")]
    [InlineData("the passphrase: correct-horse", "the passphrase: ***")]
    [InlineData("passphrase = 'correct horse' and more", "passphrase = *** and more")]
    [InlineData("AWS_SECRET_ACCESS_KEY=abc/def+x", "AWS_SECRET_ACCESS_KEY=***")]
    [InlineData("SLACK_TOKEN=xoxb-1", "SLACK_TOKEN=***")]
    [InlineData("api-key: 123, then", "api-key: ***, then")]
    [InlineData("{\"password\": \"hunter2\", \"user\": \"ada\"}", "{\"password\": ***, \"user\": \"ada\"}")]
    [InlineData("see https://hooks.slack.com/services/T0/B0/xyz now", "see https://hooks.slack.com/*** now")]
    [InlineData("https://discord.com/api/webhooks/1/abc", "https://discord.com/api/webhooks/***")]
    [InlineData("https://contoso.webhook.office.com/webhookb2/1@2/x", "https://contoso.webhook.office.com/***")]
    [InlineData("postgres://ada:hunter2@db/x", "postgres://***@db/x")]
    public void Hide_TextWithTheFormOfASecret_IsWithoutIt(string text, string expected) => Assert.Equal(expected, new SecretText([]).Hide(text));

    [Theory]
    [InlineData("The password was changed, and the token is new.")]
    [InlineData("Restored 3 secrets: two are Secrets of Kubernetes.")]
    [InlineData("see https://status.example.test/incidents/7")]
    [InlineData("The secretary: out of office")]
    public void Hide_OrdinaryText_StaysAsItIs(string text) => Assert.Equal(text, new SecretText([]).Hide(text));
}
