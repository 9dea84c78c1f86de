using System.Diagnostics;
using System.Text.RegularExpressions;
using Amazon.Runtime;
using SmcDr.Core.Dns;
using SmcDr.Core.Operations;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Dns;

/// <summary>Requests against a moto that checks signatures, by botocore, and what a user's policy allows.</summary>
public sealed class DnsAuthorizationTests
{
    // What is done before moto checks: a zone, and a user who may read zones and change no record.
    private const string Program = """
        import json, os, sys, threading
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
        from moto.server import DomainDispatcherApplication, create_backend_app
        from moto import settings
        from werkzeug.serving import make_server
        import boto3, flask
        from moto.iam.access_control import IAMRequestBase
        # moto takes the query for a body where there is none, and a path of which werkzeug has decoded some: botocore's own requests fail so.
        create = IAMRequestBase._create_aws_request
        def as_sent(self):
            self._path = flask.request.environ["RAW_URI"]
            self._data = b""
            return create(self)
        IAMRequestBase._create_aws_request = as_sent
        server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        options = dict(endpoint_url=url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
        zone = boto3.client("route53", **options).create_hosted_zone(Name="example.test", CallerReference="1")["HostedZone"]["Id"]
        iam = boto3.client("iam", **options)
        iam.create_user(UserName="reader")
        iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["route53:GetHostedZone", "route53:ListResourceRecordSets"], "Resource": "*"}]}))
        key = iam.create_access_key(UserName="reader")["AccessKey"]
        settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
        print(f"ready {url} {zone} {key['AccessKeyId']} {key['SecretAccessKey']}", flush=True)
        threading.Event().wait()
        """;

    [MotoFact]
    public async Task Requests_AreSignedAsAwsChecksThem_AndMayOnlyWhatThePolicyAllows()
    {
        ProcessStartInfo info = MotoInstallation.CreateStartInfo();
        info.ArgumentList.Add("-c");
        info.ArgumentList.Add(Program);
        using Process process = Process.Start(info)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        try
        {
            string? line = await process.StandardOutput.ReadLineAsync();
            Match ready = Regex.Match(line ?? "", "^ready (?<url>[^ ]+) /hostedzone/(?<zone>[^ ]+) (?<key>[^ ]+) (?<secret>[^ ]+)$");
            Assert.True(ready.Success, line is null ? await errors : line);
            string zone = ready.Groups["zone"].Value;
            Route53Options options = new()
            {
                Endpoint = new Uri(ready.Groups["url"].Value),
                Credentials = new BasicAWSCredentials(ready.Groups["key"].Value, ready.Groups["secret"].Value),
            };
            DnsRecordRequest request = new() { Name = DnsName.Parse("*.example.test"), Values = ["192.0.2.1"] };
            using DnsRecords records = new(zone, [], [], options, NullObserver.Instance);

            DnsChangePlan plan = await records.PlanAsync(request, default);
            SmcException notAllowed = await Assert.ThrowsAsync<SmcException>(() => records.ApplyAsync(plan, new DnsApplyOptions(), default));
            using DnsRecords wrong = new(
                zone, [], [], options with { Credentials = new BasicAWSCredentials(ready.Groups["key"].Value, "not-the-secret") }, NullObserver.Instance);
            SmcException notBelieved = await Assert.ThrowsAsync<SmcException>(() => wrong.PlanAsync(request, default));

            Assert.Single(plan.Changes);
            Assert.Equal(SmcErrorCode.DnsAccessDenied, notAllowed.Code);
            Assert.Contains("ChangeResourceRecordSets", notAllowed.Message, StringComparison.Ordinal);
            Assert.Equal(SmcErrorCode.DnsAccessDenied, notBelieved.Code);
            Assert.Contains("are not valid", notBelieved.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("not-the-secret", notBelieved.ToString(), StringComparison.Ordinal);
        }
        finally
        {
            process.StandardInput.Close();
            await process.WaitForExitAsync();
        }
    }
}
