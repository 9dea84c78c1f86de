using SmcDr.Core.Postgres;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using static SmcDr.Core.Tests.Retention.RetentionWorld;

namespace SmcDr.Core.Tests.Postgres;

public sealed class ClusterIdentityTests
{
    private const ulong Other = SystemId + 1;

    private readonly MemoryObjectStore _store = new();

    [Fact]
    public async Task CheckAsync_RepositoryWithLogicalBackupsOnly_KnowsTheirCluster()
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, default);
        await CheckAsync(repository, Other);
        await WriteLogicalAsync(repository);
        await CheckAsync(repository, SystemId);
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => CheckAsync(repository, Other));
        Assert.Equal(SmcErrorCode.SystemIdMismatch, error.Code);
    }

    [Fact]
    public async Task CheckAsync_EmergencyBackup_MakesNoClusterKnown()
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, default);
        await WriteLogicalAsync(repository, kind: BackupKinds.Emergency, systemId: Other);
        await CheckAsync(repository, SystemId);
        await PutSegmentAsync(repository, 2);
        await Assert.ThrowsAsync<SmcException>(() => CheckAsync(repository, Other));

        // After pg_upgrade the first backup may be a dump, and the next ones need not say so again.
        await WriteLogicalAsync(repository, systemId: Other);
        await CheckAsync(repository, Other);
        await CheckAsync(repository, SystemId);
    }

    private static Task CheckAsync(Repository repository, ulong systemId) =>
        ClusterIdentity.CheckAsync(repository, systemId, isNewCluster: false, "db:5432", default);
}
