using System.Net;
using SmcDr.Core.Dns;
using SmcDr.Core.Operations;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Dns;

/// <summary>What servers of a zone answer: a real one, and ones that misbehave.</summary>
public sealed class DnsServersTests
{
    private static readonly DnsName s_name = DnsName.Parse("api.example.test");
    private static readonly DnsServerClient s_client = new() { Silence = TimeSpan.FromMilliseconds(300), Attempts = 2 };

    [Fact]
    public async Task Ask_RealServer_AnswersOfItsOwn()
    {
        await using DnsmasqServer server = await DnsmasqServer.StartAsync(
            "--cname=api.example.test,west.example.test", "--host-record=west.example.test,192.0.2.2,2001:db8::2");

        DnsAnswer alias = await AskAsync(server, "api.example.test", "CNAME");
        DnsAnswer chased = await AskAsync(server, "api.example.test", "A");
        DnsAnswer six = await AskAsync(server, "west.example.test", "AAAA");
        DnsAnswer none = await AskAsync(server, "west.example.test", "CNAME");
        DnsAnswer nowhere = await AskAsync(server, "nowhere.example.test", "A");
        DnsAnswer soa = await AskAsync(server, "example.test", "SOA");

        Assert.True(alias.IsAuthoritative);
        Assert.Equal(("NOERROR", "west.example.test.", 60, "UDP"), (alias.Code, Assert.Single(alias.Values), alias.Ttl, alias.Transport));
        Assert.Equal("west.example.test.", chased.Alias);
        Assert.Equal("2001:db8::2", Assert.Single(six.Values));
        Assert.Equal(("NOERROR", 0), (none.Code, none.Values.Count));
        Assert.Equal(("NXDOMAIN", 60), (nowhere.Code, nowhere.NegativeTtl));
        Assert.StartsWith("ns1.example.test. hostmaster.example.test. 1 ", Assert.Single(soa.Values), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ask_AnswerThatUdpDoesNotHold_ComesOverTcp()
    {
        string[] addresses = [.. Enumerable.Range(1, 60).Select(static i => $"198.51.100.{i}")];
        await using DnsmasqServer server = await DnsmasqServer.StartAsync(
            [.. addresses.Select(static address => $"--host-record=many.example.test,{address}")]);

        DnsAnswer answer = await AskAsync(server, "many.example.test", "A");

        Assert.Equal("TCP", answer.Transport);
        Assert.True(DnsValues.AreSame("A", addresses, answer.Values));
    }

    [Fact]
    public async Task AskServers_EachServer_HasItsOwnResult_Route53Trap6()
    {
        await using DnsmasqServer current = await DnsmasqServer.StartAsync("--host-record=api.example.test,192.0.2.2");
        await using DnsmasqServer old = await DnsmasqServer.StartAsync("--host-record=api.example.test,192.0.2.1");
        await using DnsmasqServer empty = await DnsmasqServer.StartAsync("--host-record=other.example.test,192.0.2.1");
        await using ScriptedDnsServer silent = new(static (_, _) => []);
        await using ScriptedDnsServer resolver = new(static (question, _) => [ScriptedDnsServer.Reply(
            question, flags: 0x80, answers: 1, rest: ScriptedDnsServer.Record(1, 60, [192, 0, 2, 2]))]);
        await using ScriptedDnsServer refusing = new(static (question, _) => [ScriptedDnsServer.Reply(question, flags: 0x80, code: 5)]);
        string closed = $"127.0.0.1:{PostgresServer.FreePort()}";

        IReadOnlyList<DnsServerAnswer> answers = await AskAsync(
            [["192.0.2.2"]], current.Endpoint, old.Endpoint, empty.Endpoint, silent.Endpoint, resolver.Endpoint, refusing.Endpoint, closed);

        Assert.Equal(
            ["Current", "Different", "Missing", "Silent", "NotAuthoritative", "Failed", "Silent"], answers.Select(static answer => answer.Outcome));
        Assert.Null(answers[0].Problem);
        Assert.All(answers.Skip(1), static answer => Assert.Contains(answer.Server, answer.Problem, StringComparison.Ordinal));
        Assert.Contains("192.0.2.1", answers[1].Problem, StringComparison.Ordinal);
        Assert.Equal("REFUSED", answers[5].ResponseCode);
        Assert.Equal(DnsStates.Partial, DnsStates.Of(answers));
        Assert.Equal(DnsStates.NotServed, DnsStates.Of([.. answers.Skip(1)]));
    }

    [Fact]
    public async Task Ask_AnswersToOtherQuestions_AreNotHeard()
    {
        await using ScriptedDnsServer server = new(static (question, _) =>
        {
            byte[] otherId = ScriptedDnsServer.Address4(question, "203.0.113.1");
            otherId[0] ^= 1;
            byte[] otherName = ScriptedDnsServer.Address4(question, "203.0.113.2");
            otherName[13] ^= 1;
            byte[] noAnswer = ScriptedDnsServer.Address4(question, "203.0.113.3");
            noAnswer[2] &= 0x7F;
            return [otherId, otherName, noAnswer, [1, 2, 3], ScriptedDnsServer.Address4(question, "192.0.2.2")];
        });

        DnsAnswer answer = await s_client.AskAsync(server.Address, s_name, "A", default);

        Assert.Equal("192.0.2.2", Assert.Single(answer.Values));
    }

    [Fact]
    public async Task Ask_FirstQuestionGetsLost_IsAskedAgain()
    {
        int count = 0;
        await using ScriptedDnsServer server = new((question, _) =>
            Interlocked.Increment(ref count) == 1 ? [] : [ScriptedDnsServer.Address4(question, "192.0.2.2")]);

        DnsAnswer answer = await s_client.AskAsync(server.Address, s_name, "A", default);

        Assert.Equal("192.0.2.2", Assert.Single(answer.Values));
        Assert.Equal(2, server.QuestionCount);
    }

    [Theory]
    [InlineData("a pointer to itself")]
    [InlineData("a pointer forward")]
    [InlineData("a record that ends behind the end")]
    [InlineData("an address of three bytes")]
    [InlineData("nothing where a record should be")]
    public async Task AskServers_MalformedAnswer_IsNone(string kind)
    {
        await using ScriptedDnsServer server = new((question, _) =>
        {
            int end = question.Length;
            byte[] rest = kind switch
            {
                "a pointer to itself" => [0xC0, (byte)end, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 2],
                "a pointer forward" => [0xC0, (byte)(end + 4), 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 2],
                "a record that ends behind the end" => [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 40, 192, 0, 2, 2],
                "an address of three bytes" => [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 3, 192, 0, 2],
                _ => [],
            };
            return [ScriptedDnsServer.Reply(question, answers: 1, rest: rest)];
        });

        DnsServerAnswer answer = Assert.Single(await AskAsync([["192.0.2.2"]], server.Endpoint));

        Assert.Equal(DnsServerOutcomes.Invalid, answer.Outcome);
    }

    [Fact]
    public async Task AskServers_TcpBreaksOff_IsNoAnswer()
    {
        await using ScriptedDnsServer server = new(static (question, isTcp) =>
            isTcp ? [[0, 200, .. question]] : [ScriptedDnsServer.Reply(question, flags: 0x86)]);

        DnsServerAnswer answer = Assert.Single(await AskAsync([["192.0.2.2"]], server.Endpoint));

        Assert.Equal(DnsServerOutcomes.Invalid, answer.Outcome);
        Assert.Contains("closed the connection", answer.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WaitAsync_ServersThatComeRound_AreWaitedFor()
    {
        int count = 0;
        await using ScriptedDnsServer server = new((question, _) =>
            [ScriptedDnsServer.Address4(question, Interlocked.Increment(ref count) < 3 ? "192.0.2.1" : "192.0.2.2")]);
        DnsServers servers = new(new DnsZone("Z1", s_name, false, []), [server.Endpoint], s_client);

        IReadOnlyList<DnsServerAnswer> answers = await servers.WaitAsync(
            [new DnsExpectation(s_name, "A", [["192.0.2.2"]])], TimeSpan.FromMinutes(1), NullObserver.Instance, default);

        Assert.Equal(DnsServerOutcomes.Current, Assert.Single(answers).Outcome);
        Assert.Equal(3, server.QuestionCount);
    }

    /// <summary>Whatever bytes come, reading ends: with an answer, or with InvalidDataException.</summary>
    [Fact]
    public void Read_AnyBytes_EndsInAnAnswerOrAnError()
    {
        Random random = new(20261105);
        byte[] question = DnsMessage.WriteQuestion(1, s_name, "A");
        byte[] sound =
        [
            .. ScriptedDnsServer.Reply(question, answers: 2, authorities: 1),
            .. ScriptedDnsServer.Record(5, 60, [4, (byte)'w', (byte)'e', (byte)'s', (byte)'t', 0xC0, 16]),
            .. ScriptedDnsServer.Record(1, 60, [192, 0, 2, 2]),
            .. ScriptedDnsServer.Record(6, 60, [0xC0, 16, 0xC0, 16, .. new byte[20]]),
        ];
        Assert.Equal("192.0.2.2", Assert.Single(DnsMessage.Read(sound, "A").Values));
        int refused = 0;
        for (int i = 0; i < 20_000; i++)
        {
            byte[] message = [.. sound.Take(random.Next(12, sound.Length + 1))];
            for (int changes = random.Next(0, 6); changes > 0; changes--)
            {
                message[random.Next(message.Length)] = (byte)random.Next(256);
            }

            try
            {
                _ = DnsMessage.IsAnswerTo(message, 1, s_name, "A");
                _ = DnsMessage.Read(message, "A");
            }
            catch (InvalidDataException)
            {
                refused++;
            }
        }

        Assert.InRange(refused, 1000, 19_999);
    }

    private static Task<DnsAnswer> AskAsync(DnsmasqServer server, string name, string type) =>
        s_client.AskAsync(server.Address, DnsName.Parse(name), type, default);

    private static Task<IReadOnlyList<DnsServerAnswer>> AskAsync(string[][] right, params string[] endpoints) =>
        new DnsServers(new DnsZone("Z1", s_name, false, []), endpoints, s_client).AskAsync([new DnsExpectation(s_name, "A", right)], default);
}
