using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes.Jobs;
using SmcDr.Core.Operations;
using SmcDr.Core.Sites;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Sites;

/// <summary>What of a site goes into its cluster.</summary>
public sealed class SiteJobsTests
{
    private const string Text = """
        name: smc-trading
        repository:
          location: s3://smc-trading-backups?region=eu-central-1
          encryptionKey: file:/etc/keys/repository.key
          fullEvery: 36h
          retention: { daily: 30, recoveryWindow: 1d12h }
        objectives: { database: { rto: 15m } }
        regions:
          east:
            role: primary
            kubernetes:
              kubeconfig: /home/dba/.kube/config
              context: east
              namespace: trading
              portForward: true
              job:
                image: registry.example.com/smcdr:0.1.0
                serviceAccount: smcdr
                imagePullSecrets: [ registry ]
                environmentSecrets: [ aws ]
                mounts: [ { secret: keys, path: /etc/keys }, { claim: spool, path: /var/spool/smcdr } ]
                memoryLimit: 1GiB
                timeToLive: 2h
            database: { connection: "Host=postgres;Username=postgres;Database=trading", password: "k8s:trading/postgres/password", binDirectory: /usr/pg }
            redis: { endpoint: "redis:6379", password: env:REDIS_PASSWORD, renamedCommands: { CONFIG: "", INFO: x-info }, tls: true, caFile: /etc/keys/ca.pem }
          west: { role: standby, database: { connection: "Host=west", password: secret:vault/name } }
        walStream: { spillDirectory: /var/spool/smcdr/wal, spillLimit: 50GiB }
        fileStores: [ { name: config, path: /etc/smc, exclude: [ "*.log" ], withConfiguration: true } ]
        checks: { sql: [ { query: "select 'ü'", expect: "= ü" } ] }
        notifications: [ { slack: env:SLACK_WEBHOOK_URL } ]
        """;

    private readonly RecordingObserver _observer = new();

    [Fact]
    public void Write_ASite_IsReadAsTheSame()
    {
        Site site = Parse(Text);

        Site again = SiteFile.Parse(SiteWriter.Write(site), "/here/smcdr.yaml");

        Assert.Equal(SiteWriter.Write(site), SiteWriter.Write(again));
        Assert.Equal("", again.PrimaryRegion.Redis!.RenamedCommands["CONFIG"]);
        Assert.Equal((50L << 30, TimeSpan.FromHours(36)), (again.WalStream.SpillLimit, again.Repository.FullEvery));
        Assert.Equal("secret:vault/name", again.Regions["west"].Database!.Password!.ToString());
        Assert.Equal(site.PrimaryRegion.Kubernetes!.Job! with { Mounts = [], EnvironmentSecrets = [], ImagePullSecrets = [] },
            again.PrimaryRegion.Kubernetes!.Job! with { Mounts = [], EnvironmentSecrets = [], ImagePullSecrets = [] });
    }

    [Fact]
    public void CreateJobs_ASite_IsAsItIsSeenFromThere()
    {
        JobSpec spec = Assert.Single(Parse(Text).CreateJobs(JobCommand.BackupDatabase, ["--full"], [], _observer)).Spec;
        Site inside = SiteFile.Parse(spec.SiteText, "/run/smcdr/site/smcdr.yaml");

        Assert.Equal(["backup", "database", "--full", "--verbose", "--json-lines"], spec.Arguments);
        Assert.Matches("^smcdr-backup-database-smc-trading-[0-9a-f]{6}$", spec.Name);
        KubernetesSettings cluster = inside.PrimaryRegion.Kubernetes!;
        Assert.Equal((null, null, "trading", null, null), (cluster.Kubeconfig, cluster.Context, cluster.Namespace, cluster.PortForward, (object?)cluster.Job));
        Assert.Equal("file:/run/smcdr/secrets/postgres/password", inside.PrimaryRegion.Database!.Password!.ToString());
        Assert.Equal("file:/etc/keys/repository.key", inside.Repository.EncryptionKey!.ToString());
        Assert.Null(inside.PrimaryRegion.Database.BinDirectory);
        Assert.Equal("smcdr_smc_trading", inside.PrimaryRegion.Database.Slot);
        Assert.Equal(["east"], inside.Regions.Keys);
        // What it does not need is nobody's business there.
        Assert.DoesNotContain("SLACK", spec.SiteText, StringComparison.Ordinal);
        Assert.DoesNotContain("vault", spec.SiteText, StringComparison.Ordinal);
        Assert.Null(inside.PrimaryRegion.Redis!.Password);
        Assert.Contains(spec.Mounts, static mount => mount is { Secret: "postgres", Path: "/run/smcdr/secrets/postgres", Keys: ["password"] });
        Assert.Equal(3, spec.Mounts.Count);
    }

    [Fact]
    public void CreateJobs_EachCommand_HasASiteThatCanBeRead()
    {
        foreach (JobCommand command in Enum.GetValues<JobCommand>())
        {
            JobSpec spec = Assert.Single(Parse(Text).CreateJobs(command, [], [], _observer)).Spec;
            Site inside = SiteFile.Parse(spec.SiteText, "/run/smcdr/site/smcdr.yaml");
            Assert.Equal(command == JobCommand.TestBackup ? 1 : 0, inside.FileStores.Count);
            Assert.Equal(command == JobCommand.BackupRedis ? "env:REDIS_PASSWORD" : null, inside.PrimaryRegion.Redis!.Password?.ToString());
        }

        Assert.Contains(_observer.Warnings, static warning => warning.Contains("'config'", StringComparison.Ordinal));
    }

    [Fact]
    public void CreateJobs_SeveralDatabases_AreAsManyJobs_AndAStreamHasOneName()
    {
        Site site = Parse(Text);

        IReadOnlyList<SiteJob> jobs = site.CreateJobs(JobCommand.BackupDatabase, ["--method=logical"], ["a", "b", "a"], _observer);
        SiteJob stream = Assert.Single(site.CreateJobs(JobCommand.WalStream, ["--slot", ""], [], _observer));
        SiteJob once = Assert.Single(site.CreateJobs(JobCommand.WalStream, ["--once"], [], _observer));

        Assert.Equal(["--database=a", "--database=b"], jobs.SelectMany(static job => job.Spec.Arguments.Where(static one => one.Contains("database=", StringComparison.Ordinal))));
        Assert.Equal(2, jobs.Select(static job => job.Spec.Name).Distinct().Count());
        Assert.Equal((true, "smcdr-wal-stream-smc-trading"), (stream.IsDeployment, stream.Spec.Name));
        Assert.False(once.IsDeployment);
        Assert.Equal(
            JobManifest.RevisionOf(stream.Spec),
            JobManifest.RevisionOf(site.CreateJobs(JobCommand.WalStream, ["--slot", ""], [], _observer)[0].Spec));
        Assert.NotEqual(
            JobManifest.RevisionOf(stream.Spec), JobManifest.RevisionOf(site.CreateJobs(JobCommand.WalStream, ["--takeover"], [], _observer)[0].Spec));
    }

    [Theory]
    [InlineData("k8s:trading/postgres/password", "secret:vault/name", "SecretUnavailable", "k8s:trading/NAME/KEY")]
    [InlineData("k8s:trading/postgres/password", "file:/home/dba/password", "SecretUnavailable", "path: /home/dba")]
    [InlineData("environmentSecrets: [ aws ]", "environmentSecrets: [ ]", null, null)]
    [InlineData("location: s3://smc-trading-backups?region=eu-central-1", "location: file:///var/backups/x", "SiteInvalid", "claim: NAME")]
    [InlineData("location: s3://smc-trading-backups?region=eu-central-1", "location: file:///var/spool/smcdr/backups", null, null)]
    public void CreateJobs_WhatIsNotInThePod_IsRefused(string from, string to, string? code, string? advice)
    {
        Assert.Contains(from, Text, StringComparison.Ordinal);
        string text = Text.Replace(from, to, StringComparison.Ordinal);

        SmcException? failure = Record.Exception(() => Parse(text).CreateJobs(JobCommand.BackupDatabase, [], [], _observer)) as SmcException;

        Assert.Equal(code, failure?.Code.ToString());
        Assert.Contains(advice ?? "", failure?.Recommendation ?? "", StringComparison.Ordinal);
    }

    [Fact]
    public void CreateJobs_SiteWithoutAnImage_SaysWhereItBelongs()
    {
        Site site = Parse(Text);
        RegionSettings east = site.PrimaryRegion;
        site = site with
        {
            Regions = new Dictionary<string, RegionSettings> { ["east"] = east with { Kubernetes = east.Kubernetes! with { Job = null } } },
        };

        SmcException failure = Assert.Throws<SmcException>(() => site.CreateJobs(JobCommand.TestBackup, [], [], _observer));

        Assert.Equal(SmcErrorCode.SiteInvalid, failure.Code);
        Assert.Contains("job: { image:", failure.Recommendation, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(JobCommand.BackupRedis, "environmentSecrets: [ aws ]", "environmentSecrets: [ ]", "env:REDIS_PASSWORD")]
    [InlineData(JobCommand.BackupRedis, "caFile: /etc/keys/ca.pem", "caFile: /etc/elsewhere/ca.pem", "/etc/elsewhere/ca.pem")]
    [InlineData(JobCommand.WalStream, "spillDirectory: /var/spool/smcdr/wal", "spillDirectory: /var/elsewhere", "/var/elsewhere")]
    public void CreateJobs_WhatACommandNeeds_MustBeThere(JobCommand command, string from, string to, string target)
    {
        SmcException failure = Assert.Throws<SmcException>(
            () => Parse(Text.Replace(from, to, StringComparison.Ordinal)).CreateJobs(command, [], [], _observer));

        Assert.Equal(target, failure.Target);
        Assert.NotEmpty(Parse(Text.Replace(from, to, StringComparison.Ordinal)).CreateJobs(JobCommand.TestBackup, [], [], _observer));
    }

    [Theory]
    [InlineData("{ secret: keys, path: /etc/keys }", "{ secret: keys, claim: keys, path: /etc/keys }", "exactly one")]
    [InlineData("{ secret: keys, path: /etc/keys }", "{ secret: keys, path: / }", "for themselves")]
    [InlineData("{ secret: keys, path: /etc/keys }", "{ secret: keys, path: /run/smcdr/x }", "for themselves")]
    [InlineData("{ secret: keys, path: /etc/keys }", "{ secret: keys, path: /var/spool/smcdr }", "2 entries")]
    [InlineData("memoryLimit: 1GiB", "memoryLimit: 1MiB", "less than memory")]
    [InlineData("serviceAccount: smcdr", "serviceAccount: Smcdr!", "serviceAccount")]
    public void Parse_JobSettingsThatAreWrong_AreTold(string from, string to, string problem)
    {
        SmcException failure = Assert.Throws<SmcException>(() => Parse(Text.Replace(from, to, StringComparison.Ordinal)));

        Assert.Equal(SmcErrorCode.SiteInvalid, failure.Code);
        Assert.Contains(problem, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Job_Manifest_IsOfLeastPrivilege()
    {
        JobSpec spec = Parse(Text).CreateJobs(JobCommand.BackupDatabase, [], [], _observer)[0].Spec;
        JsonNode job = JobManifest.Job(spec).Raw["spec"]!;
        JsonNode pod = job["template"]!["spec"]!;
        JsonNode container = pod["containers"]![0]!;

        Assert.Equal((0, 7200L), ((int)job["backoffLimit"]!, (long)job["ttlSecondsAfterFinished"]!));
        Assert.Equal(("Never", "smcdr", true), ((string?)pod["restartPolicy"], (string?)pod["serviceAccountName"], (bool)pod["securityContext"]!["runAsNonRoot"]!));
        Assert.True((bool)container["securityContext"]!["readOnlyRootFilesystem"]!);
        Assert.False((bool)container["securityContext"]!["allowPrivilegeEscalation"]!);
        Assert.Equal("ALL", (string?)container["securityContext"]!["capabilities"]!["drop"]![0]);
        Assert.Equal("1073741824", (string?)container["resources"]!["limits"]!["memory"]);
        Assert.Equal("aws", (string?)container["envFrom"]![0]!["secretRef"]!["name"]);
        Assert.Equal("registry", (string?)pod["imagePullSecrets"]![0]!["name"]);
        JsonNode secret = pod["volumes"]!.AsArray().Single(static volume => (string?)volume!["secret"]?["secretName"] == "postgres")!;
        Assert.Equal((0x120, "password"), ((int)secret["secret"]!["defaultMode"]!, (string?)secret["secret"]!["items"]![0]!["key"]));
        // Claims are written to, secrets are not.
        Assert.Equal(
            ["/run/smcdr/site:True", "/tmp:", "/etc/keys:True", "/var/spool/smcdr:False", "/run/smcdr/secrets/postgres:True"],
            container["volumeMounts"]!.AsArray().Select(static mount => $"{(string?)mount!["mountPath"]}:{(bool?)mount["readOnly"]}"));
    }

    private static Site Parse(string text) => SiteFile.Parse(text, "/here/smcdr.yaml");
}
