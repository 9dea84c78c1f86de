using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using FsCheck;
using FsCheck.Fluent;
using SmcDr.Core.Redis;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Tests.Sites;

public sealed class SiteFileTests : IDisposable
{
    private const string Full = """
        name: smc-trading
        repository:
          location: s3://smc-trading-backups?region=eu-central-1
          copies: [ s3://smc-trading-vault?region=us-west-2 ]         # second repository, may be locked
          encryptionKey: file:/etc/smcdr/repository.key
          retention: { daily: 30, weekly: 8, monthly: 12, lock: 30d }
        objectives:
          database: { rto: 15m, rpo: 5m }
        regions:
          east:
            role: primary
            kubernetes: { kubeconfig: ~/.kube/config, context: east, namespace: smc-trading }
            database: { connection: "Host=postgres-primary;Username=postgres;Database=smc_trading", password: env:PGPASSWORD, workload: statefulset/postgres-primary }
            redis: { endpoint: redis:6379, workload: statefulset/redis }
            endpoint: api-east.smc-trading.com
            manifests: [ k8s/ ]
          west: { role: standby }
        writers: [ deployment/trading-engine, deployment/api-gateway ]
        fileStores: [ { name: config, path: /etc/smc-trading } ]
        dns: { hostedZoneId: Z123456789, record: api.smc-trading.com, ttl: 60 }
        checks:
          http: [ https://api.smc-trading.com/health, https://api.smc-trading.com/v1/status ]
          sql:  [ { query: "select count(*) from trades", expect: "> 0" }, { query: "select count(*) from users", expect: "> 0" } ]
        notifications: [ { slack: env:SLACK_WEBHOOK_URL } ]
        contacts: [ { role: DR Coordinator, address: dr-coordinator@smc-trading.com } ]
        walStream: { spillDirectory: /var/spool/smcdr, spillLimit: 50GiB }
        schedules: { database: "0 */6 * * *", logical: "30 2 * * *", redis: "0 3 * * *", configuration: "0 4 * * *" }
        """;

    private const string Small = """
        name: orders
        repository: { location: /var/backups/orders }
        regions:
          here:
            role: primary
            database: { connection: "Host=localhost;Username=postgres", password: env:PGPASSWORD }
        """;

    private readonly string _directory = Directory.CreateTempSubdirectory("smcdr-test-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Load_EveryKey_IsRead()
    {
        string path = Path.Combine(_directory, "smcdr.yaml");
        File.WriteAllText(path, Full);

        Site site = SiteFile.Load(_directory);

        Assert.Equal("smc-trading", site.Name);
        Assert.Equal(path, site.Path);
        Assert.Equal("s3://smc-trading-backups?region=eu-central-1", site.Repository.Location);
        Assert.Equal(["s3://smc-trading-vault?region=us-west-2"], site.Repository.Copies);
        Assert.Equal("file:/etc/smcdr/repository.key", site.Repository.EncryptionKey!.ToString());
        Assert.Equal(new RetentionSettings { Daily = 30, Weekly = 8, Monthly = 12, Lock = TimeSpan.FromDays(30) }, site.Repository.Retention);
        Assert.Equal(new ObjectiveSettings { Rto = TimeSpan.FromMinutes(15), Rpo = TimeSpan.FromMinutes(5) }, site.Objectives.Database);
        Assert.Equal(["east", "west"], site.Regions.Keys);
        RegionSettings east = site.PrimaryRegion;
        Assert.Equal(("east", "api-east.smc-trading.com"), (east.Name, east.Endpoint));
        Assert.Equal(
            Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".kube/config"), east.Kubernetes!.Kubeconfig);
        Assert.Equal("env:PGPASSWORD", east.Database!.Password!.ToString());
        Assert.Equal("smcdr_smc_trading", east.Database.Slot);
        Assert.Equal("redis:6379", east.Redis!.Endpoint);
        Assert.Equal([Path.Combine(_directory, "k8s/")], east.Manifests);
        Assert.Equal(["deployment/trading-engine", "deployment/api-gateway"], site.Writers);
        Assert.Equal(new WalStreamSettings { SpillDirectory = "/var/spool/smcdr", SpillLimit = 50L << 30 }, site.WalStream);
        Assert.Equal([new FileStoreSettings { Name = "config", Path = "/etc/smc-trading" }], site.FileStores);
        Assert.Equal(60, site.Dns!.Ttl);
        Assert.Equal(2, site.Checks.Http.Count);
        Assert.Equal(new SqlCheck { Query = "select count(*) from trades", Expect = "> 0" }, site.Checks.Sql[0]);
        Assert.Equal("env:SLACK_WEBHOOK_URL", site.Notifications.Single().Slack!.ToString());
        Assert.Equal("DR Coordinator", site.Contacts.Single().Role);
        Assert.Equal("0 */6 * * *", site.Schedules.Database);
        Assert.Equal(
            new SiteInfo
            {
                Name = "smc-trading",
                Path = path,
                Repository = site.Repository.Location,
                PrimaryRegion = "east",
                Regions = ["east", "west"],
                DatabaseRto = TimeSpan.FromMinutes(15),
                DatabaseRpo = TimeSpan.FromMinutes(5),
            } with { Regions = [] },
            site.ToInfo() with { Regions = [] });
    }

    [Theory]
    [InlineData("/var/backups/orders", "file:///var/backups/orders")]
    [InlineData("backups", "file:///srv/site/backups")]
    [InlineData("'back ups#1'", "file:///srv/site/back%20ups%231")]
    [InlineData("file:///var/backups", "file:///var/backups")]
    public void Parse_LocationAsPath_BecomesAFileLocation(string text, string expected) =>
        Assert.Equal(expected, Parse(Small.Replace("/var/backups/orders", text, StringComparison.Ordinal)).Repository.Location);

    [Fact]
    public void Parse_Port_GoesIntoTheConnectionString()
    {
        Site site = Parse(Small.Replace("password: env:PGPASSWORD", "port: 6000, slot: mine", StringComparison.Ordinal));

        Assert.Equal("localhost:6000", site.CreateConnector(new SecretResolver()).Display);
        Assert.Equal("mine", site.GetDatabase().Slot);
    }

    [Fact]
    public async Task Parse_Redis_BecomesConnectorAndOptions()
    {
        Environment.SetEnvironmentVariable("SMCDR_TEST_REDIS_PASSWORD", "hunter2");
        Site site = Parse("""
            name: orders
            repository: { location: /var/backups/orders }
            regions:
              here:
                role: primary
                redis:
                  endpoint: "[::1]:6380"
                  username: backup
                  password: env:SMCDR_TEST_REDIS_PASSWORD
                  tls: true
                  caFile: tls/ca.pem
                  certificateFile: tls/smcdr.pem
                  keyFile: tls/smcdr.key
                  serverName: redis.internal
                  renamedCommands: { CONFIG: x-config, DEBUG: "" }
                  preferReplica: true
                  rdbPath: /mnt/redis/dump.rdb
                  dataDirectory: /var/lib/redis
                  configFile: /etc/redis/redis.conf
                  service: redis-server@6380.service
            """);

        RedisSettings settings = site.GetRedis();
        RedisConnector connector = site.CreateRedisConnector(new SecretResolver());

        Assert.Equal("[::1]:6380", connector.Display);
        Assert.Equal("backup", connector.Options.Username);
        Assert.Equal(
            new RedisTlsOptions
            {
                CaFile = "/srv/site/tls/ca.pem",
                CertificateFile = "/srv/site/tls/smcdr.pem",
                KeyFile = "/srv/site/tls/smcdr.key",
                ServerName = "redis.internal",
            },
            connector.Options.Tls);
        Assert.Equal(
            [KeyValuePair.Create("CONFIG", "x-config"), KeyValuePair.Create("DEBUG", "")], connector.Options.RenamedCommands.ToArray());
        Assert.Equal("hunter2", await new SecretResolver().ResolveAsync(settings.Password!, CancellationToken.None));
        Assert.Equal("/var/lib/redis", settings.DataDirectory);
        Assert.Equal("/etc/redis/redis.conf", settings.ConfigFile);
        Assert.Equal("redis-server@6380.service", settings.Service);
        Assert.Equal(
            new RedisBackupOptions { Site = "orders", PreferReplica = true, RdbPath = "/mnt/redis/dump.rdb" }, site.CreateRedisBackupOptions());
        Assert.Equal(
            new RedisBackupOptions { Site = "orders", Method = RedisBackupMethod.BgSave, RdbPath = "/mnt/redis/dump.rdb" },
            site.CreateRedisBackupOptions(RedisBackupMethod.BgSave));
    }

    [Fact]
    public void GetRedis_NoneInTheSiteFile_SaysWhatToAdd()
    {
        SmcException e = Assert.Throws<SmcException>(() => Parse(Small).GetRedis());

        Assert.Equal(SmcErrorCode.SiteInvalid, e.Code);
        Assert.Contains("has no Redis", e.Message, StringComparison.Ordinal);
        Assert.Contains("redis: { endpoint: redis:6379 }", e.Recommendation, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_Alias_IsWhatItStandsFor()
    {
        Site site = Parse(Small + "\n  there:\n    role: standby\n    manifests: &m [ a, b ]\n  away: { role: standby, manifests: *m }");

        Assert.Equal(["/srv/site/a", "/srv/site/b"], site.Regions["away"].Manifests);
    }

    /// <summary>Bad files: what to write in place of what in the small site, the line of the problem and words of its message.</summary>
    public static TheoryData<string, string, int, string> BadFiles => new()
    {
        { "repository:", "repositry:", 2, "'repositry' is not a key of the site file; did you mean 'repository'?" },
        { "location:", "locaton:", 2, "'locaton' is not a key of 'repository'; did you mean 'location'?" },
        { "role:", "roel:", 5, "did you mean 'role'?" },
        { "password:", "pasword:", 6, "'pasword' is not a key of 'regions.here.database'; did you mean 'password'?" },
        { "password: env:PGPASSWORD", "sslRootCertificate: x", 6, "all are 'connection', 'password'" },
        { "name: orders", "colour: red\nname: orders", 1, "'colour' is not a key of the site file" },
        { "name: orders", "<<: {}\nname: orders", 1, "merge keys" },
        { "name: orders", "name: [orders]", 1, "'name' must be a name of up to 63 letters" },
        { "name: orders", "name: my orders", 1, "not 'my orders'" },
        { "name: orders", "name:", 1, "'name' has no value" },
        { "name: orders", "name: orders\nname: other", 2, "The key 'name' is there already in line 1" },
        { "name: orders\n", "", 1, "lacks the key 'name'" },
        { "role: primary", "manifests: []", 5, "'regions.here' lacks the key 'role'" },
        { "role: primary", "role: Primary", 5, "must be primary or standby, not 'Primary'" },
        { "role: primary", "role: standby", 4, "exactly one region whose role is primary, and has 0" },
        { "{ location: /var/backups/orders }", "/var/backups/orders", 2, "'repository' must be a mapping with keys such as 'location'" },
        { "/var/backups/orders }", "/b, copies: /c }", 2, "'repository.copies' must be a list" },
        { "/var/backups/orders }", "/b, copies: [ /c, /b ] }", 2, "names 'file:///b' twice" },
        { "/var/backups/orders", "ftp://b", 2, "must be a location such as s3://" },
        { "/var/backups/orders", "s3://b?secretKey=hunter2", 2, "must be a location such as s3://" },
        { "/var/backups/orders", "file://nas/backups", 2, "it names the host 'nas'" },
        { "{ location: /var/backups/orders }", "{ location: / }", 2, "root of a file system" },
        { "/var/backups/orders", "s3://AKIA:hunter2@b", 2, "must not hold credentials" },
        { "/var/backups/orders }", "/b, encryptionKey: hunter2 }", 2, "must be a key reference" },
        { "/var/backups/orders }", "/b, retention: { daily: 1.5 } }", 2, "must be a whole number of at least 0, not '1.5'" },
        { "/var/backups/orders }", "/b, retention: { daily: -1 } }", 2, "not '-1'" },
        { "/var/backups/orders }", "/b, retention: { daily: \"1\" } }", 2, "not '1'" },
        { "/var/backups/orders }", "/b, retention: { daily: 1, lock: 30 } }", 2, "'repository.retention.lock' must be a duration with its unit" },
        { "/var/backups/orders }", "/b, retention: {} }", 2, "no backup would be kept" },
        { "env:PGPASSWORD", "hunter2", 6, "'regions.here.database.password' must be a secret reference" },
        { "Username=postgres\"", "Username=postgres;Password=hunter2\"", 6, "must not hold a password" },
        { "Username=postgres\"", "Username=postgres;PWD=hunter2\"", 6, "must not hold a password" },
        { "Username=postgres\"", "Usrname=postgres\"", 6, "is not a connection string" },
        { "Username=postgres\"", "Port=abc\"", 6, "is not a connection string" },
        { "Host=localhost;", "", 6, "names no Host" },
        { "password: env:PGPASSWORD", "port: 70000", 6, "from 1 to 65535, not '70000'" },
        { "Username=postgres\", password: env:PGPASSWORD", "Port=5433\", port: 5434", 6, "is 5434, and the connection string says 5433" },
        { "password: env:PGPASSWORD", "slot: My-Slot", 6, "lower-case letters" },
        { "password: env:PGPASSWORD", "workload: statefulset/db", 6, "the region has no kubernetes" },
        { "password: env:PGPASSWORD", "workload: pod/db", 6, "must be a workload such as deployment/api" },
        { "role: primary", "role: primary\n    redis: { endpoint: redis }", 6, "'regions.here.redis.endpoint' must be a host and a port" },
        { "role: primary", "role: primary\n    redis: { endpoint: \"r:1\", password: hunter2 }", 6, "must be a secret reference" },
        { "role: primary", "role: primary\n    redis: { endpoint: \"r:1\", caFile: ca.pem }", 6, "is for an encrypted connection" },
        { "role: primary", "role: primary\n    redis: { endpoint: \"r:1\", tls: true, keyFile: k.pem }", 6, "certificateFile does not name one" },
        { "role: primary", "role: primary\n    redis: { endpoint: \"r:1\", method: bgsave }", 6, "must be replication or bgSave, not 'bgsave'" },
        { "role: primary", "role: primary\n    redis: { endpoint: \"r:1\", method: bgSave, preferReplica: true }", 6, "is for the method replication" },
        { "role: primary", "role: primary\n    redis: { endpoint: \"r:1\", renamedCommands: { CONFIG: a b } }", 6, "must be the name that the server has for the command" },
        { "role: primary", "role: primary\n    redis: { endpoint: \"r:1\", renamedCommands: { CONFIG: } }", 6, "and is nothing" },
        { "role: primary", "role: primary\n    redis: { endpoint: \"r:1\", renamedCommands: { CONFIG: a, config: b } }", 6, "names 'CONFIG' twice" },
        { "role: primary", "role: primary\n    redis: { endpoint: \"r:1\", service: rm -rf }", 6, "the name of a service of systemd" },
        { "role: primary", "role: primary\n    redis: { endpoint: \"r:1\", workload: statefulset/redis }", 6, "the region has no kubernetes" },
        { "role: primary", "role: primary\n    redis: { endpoint: \"r:1\", workload: statefulset/redis, service: redis }", 6, "is for a server on this host" },
        { "name: orders", "name: orders\nwriters: [ api ]", 2, "'writers[0]' must be a workload" },
        { "name: orders", "name: orders\nchecks: { sql: [ { query: select 1, expect: 5 } ] }", 2, "'checks.sql[0].expect' must be a comparison" },
        { "name: orders", "name: orders\nchecks: { http: [ \"https://me:hunter2@example.com/\" ] }", 2, "must be a URL" },
        { "name: orders", "name: orders\nschedules: { database: \"60 * * * *\" }", 2, "has '60' as minute" },
        { "name: orders", "name: orders\nschedules: { database: \"* * * *\" }", 2, "five fields of cron" },
        { "name: orders", "name: orders\nnotifications: [ { slack: https://hooks.slack.com/hunter2 } ]", 2, "'notifications[0].slack' must be a secret reference" },
        { "name: orders", "name: orders\nnotifications: [ {} ]", 2, "or webhook or email must be given" },
        { "name: orders", "name: orders\nnotifications: [ { slack: env:A, webhook: env:B } ]", 2, "one of them only" },
        { "name: orders", "name: orders\nnotifications: [ { slack: env:A, authorization: env:B } ]", 2, "is for a webhook" },
        { "name: orders", "name: orders\nnotifications: [ { name: a, slack: env:A }, { name: a, webhook: env:B } ]", 2, "2 entries of the name 'a'" },
        { "name: orders", "name: orders\nnotifications: [ { email: { host: mail, from: a@b.c, to: [ a@b.c ], userName: u, password: env:P, security: none } } ]", 2, "in clear" },
        { "name: orders", "name: orders\nnotifications: [ { email: { host: mail, from: a@b.c, to: [ 'Ann <a@b.c>' ] } } ]", 2, "must be an e-mail address" },
        { "name: orders", "name: orders\nalerts: { repeatAfter: 99d }", 2, "must be 30d at most" },
        { "name: orders", "name: orders\nfileStores: [ { name: a, path: /a }, { name: a, path: /b } ]", 2, "2 entries of the name 'a'" },
        { "name: orders", "name: orders\nobjectives: { database: { rto: 15 } }", 2, "'objectives.database.rto' must be a duration" },
        { "name: orders", "name: orders\ndns: { hostedZoneId: Z1, record: a.b, ttl: 0 }", 2, "from 1 to 86400, not '0'" },
        { "name: orders", "name: orders\nwalStream: { spillDirectory: /s, spillLimit: 50 }", 2, "'walStream.spillLimit' must be a size with its unit" },
        { "name: orders", "name: orders\nwalStream: { spillDirectory: /s, spillLimit: 1MB }", 2, "must be at least 64.0 MiB" },
        { "name: orders", "name: orders\nwalStream: { spillLimit: 1GiB }", 2, "is for a spillDirectory, and there is none" },
        { "name: orders", "name: orders\nwalStream: { spillDirectory: /var/backups/orders/spill }", 2, "or within it, or around it" },
        { "name: orders", "name: orders\nwalStream: { spillDirectory: /var/backups }", 2, "or within it, or around it" },
        { "password: env:PGPASSWORD }", "dataDirectory: /srv/pg }\nwalStream: { spillDirectory: /srv/pg/spill }", 7, "a database's directory, '/srv/pg'" },
        { "name: orders", "name: \"orders", 1, "not valid YAML" },
        { "name: orders", "name: *missing", 1, "has no anchor" },
        { "name: orders", "name: orders\n--- {}", 2, "a second document" },
        { "name: orders", "? [ a ]\n: b\nname: orders", 1, "A key must be a text" },
        { "    role: primary", "\trole: primary", 5, "invalid tab as indentation" },
        { "/var/backups/orders }", "/b, copies: [ /c\nregions2:", 2, "a bracket is not closed before the next key" },
    };

    [Theory]
    [MemberData(nameof(BadFiles))]
    public void Parse_BadFile_NamesTheLineAndNeverASecret(string replace, string by, int line, string words)
    {
        Assert.Contains(replace, Small, StringComparison.Ordinal);

        SmcException e = Assert.Throws<SmcException>(() => Parse(Small.Replace(replace, by, StringComparison.Ordinal)));

        Assert.Equal(SmcErrorCode.SiteInvalid, e.Code);
        Assert.Contains(words, e.Message, StringComparison.Ordinal);
        Match position = Regex.Match(e.Message, $@"^/srv/site/smcdr\.yaml:(\d+):\d+: [^\n]*{Regex.Escape(words)}", RegexOptions.Multiline);
        Assert.Equal(line, int.Parse(position.Groups[1].Value, CultureInfo.InvariantCulture));
        Assert.DoesNotContain("hunter2", e.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_SeveralProblems_AreReportedTogetherInTheOrderOfLines()
    {
        const string Text = """
            name: orders
            repository: { location: /b, retentoin: {} }
            regions:
              here: { role: main }
            writers: api
            """;

        SmcException e = Assert.Throws<SmcException>(() => Parse(Text));

        Assert.Equal(
            [
                "The site file has 3 problems:",
                "/srv/site/smcdr.yaml:2:29: 'retentoin' is not a key of 'repository'; did you mean 'retention'?",
                "/srv/site/smcdr.yaml:4:17: 'regions.here.role' must be primary or standby, not 'main'.",
                "/srv/site/smcdr.yaml:5:10: 'writers' must be a list such as [ … ], and is a single value.",
            ],
            e.Message.Split('\n'));
    }

    [Theory]
    [InlineData("")]
    [InlineData("# nothing but a comment\n")]
    [InlineData("---\n...\n")]
    public void Parse_EmptyFile_SaysSo(string text)
    {
        SmcException e = Assert.Throws<SmcException>(() => Parse(text));

        Assert.Equal(SmcErrorCode.SiteInvalid, e.Code);
        Assert.Contains("The site file is empty.", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_BillionLaughs_IsRefusedAtOnce()
    {
        string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + string.Concat(Enumerable.Range(1, 12).Select(
            static i => $"a{i}: &a{i} [{string.Join(", ", Enumerable.Repeat($"*a{i - 1}", 10))}]\n"));
        Stopwatch elapsed = Stopwatch.StartNew();

        SmcException e = Assert.Throws<SmcException>(() => Parse(text));

        Assert.Contains("too many values", e.Message, StringComparison.Ordinal);
        Assert.True(elapsed.Elapsed < TimeSpan.FromSeconds(5));
    }

    [Theory]
    [InlineData("[")]
    [InlineData("{a: ")]
    [InlineData("- ")]
    public void Parse_DeepNesting_IsRefused(string opening)
    {
        SmcException e = Assert.Throws<SmcException>(() => Parse(string.Concat(Enumerable.Repeat(opening, 20_000))));

        Assert.Equal(SmcErrorCode.SiteInvalid, e.Code);
    }

    [Fact]
    public void Parse_AnyDamage_IsASiteOrSiteInvalid()
    {
        // Each sample puts a piece of YAML's own punctuation, or cuts, somewhere into the full file.
        string[] pieces = ["[", "]", "{", "}", ":", ": ", "- ", "&a ", "*a ", "!x ", "|", ">", "'", "\"", "#", "%", "@", "\t", "\n", "\0", "\uD800", ",", "? ", "--- ", "~"];
        Prop.ForAll(
            ArbMap.Default.ArbFor<int[]>(),
            numbers =>
            {
                string text = Full;
                foreach (int number in numbers.Take(5))
                {
                    int at = (int)((uint)number * 7919u % (uint)text.Length);
                    string piece = pieces[(int)((uint)number % (uint)pieces.Length)];
                    text = number % 3 == 0 ? text[..at] + piece : text.Insert(at, piece);
                }

                try
                {
                    Parse(text);
                }
                catch (SmcException e) when (e.Code == SmcErrorCode.SiteInvalid)
                {
                    Assert.Contains("/srv/site/smcdr.yaml:", e.Message, StringComparison.Ordinal);
                }
            }).Check(Config.QuickThrowOnFailure.WithMaxTest(1000));
    }

    [Fact]
    public void Load_MissingFile_IsNotFound()
    {
        SmcException e = Assert.Throws<SmcException>(() => SiteFile.Load(Path.Combine(_directory, "no", "smcdr.yaml")));

        Assert.Equal(SmcErrorCode.SiteNotFound, e.Code);
        Assert.Contains(_directory, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_HugeOrBinaryFile_IsInvalid()
    {
        string path = Path.Combine(_directory, "smcdr.yaml");
        File.WriteAllBytes(path, new byte[2 * 1024 * 1024]);
        Assert.Equal(SmcErrorCode.SiteInvalid, Assert.Throws<SmcException>(() => SiteFile.Load(path)).Code);
        File.WriteAllBytes(path, [0x6E, 0x3A, 0x20, 0xFF, 0xFF]);
        Assert.Equal(SmcErrorCode.SiteInvalid, Assert.Throws<SmcException>(() => SiteFile.Load(path)).Code);
    }

    [Fact]
    public void GetRegion_UnknownName_NamesThoseThereAre()
    {
        SmcException e = Assert.Throws<SmcException>(() => Parse(Full).GetRegion("north"));

        Assert.Contains("east, west", e.Recommendation, StringComparison.Ordinal);
    }

    [Fact]
    public void Schema_Committed_IsCurrent()
    {
        string path = Path.Combine(FindRoot(), "docs", "site.schema.json");

        Assert.True(
            File.ReadAllText(path).ReplaceLineEndings("\n") == SiteSchema.Generate(),
            "docs/site.schema.json is not what the model says; run 'build.ps1 -Task Docs'.");
    }

    [Fact]
    public void Schema_EveryReference_HasItsDefinitionAndEveryKeyIsDescribed()
    {
        using JsonDocument schema = JsonDocument.Parse(SiteSchema.Generate());
        JsonElement definitions = schema.RootElement.GetProperty("$defs");

        foreach (Match reference in Regex.Matches(SiteSchema.Generate(), "\"#/\\$defs/([^\"]+)\""))
        {
            JsonElement definition = definitions.GetProperty(reference.Groups[1].Value);
            Assert.False(definition.GetProperty("additionalProperties").GetBoolean());
            Assert.All(
                definition.GetProperty("properties").EnumerateObject(),
                static property => Assert.EndsWith(".", property.Value.GetProperty("description").GetString()));
        }

        Assert.Equal(
            ["name", "repository", "regions"],
            schema.RootElement.GetProperty("required").EnumerateArray().Select(static e => e.GetString()!));
    }

    private static Site Parse(string text) => SiteFile.Parse(text, "/srv/site/smcdr.yaml");

    internal static string FindRoot()
    {
        string? directory = AppContext.BaseDirectory;
        while (directory is not null && !File.Exists(Path.Combine(directory, "SmcDr.sln")))
        {
            directory = Path.GetDirectoryName(directory);
        }

        return directory ?? throw new InvalidOperationException("The tests do not run below the repository's root.");
    }
}
