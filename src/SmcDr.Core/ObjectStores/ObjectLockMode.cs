namespace SmcDr.Core.ObjectStores;

/// <summary>How firmly an object is locked.</summary>
public enum ObjectLockMode
{
    /// <summary>Against everybody but accounts with a privilege of its own (S3: <c>s3:BypassGovernanceRetention</c>).</summary>
    Governance,

    /// <summary>Against everybody, the owner of the storage included, until the time has come.</summary>
    Compliance,
}
