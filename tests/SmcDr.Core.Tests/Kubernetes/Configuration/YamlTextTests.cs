using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes.Configuration;

namespace SmcDr.Core.Tests.Kubernetes.Configuration;

public sealed class YamlTextTests
{
    /// <summary>Texts that some parser of YAML takes for something else, or that are hard to write in lines.</summary>
    private static readonly string[] s_texts =
    [
        "", " ", "a", "yes", "No", "on", "off", "y", "N", "true", "False", "null", "Null", "~", "nan", ".nan", ".inf", "-.INF", "=", "<<",
        "1", "-1", "+1", "0x1f", "0o17", "017", "1e3", "1.5", "1_000", "12:30", "12:30:45", "2026-11-29", "2026-11-29T00:00:00Z", "0b1",
        "a: b", "a:", ":a", "a #b", "#a", "- a", "-", "--- a", "...", "? a", "[a]", "{a}", "a]", "&a", "*a", "!a", "|", ">", "'a'", "\"a\"", "%a", "@a", "`a",
        "a\\b", "a\"b", "a'b", "trailing ", " leading", "tab\tinside", "\ttab", "a\nb", "a\nb\n", "a\nb\n\n\n", "\n", "\na", "a\n\nb", " a\nb", "a\n b\n  c\n",
        "a\r\nb", "a\n \nb", "a\nb\n  ", "a\n\tb\n", "a\u0085b", "a\u2028b\n", "\uFEFFa\nb", "ünï ☃\nb", "😀", "😀\nb", "\0", "a\u007Fb", "\u001b[31m",
        "http://example.com:80/a?b=c&d", "registry.example.com/a/b:1.2@sha256:abc", "-----BEGIN X-----\nabc==\n-----END X-----\n", "key=value", "/etc/x",
        "a,b", "(a)", "$(HOME)/x", "{{ .Values.x }}", "#!/bin/sh\nset -e\n", "a  \nb", new string('x', 5000), "e3", "Infinity", "_1", "0", "00", "-0",
    ];

    [Fact]
    public void Write_TextsThatAreHardToTell_AreReadBackTheSame()
    {
        JsonObject item = Sample();

        byte[] document = YamlText.Write(item);

        Assert.True(JsonNode.DeepEquals(item, YamlText.Read(document)), Encoding.UTF8.GetString(document));
        Assert.Equal(document, YamlText.Write(YamlText.Read(document)));
    }

    [Fact]
    public void Write_RandomObjects_AreReadBackTheSame()
    {
        Random random = new(20261129);
        for (int i = 0; i < 300; i++)
        {
            JsonObject item = (JsonObject)RandomNode(random, 0, isMap: true)!;
            byte[] document = YamlText.Write(item);

            Assert.True(JsonNode.DeepEquals(item, YamlText.Read(document)), Encoding.UTF8.GetString(document));
        }
    }

    [Fact]
    public void Write_SameObjectInAnotherOrder_IsTheSameDocument()
    {
        JsonObject one = (JsonObject)JsonNode.Parse("""{"b":{"d":1,"c":[{"y":1,"x":2}]},"a":"1"}""")!;
        JsonObject other = (JsonObject)JsonNode.Parse("""{"a":"1","b":{"c":[{"x":2,"y":1}],"d":1}}""")!;

        Assert.Equal(YamlText.Write(one), YamlText.Write(other));
        Assert.Equal("a: \"1\"\nb:\n  c:\n  - x: 2\n    \"y\": 1\n  d: 1\n", Encoding.UTF8.GetString(YamlText.Write(one)));
    }

    [Fact]
    public void Write_KeyThatIsTooLongForYaml_IsWrittenAsJson()
    {
        JsonObject item = new() { ["data"] = new JsonObject { [new string('k', 3000)] = "v" } };

        byte[] document = YamlText.Write(item);

        Assert.Equal((byte)'{', document[0]);
        Assert.True(JsonNode.DeepEquals(item, YamlText.Read(document)));
    }

    [Theory]
    [InlineData("a: &x 1\nb: *x\n")]
    [InlineData("a: 1\na: 2\n")]
    [InlineData("- a\n")]
    [InlineData("a: [\n")]
    [InlineData("{\"a\":")]
    [InlineData("")]
    public void Read_WhatIsNoDocumentOfABackup_IsRefusedWithoutQuotingIt(string text)
    {
        FormatException failure = Assert.Throws<FormatException>(() => YamlText.Read(Encoding.UTF8.GetBytes(text)));

        Assert.DoesNotContain("*x", failure.Message, StringComparison.Ordinal);
    }

    /// <summary>kubectl's own parser, which is Go's for YAML 1.1, must take every text for what it is.</summary>
    [KubectlFact]
    public async Task Write_TextsThatAreHardToTell_AreTheSameToKubectl()
    {
        JsonObject data = [];
        for (int i = 0; i < s_texts.Length; i++)
        {
            data["k" + i] = s_texts[i];
        }

        JsonObject item = new()
        {
            ["apiVersion"] = "v1",
            ["kind"] = "ConfigMap",
            ["metadata"] = new JsonObject { ["name"] = "texts", ["annotations"] = new JsonObject { ["yes"] = "no", ["1"] = "2", ["n"] = "null" } },
            ["data"] = data,
        };

        JsonObject read = await Kubectl.ParseAsync(YamlText.Write(item));

        foreach ((string key, JsonNode? value) in data)
        {
            Assert.Equal((string?)value, (string?)read["data"]![key]);
        }

        Assert.Equal("no", (string?)read["metadata"]!["annotations"]!["yes"]);
        Assert.Equal("null", (string?)read["metadata"]!["annotations"]!["n"]);
        Assert.Equal("2", (string?)read["metadata"]!["annotations"]!["1"]);
    }

    private static JsonObject Sample()
    {
        JsonObject texts = [];
        JsonArray list = [];
        foreach (string text in s_texts.Distinct())
        {
            texts[text] = text;
            list.Add(text);
        }

        return new JsonObject
        {
            ["texts"] = texts,
            ["list"] = list,
            ["lists"] = new JsonArray(new JsonArray(new JsonArray(1, "a\nb\n"), new JsonArray()), new JsonObject { ["a"] = new JsonArray("x\ny\n", null) }),
            ["empty"] = new JsonObject { ["map"] = new JsonObject(), ["list"] = new JsonArray(), ["nothing"] = null },
            ["numbers"] = JsonNode.Parse("[0,-1,1.5,1e300,12345678901234567890,true,false]"),
        };
    }

    private static JsonNode? RandomNode(Random random, int depth, bool isMap = false)
    {
        int kind = isMap ? 0 : random.Next(depth > 4 ? 2 : 0, 6);
        switch (kind)
        {
            case 0:
                JsonObject map = [];
                for (int i = random.Next(1, 6); i > 0; i--)
                {
                    map[RandomText(random)] = RandomNode(random, depth + 1);
                }

                return map;
            case 1:
                JsonArray list = [];
                for (int i = random.Next(0, 5); i > 0; i--)
                {
                    list.Add(RandomNode(random, depth + 1));
                }

                return list;
            case 2:
                return random.Next(3) switch { 0 => null, 1 => JsonValue.Create(random.Next(2) == 0), _ => JsonNode.Parse(random.Next(-1000, 1000).ToString(CultureInfo.InvariantCulture)) };
            default:
                return JsonValue.Create(RandomText(random));
        }
    }

    private static string RandomText(Random random)
    {
        const string Alphabet = "ab 1:-#\n\t\"'\\{}[]&*!|>%@`,.=~/\r\u0085\u2028é☃";
        StringBuilder text = new();
        for (int i = random.Next(0, 24); i > 0; i--)
        {
            text.Append(Alphabet[random.Next(Alphabet.Length)]);
        }

        return text.ToString();
    }
}
