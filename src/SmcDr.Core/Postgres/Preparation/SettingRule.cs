namespace SmcDr.Core.Postgres.Preparation;

/// <summary>What a setting has to be, and why: the one list, for who sets and for who checks.</summary>
/// <param name="Name">The setting.</param>
/// <param name="Wanted">What it is set to where it is wrong.</param>
/// <param name="IsRequired">Whether it is set; else it is only recommended.</param>
/// <param name="IsRight">Whether a value will do.</param>
/// <param name="Problem">What is wrong with a value, in a sentence.</param>
/// <param name="Advice">What to do about it.</param>
internal sealed record SettingRule(
    string Name, string Wanted, bool IsRequired, Func<string, bool> IsRight, Func<string, string> Problem, string Advice)
{
    public static SettingRule WalLevel { get; } = new(
        "wal_level",
        "replica",
        true,
        static value => value is "replica" or "logical",
        static value => $"wal_level is {value}: the WAL does not hold enough to recover from.",
        "ALTER SYSTEM SET wal_level = replica; then restart the server.");

    public static SettingRule Fsync { get; } = new(
        "fsync",
        "on",
        true,
        static value => value == "on",
        static _ => "fsync is off: a crash can damage the database beyond repair, and every backup after it.",
        "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf(); then take a new base backup.");

    public static SettingRule FullPageWrites { get; } = new(
        "full_page_writes",
        "on",
        true,
        static value => value == "on",
        static _ => "full_page_writes is off: pages that were torn by a crash are not repaired, and a standby cannot be backed up.",
        "ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf(); unless the file system writes pages whole.");

    public static SettingRule DataChecksums { get; } = new(
        "data_checksums",
        "on",
        false,
        static value => value == "on",
        static _ => "Data checksums are off: pages that the storage damaged go into backups unseen.",
        "Stop the server cleanly and run 'pg_checksums --enable' when there is time for it.");

    public static SettingRule SlotLimit { get; } = new(
        "max_slot_wal_keep_size",
        "a limit that the disk can spare",
        false,
        static value => value != "-1",
        static _ => "max_slot_wal_keep_size is unlimited: while the WAL stream stands still, WAL piles up until the server's disk is full and the database stops.",
        "Set max_slot_wal_keep_size to what the disk can spare, so that a stalled stream costs a new base backup and not the database.");

    /// <summary>The major version that brought <see cref="IdleSlotTimeout"/>; a server before it does not know the setting.</summary>
    public const int FirstWithIdleSlotTimeout = 18;

    /// <summary>A slot that nobody has used for so long is lost at the next checkpoint, however little WAL it keeps.</summary>
    public static SettingRule IdleSlotTimeout { get; } = new(
        "idle_replication_slot_timeout",
        "0",
        false,
        static value => value == "0",
        static value => $"idle_replication_slot_timeout is {value}: a WAL stream that is down for longer loses its slot, and a new base backup is needed.",
        "ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf(); max_slot_wal_keep_size guards the disk.");

    public static SettingRule PasswordEncryption { get; } = new(
        "password_encryption",
        "scram-sha-256",
        false,
        static value => value == "scram-sha-256",
        static value => $"password_encryption is {value}: passwords that are set from now on are kept in a form that is easily broken.",
        "ALTER SYSTEM SET password_encryption = 'scram-sha-256'; SELECT pg_reload_conf(); then set the passwords of roles anew.");

    /// <summary>Whether a failed primary can be made a standby of its successor without a new copy: by checksums, or by this.</summary>
    public static SettingRule HintBits { get; } = new(
        "wal_log_hints",
        "on",
        false,
        static value => value == "on",
        static _ => "wal_log_hints is off, and so are data checksums: pg_rewind cannot bring a failed primary back.",
        "Enable data checksums, or: ALTER SYSTEM SET wal_log_hints = on; then restart the server.");
}
