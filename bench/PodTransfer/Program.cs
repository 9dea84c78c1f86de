using System.Globalization;
using SmcDr.Core.Kubernetes;

// Brings one file into a container or out of it. What podtransfer.py measures beside kubectl cp.
if (args is not ["in" or "out", var kubeconfig, var @namespace, var pod, var container, var here, var there])
{
    Console.Error.WriteLine("PodTransfer in|out KUBECONFIG NAMESPACE POD CONTAINER LOCAL-FILE POD-FILE");
    return 64;
}

using KubernetesClient client = await KubernetesClient.CreateAsync(
    new KubeconfigOptions { Path = kubeconfig, Namespace = @namespace },
    new KubernetesClientOptions { BulkBySpdy = Environment.GetEnvironmentVariable("WEBSOCKET") is null ? null : false });
PodTransfer transfer = new(client, new PodTransferOptions { Sync = Environment.GetEnvironmentVariable("NO_SYNC") is null });
PodTarget target = new(@namespace, pod, container);
PodTransferResult result = args[0] == "in"
    ? await transfer.UploadFileAsync(here, target, there, CancellationToken.None)
    : await transfer.DownloadFileAsync(target, there, here, CancellationToken.None);
Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{result.Length} {result.Breaks}"));
return 0;
