namespace SmcDr.Core.Tests.Postgres.BaseBackups;

/// <summary>The same through connections, as from another host.</summary>
public sealed class RemoteBaseBackupTests : BaseBackupTests
{
    protected override bool ReadLocally => false;
}
