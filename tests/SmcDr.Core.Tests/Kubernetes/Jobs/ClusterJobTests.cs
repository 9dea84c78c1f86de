using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Jobs;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Tests.Kubernetes.Jobs;

/// <summary>What becomes of a Job where the cluster's answers are lost, which a real one cannot be made to do at a given request.</summary>
public sealed class ClusterJobTests
{
    private const string Name = "smcdr-backup-redis-orders-0a1b2c";
    private const string Job = "{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"" + Name + "\",\"namespace\":\"apps\",\"uid\":\"u1\"}}";

    [Fact]
    public async Task RunAsync_AnswerToTheCreationIsLost_TheJobIsFollowedAndNotLeftBehind()
    {
        bool isThere = false;
        await using FakeApiServer server = new(async (context, _) =>
        {
            string path = context.Request.Url!.AbsolutePath;
            switch (context.Request.HttpMethod)
            {
                case "POST" when path.EndsWith("/jobs", StringComparison.Ordinal):
                    isThere = true;
                    context.Response.Abort();
                    break;
                case "DELETE" when path.EndsWith($"/jobs/{Name}", StringComparison.Ordinal):
                    isThere = false;
                    await FakeApiServer.SendAsync(context, 200, Job);
                    break;
                case "GET" when path.EndsWith($"/jobs/{Name}", StringComparison.Ordinal):
                    await (isThere ? FakeApiServer.SendAsync(context, 200, Job) : FakeApiServer.FailAsync(
                        context, 404, "NotFound", "not found", $$"""{"name":"{{Name}}","group":"batch","kind":"jobs"}"""));
                    break;
                default:
                    // It cannot be gone on with, so that it must be removed.
                    await FakeApiServer.FailAsync(context, 403, "Forbidden", "no");
                    break;
            }
        });
        using KubernetesClient client = server.Client();
        JobSpec spec = new()
        {
            Name = Name, Namespace = "apps", Title = "smcdr backup redis of orders", Image = "smcdr:1", Arguments = ["backup", "redis"], SiteText = "name: orders",
            SiteLabel = "orders", EndTimeout = TimeSpan.FromSeconds(5),
        };

        SmcException e = await Assert.ThrowsAsync<SmcException>(
            () => new ClusterJob(client, spec, new JobOptions(), NullObserver.Instance).RunAsync<object>(static _ => Task.CompletedTask, default));

        Assert.False(isThere, $"{e.Message}\n{string.Join('\n', server.Requests)}");
        Assert.Equal(SmcErrorCode.ClusterForbidden, e.Code);
    }
}
