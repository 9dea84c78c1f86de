using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;

namespace SmcDr.Core.Tests.Fixtures;

/// <summary>A moto of this test run's own on a free port of the loopback interface. It ends with its standard input, so with us.</summary>
public sealed partial class MotoServer : IAsyncLifetime, IDisposable
{
    // moto answers each request on a thread of its own and looks at If-None-Match before it stores, so two writers could both win; S3
    // does both in one step, and so does moto under this lock.
    private const string Program = """
        import os, sys, threading
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
        from moto.s3.responses import S3Response
        from moto.server import main
        put_object, one_at_a_time = S3Response.put_object, threading.Lock()
        def put_object_atomically(response):
            with one_at_a_time:
                return put_object(response)
        S3Response.put_object = put_object_atomically
        main(["-H", "127.0.0.1", "-p", "0"])
        """;

    private readonly TaskCompletionSource<int> _port = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<string> _errors = [];
    private Process? _process;
    private int _buckets;

    public static AWSCredentials Credentials { get; } = new BasicAWSCredentials("smcdr-tests", "smcdr-tests");

    public int Port { get; private set; }

    public string Endpoint => string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{Port}");

    /// <summary>A client without any of the store's precautions, to look and to interfere from outside.</summary>
    public AmazonS3Client Client { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        if (MotoInstallation.SkipReason is not null)
        {
            return;
        }

        ProcessStartInfo info = MotoInstallation.CreateStartInfo();
        info.ArgumentList.Add("-c");
        info.ArgumentList.Add(Program);
        info.Environment["AWS_ACCESS_KEY_ID"] = "smcdr-tests";
        info.Environment["AWS_SECRET_ACCESS_KEY"] = "smcdr-tests";
        info.Environment["AWS_DEFAULT_REGION"] = "us-east-1";
        _process = new Process { StartInfo = info, EnableRaisingEvents = true };
        _process.ErrorDataReceived += (_, line) => Note(line.Data);
        _process.OutputDataReceived += (_, line) => Note(line.Data);
        _process.Exited += (_, _) => _port.TrySetException(
            new InvalidOperationException("moto ended before it was ready: " + string.Join(" | ", _errors)));
        _process.Start();
        _process.BeginErrorReadLine();
        _process.BeginOutputReadLine();
        Port = await _port.Task.WaitAsync(TimeSpan.FromMinutes(2));
        Client = new AmazonS3Client(Credentials, new AmazonS3Config
        {
            ServiceURL = Endpoint,
            AuthenticationRegion = "us-east-1",
            ForcePathStyle = true,
            RequestChecksumCalculation = RequestChecksumCalculation.WHEN_REQUIRED,
        });

        // The port is announced when it is bound; the first answer comes when the application is built.
        using HttpClient http = new();
        using HttpResponseMessage answer = await http.GetAsync(new Uri(Endpoint + "/moto-api/data.json"));
        answer.EnsureSuccessStatusCode();
    }

    /// <summary>Creates a bucket for one test.</summary>
    public async Task<string> CreateBucketAsync(bool objectLock = false)
    {
        string bucket = string.Create(CultureInfo.InvariantCulture, $"bucket-{Interlocked.Increment(ref _buckets)}");
        await Client.PutBucketAsync(new PutBucketRequest { BucketName = bucket, ObjectLockEnabledForBucket = objectLock });
        return bucket;
    }

    /// <summary>Stores an object from outside, over another one if there is one.</summary>
    public Task<PutObjectResponse> PutAsync(string bucket, string key, byte[] content) => Client.PutObjectAsync(new PutObjectRequest
    {
        BucketName = bucket,
        Key = key,
        InputStream = new MemoryStream(content),
        // moto stores the framing of chunks as content.
        UseChunkEncoding = false,
    });

    public async Task DisposeAsync()
    {
        if (_process is not null)
        {
            if (!_process.HasExited)
            {
                _process.Kill();
            }

            await _process.WaitForExitAsync();
        }
    }

    public void Dispose()
    {
        Client?.Dispose();
        _process?.Dispose();
    }

    [GeneratedRegex(@"Running on http://127\.0\.0\.1:(\d+)")]
    private static partial Regex Announcement();

    private void Note(string? line)
    {
        if (line is null || _port.Task.IsCompleted)
        {
            return;
        }

        Match match = Announcement().Match(line);
        if (match.Success)
        {
            _port.TrySetResult(int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture));
        }
        else
        {
            lock (_errors)
            {
                _errors.Add(line);
            }
        }
    }
}
