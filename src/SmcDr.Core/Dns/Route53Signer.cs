using Amazon;
using Amazon.Runtime;
using Amazon.Runtime.Credentials;
using Amazon.Runtime.Internal;
using Amazon.Runtime.Internal.Auth;
using SdkEndpoint = Amazon.Runtime.Endpoints.Endpoint;
using SdkParameters = Amazon.Runtime.Endpoints.ServiceOperationEndpointParameters;

namespace SmcDr.Core.Dns;

/// <summary>Signs requests to Route 53 by AWSSDK.Core: its chain of credentials and its Signature Version 4.</summary>
internal sealed class Route53Signer
{
    private const string DefaultEndpoint = "https://route53.amazonaws.com";
    private const string TokenHeader = "X-Amz-Security-Token";

    private static readonly AWS4Signer s_signer = new();

    private readonly SignerConfig _config;
    private readonly AWSCredentials? _given;
    private AWSCredentials? _credentials;

    public Route53Signer(Route53Options options)
    {
        Endpoint = options.Endpoint ?? FindEndpoint(options.Environment);
        _given = options.Credentials;
        _config = new SignerConfig
        {
            ServiceURL = Endpoint.AbsoluteUri,
            AuthenticationRegion = RegionOf(Endpoint.Host),
            AuthenticationServiceName = "route53",
        };
        if (options.Profile is { } profile)
        {
            _config.Profile = new Profile(profile);
        }
    }

    /// <summary>Where requests go.</summary>
    public Uri Endpoint { get; }

    /// <summary>Makes a request that can be sent once.</summary>
    /// <param name="method">GET or POST.</param>
    /// <param name="path">The path, whose parts need no escaping.</param>
    /// <param name="query">Parameters as they are, not escaped.</param>
    /// <param name="body">The XML; null where there is none.</param>
    /// <param name="now">The time of the signature: the server's, where that is known to differ from ours.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async Task<HttpRequestMessage> CreateRequestAsync(
        HttpMethod method,
        string path,
        IEnumerable<(string Name, string Value)> query,
        byte[]? body,
        DateTimeOffset now,
        CancellationToken cancellationToken)
    {
        _credentials ??= _given
            ?? await DefaultAWSCredentialsIdentityResolver.GetCredentialsAsync(_config).WaitAsync(cancellationToken).ConfigureAwait(false);
        // Asked for each time: sessions end, and what gives them renews them.
        ImmutableCredentials credentials = await _credentials.GetCredentialsAsync().WaitAsync(cancellationToken).ConfigureAwait(false);
        DefaultRequest request = new(new EmptyRequest(), "Route53")
        {
            Endpoint = Endpoint,
            ResourcePath = path,
            HttpMethod = method.Method,
            UseQueryString = true,
            AuthenticationRegion = _config.AuthenticationRegion,
            Content = body,
        };
        foreach ((string name, string value) in query)
        {
            request.Parameters.Add(name, value);
        }

        if (body is not null)
        {
            request.Headers["Content-Type"] = "application/xml";
        }

        if (credentials.UseToken)
        {
            request.Headers[TokenHeader] = credentials.Token;
        }

        AWS4SigningResult signed = s_signer.SignRequest(
            request, _config, null, credentials.AccessKey, credentials.SecretKey, now.UtcDateTime);
        request.Headers["Authorization"] = signed.ForAuthorizationHeader;

        HttpRequestMessage message = new(method, AmazonServiceClient.ComposeUrl(request));
        if (body is not null)
        {
            message.Content = new ByteArrayContent(body);
        }

        foreach ((string name, string value) in request.Headers)
        {
            if (!message.Headers.TryAddWithoutValidation(name, value))
            {
                message.Content?.Headers.TryAddWithoutValidation(name, value);
            }
        }

        return message;
    }

    // As the AWS tools do (SDKs and Tools Reference Guide, "Service-specific endpoints").
    private static Uri FindEndpoint(Func<string, string?> environment)
    {
        string? configured = string.Equals(environment("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), "true", StringComparison.OrdinalIgnoreCase)
            ? null
            : environment("AWS_ENDPOINT_URL_ROUTE_53") is { Length: > 0 } own ? own
            : environment("AWS_ENDPOINT_URL") is { Length: > 0 } general ? general
            : null;
        return Uri.TryCreate(configured ?? DefaultEndpoint, UriKind.Absolute, out Uri? endpoint) && endpoint.Scheme is "http" or "https"
            ? endpoint
            : throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"The endpoint of Route 53 that the environment names is no http or https address: '{configured}'.",
                recommendation: "Correct or unset AWS_ENDPOINT_URL_ROUTE_53 and AWS_ENDPOINT_URL.");
    }

    /// <summary>Route 53 has one region in each partition (AWS General Reference, "Amazon Route 53 endpoints and quotas").</summary>
    private static string RegionOf(string host) =>
        host.EndsWith(".amazonaws.com.cn", StringComparison.OrdinalIgnoreCase) ? "cn-northwest-1"
        : host.Contains(".us-gov.", StringComparison.OrdinalIgnoreCase) ? "us-gov-west-1"
        : "us-east-1";

    private sealed class EmptyRequest : AmazonWebServiceRequest;

    /// <summary>What the signer and the chain of credentials read of a client's configuration.</summary>
    private sealed class SignerConfig() : ClientConfig(new DefaultConfigurationProvider([new DefaultConfiguration { Name = DefaultConfigurationMode.Standard }]))
    {
        public override string ServiceVersion => "2013-04-01";

        public override string UserAgent => "smcdr";

        public override string RegionEndpointServiceName => "route53";

        public override SdkEndpoint DetermineServiceOperationEndpoint(SdkParameters parameters) => new(ServiceURL);
    }
}
