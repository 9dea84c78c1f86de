#Requires -Version 7.6
#Requires -Modules @{ ModuleName = 'Pester'; ModuleVersion = '5.7.1' }

BeforeDiscovery {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    Import-Module (Get-SmcModulePath) -Global
    $time = [DateTimeOffset]'2026-11-05T10:00:00+00:00'
    $repository = 's3://smc-trading-backups?region=eu-central-1'
    $models = @(
        @{
            Model = [SmcDr.BackupInfo]@{
                Id = '20261122T081500Z-incremental'; Component = 'Database'; Kind = 'Incremental'; State = 'Complete'
                StartTime = $time; StopTime = $time; Duration = [timespan]::FromSeconds(59.94); SizeBytes = 1023MB
                StoredBytes = 1.4TB; Label = 'before the migration'; Repository = $repository
            }
            Shows = '20261122T081500Z-incremental', 'Incremental', '2026-11-05 10:00:00Z', '59.9 s', '1023.0 MiB', '1.4 TiB'
        }
        @{
            Model = [SmcDr.BackupCopyResult]@{
                Id = '20261122T081500Z-incremental'; Component = 'Database'; State = 'Partial'; CopiedObjects = 1234567; CopiedBytes = 1GB
                PresentObjects = 3; PresentBytes = 1.4TB; Duration = [timespan]::FromSeconds(192); Problems = [string[]]@('A pack is damaged.')
                Source = $repository; Destination = 's3://smc-trading-vault?region=us-west-2'
            }
            Shows = '20261122T081500Z-incremental', 'Partial', '1234567', '1.0 GiB', '1.4 TiB', '3 min 12 s', 'A pack is damaged.'
        }
        @{
            Model = [SmcDr.RecoveryWindow]@{
                BackupId = '20261122T081500Z-full'; SystemId = '7301234567890123456'; Timeline = 12; EarliestTime = $time
                LatestTime = $time.AddHours(1); EarliestLsn = '16/B374D848'; LatestLsn = '1F16/B374D848'; WalBytes = 12GB
                Gap = '000000010000000000000003'; Repository = $repository; LossSeconds = 1.2; LossBytes = 3MB
            }
            Shows = '2026-11-05 10:00:00Z', '2026-11-05 11:00:00Z', '1F16/B374D848', '20261122T081500Z-full', '1.2 s', '000000010000000000000003'
        }
        @{
            Model = [SmcDr.RecoveryResult]@{
                BackupId = '20261122T081500Z-full'; TargetKind = 'Time'; Target = '2026-11-05T10:00:00Z'; DataDirectory = '/var/lib/pg/15/main'
                RestoredBytes = 2GB; WalBytes = 1GB; StartTime = $time; Duration = [timespan]::FromSeconds(192); RestoreSeconds = 1
                ReplaySeconds = 2; RecoveredTime = $time
            }
            Shows = 'Time 2026-11-05T10:00:00Z', '2026-11-05 10:00:00Z', '3 min 12 s', '2.0 GiB', '/var/lib/pg/15/main'
        }
        @{
            Model = [SmcDr.ScheduleInfo]@{
                Site = 'smc-trading'; Task = 'recoveryTest'; Kind = 'SystemdTimer'; Schedule = '0 6 1 * *'; TimeZone = 'UTC'; NextTime = $time
                Name = 'smcdr-smc-trading-recoverytest'; Target = '/etc/systemd/system'; State = 'Created'; Command = '/usr/bin/smcdr'
            }
            Shows = 'recoveryTest', '0 6 1 * *', '2026-11-05 10:00:00Z', 'Created', 'smcdr-smc-trading-recoverytest'
        }
        @{
            Model = [SmcDr.IncidentInfo]@{
                IncidentId = '20261105T100000Z-incident'; Site = 'smc-trading'; Title = 'Rows are gone'; Severity = 'Critical'; State = 'Open'
                StartTime = $time; Duration = [timespan]::FromSeconds(192); OpenedBy = 'kim@db1'; Repository = $repository
            }
            Shows = '20261105T100000Z-incident', 'Open', 'Critical', '3 min 12 s', 'Rows are gone'
        }
        @{
            Model = [SmcDr.IncidentEntry]@{
                Time = $time; Kind = 'Command'; Text = 'Test-SmcSite'; Outcome = 'Failed'; Elapsed = [timespan]::FromSeconds(192)
                Problem = 'It is away.'; By = 'kim@db1'
            }
            Shows = '2026-11-05 10:00:00Z', 'Command', 'Failed', '3 min 12 s', 'kim@db1', 'Test-SmcSite: It is away.'
        }
        @{
            Model = [SmcDr.RunbookInfo]@{
                Site = 'smc-trading'; Scenario = 'DataCenterFailure'; Title = 'A data centre is gone'; Objective = [timespan]::FromMinutes(15)
                Estimated = [timespan]::FromSeconds(130); Measured = [timespan]::FromSeconds(192); Steps = [SmcDr.RunbookStep[]]@()
                Command = 'Invoke-SmcRunbook DataCenterFailure'; Program = 'smcdr runbook run DataCenterFailure'
            }
            Shows = 'DataCenterFailure', '15 min', '2 min 10 s', '3 min 12 s', 'A data centre is gone'
        }
        @{
            Model = [SmcDr.RunbookStep]@{
                Number = 7; Title = 'See.'; Command = 'Get-SmcRecoveryWindow'; Objective = [timespan]::FromMinutes(15); Measured = [timespan]::FromSeconds(192)
            }
            Shows = '7', '15 min', '3 min 12 s', 'Get-SmcRecoveryWindow', 'See.'
        }
        @{
            Model = [SmcDr.AlertResult]@{
                Channel = 'oncall'; Kind = 'Slack'; State = 'Suppressed'; Severity = 'Critical'; Title = 'The backup failed'; Key = 'backups'
                Attempts = 3; Time = $time; Duration = [timespan]::FromSeconds(59.94); Problem = 'The receiver answers 503.'
            }
            Shows = 'oncall', 'Slack', 'Suppressed', '59.9 s', 'The receiver answers 503.'
        }
        @{
            Model = [SmcDr.ObjectiveResult]@{
                Site = 'smc-trading'; Component = 'FileStore'; Subject = 'config'; Verdict = 'AtRisk'; Rpo = [timespan]::FromMinutes(5)
                Rto = [timespan]::FromMinutes(15); LossSeconds = 270; PredictedRecoverySeconds = 192; Problems = [string[]]@('Late.')
                Time = $time; Repository = $repository
            }
            Shows = 'AtRisk', 'FileStore config', '4 min 30 s', '5 min', '3 min 12 s', '15 min', 'Late.'
        }
        @{
            Model = [SmcDr.PlanStepResult]@{
                Step = 'restore-database'; Title = 'Restore database'; Target = 'statefulset/postgres'; State = 'Succeeded'; StartTime = $time
                Elapsed = [timespan]::FromSeconds(192); PredictedSeconds = 130; Detail = 'It is restored.'
            }
            Shows = 'Succeeded', '3 min 12 s', '2 min 10 s', 'Restore database', 'statefulset/postgres', 'It is restored.'
        }
        @{
            Model = [SmcDr.PlanInfo]@{
                PlanId = '20261122T081500Z-restore-system'; Site = 'smc-trading'; Title = 'Restore it'; State = 'Unfinished'; StartTime = $time
                EndTime = $time.AddSeconds(192); By = 'ada@ops-1'; DoneCount = 12; StepCount = 15; Repository = $repository
            }
            Shows = '20261122T081500Z-restore-system', 'Unfinished', '12/15', '2026-11-05 10:00:00Z', '3 min 12 s', 'ada@ops-1', 'Restore it'
        }
        @{
            Model = [SmcDr.SystemBackupResult]@{
                Site = 'smc-trading'; State = 'Partial'; Label = 'nightly'; StartTime = $time; Duration = [timespan]::FromSeconds(192)
                SkewSeconds = 1.2; Problems = [string[]]@('Redis is away.'); Repository = $repository
            }
            Shows = 'smc-trading', 'Partial', '2026-11-05 10:00:00Z', '3 min 12 s', '1.2 s', 'nightly', 'Redis is away.'
        }
        @{
            Model = [SmcDr.SystemRestoreResult]@{
                Site = 'smc-trading'; Verdict = 'Missed'; StartTime = $time; Duration = [timespan]::FromSeconds(192)
                Components = [SmcDr.ComponentRecovery[]]@(
                    [SmcDr.ComponentRecovery]@{ Component = 'Redis'; BackupId = '20261122T081500Z-redis'; RecoverySeconds = 130; LossSeconds = 0 })
            }
            Shows = 'Missed', 'smc-trading', '2026-11-05 10:00:00Z', '3 min 12 s', 'Redis back after 2 min 10 s, nothing lost'
        }
        @{
            Model = [SmcDr.RegionFailoverResult]@{
                Site = 'smc-trading'; From = 'east'; To = 'west'; StartTime = $time; WriteTime = $time.AddSeconds(42.4)
                Rto = [timespan]::FromSeconds(30); LostTransactions = 7; LostBytes = 2048; LossSeconds = 1.2; Rpo = [timespan]::FromMinutes(5)
            }
            Shows = 'Missed', 'east', 'west', '2026-11-05 10:00:00Z', '42.4 s', '30.0 s', '7', '2.0 KiB'
        }
        @{
            Model = [SmcDr.ComponentRecovery]@{
                Component = 'FileStore'; Subject = 'config'; BackupId = '20261122T081500Z-full'; RecoverySeconds = 130; LossSeconds = 270
                Rto = [timespan]::FromMinutes(1); Rpo = [timespan]::FromMinutes(5)
            }
            Shows = 'Missed', 'FileStore config', '2 min 10 s', '1 min', '4 min 30 s', '5 min', '20261122T081500Z-full'
        }
        @{
            Model = [SmcDr.WorkloadInfo]@{
                Name = 'deployment/trading-engine'; State = 'Suspended'; Replicas = 0; ReadyCount = 0; PodCount = 0; RememberedReplicas = 12
                SuspendedTime = $time; SuspendedBy = 'operator'; Autoscaler = 'by-load (2 to 20)'; Namespace = 'smc-trading'; Cluster = 'east'
            }
            Shows = 'deployment/trading-engine', 'Suspended', '12', '2026-11-05 10:00:00Z', 'by-load (2 to 20)'
        }
        @{
            Model = [SmcDr.ConfigurationRestoreResult]@{
                BackupId = '20261122T081500Z-full'; Kind = 'StatefulSet'; ApiVersion = 'apps/v1'; Namespace = 'smc-trading'; Name = 'postgres-primary'
                Action = 'Replace'; State = 'NeedsReplace'; Detail = 'It cannot be changed.'
                Changes = [SmcDr.ConfigurationFieldChange[]]@([SmcDr.ConfigurationFieldChange]::new('spec.replicas', '2', '3'))
            }
            Shows = 'Replace', 'NeedsReplace', 'StatefulSet', 'smc-trading/postgres-primary', "spec.replicas: 2 $([char]0x2192) 3", 'It cannot be changed.'
        }
        @{
            Model = [SmcDr.ConfigurationDifference]@{
                BackupId = '20261122T081500Z-full'; Difference = 'Changed'; Kind = 'HorizontalPodAutoscaler'; ApiVersion = 'autoscaling/v1'
                Namespace = 'smc-trading'; Name = 'trading-engine'
                Changes = [SmcDr.ConfigurationFieldChange[]]@([SmcDr.ConfigurationFieldChange]::new('spec.maxReplicas', '20', [NullString]::Value))
            }
            Shows = 'Changed', 'HorizontalPodAutoscaler', 'smc-trading/trading-engine', "spec.maxReplicas: 20 $([char]0x2192) (none)"
        }
        @{
            Model = [SmcDr.HelmReleaseInfo]::new('trading-engine', 'smc-trading', 12, 'deployed', 'trading-engine', '1.4.2', '2.0', $time)
            Shows = 'trading-engine', 'smc-trading', '12', 'deployed', 'trading-engine-1.4.2', '2026-11-05 10:00:00Z'
        }
        @{
            Model = [SmcDr.CollationChange]@{
                Database = 'smc_trading'; Collation = 'public.german'; Provider = 'icu'; RecordedVersion = '153.14'; ActualVersion = '153.120'
                IndexCount = 12345
            }
            Shows = 'smc_trading', 'public.german', 'icu', '153.14', '153.120', '12345'
        }
        @{
            Model = [SmcDr.DatabaseRestoreResult]@{
                BackupId = '20261122T081500Z-logical'; Database = 'smc_trading'; TargetDatabase = 'smc_trading_restored_01'; Server = 'db:5432'
                State = 'Unverified'; TableCount = 12345; RowCount = 123456789012; SizeBytes = 2GB; RecoveredTime = $time; StartTime = $time
                PreviousDatabase = 'smc_trading_before_20261123T204100Z'; Duration = [timespan]::FromSeconds(192)
                Steps = [SmcDr.RestoreStep[]]@(); Tables = [SmcDr.TableIntegrity[]]@()
            }
            Shows = 'smc_trading_restored_01', 'Unverified', '12345', '123456789012', '2026-11-05 10:00:00Z', '3 min 12 s', 'smc_trading_before_'
        }
        @{
            Model = [SmcDr.RedisRestoreResult]@{
                BackupId = '20261122T081500Z-full'; Method = 'Online'; Target = 'redis-primary:6379'; State = 'Partial'; KeysRestored = 123456789
                KeysExpired = 3; KeysSkipped = 4; KeysFailed = 5; SizeBytes = 2GB; Databases = '0, 3'; Functions = 1; Verified = $false
                SampledKeys = 1000; MismatchedKeys = 0; WarningCount = 1; Problems = [string[]]@('5 keys were not taken.'); StartTime = $time
                Duration = [timespan]::FromSeconds(192); KeysPerSecond = 1; BytesPerSecond = 1
            }
            Shows = '20261122T081500Z-full', 'Partial', 'Online', '123456789', '2.0 GiB', 'False', '3 min 12 s', 'redis-primary:6379'
        }
        @{
            Model = [SmcDr.TableIntegrity]@{
                Schema = 'public'; Table = 'trades'; ExpectedRows = 123456789012; Rows = 123456789011; Inserted = 123456789011; Updated = 1
                Deleted = 2; Outcome = 'Failed'
            }
            Shows = 'public', 'trades', '123456789012', '123456789011', 'Failed'
        }
        @{
            Model = [SmcDr.RestoreStep]@{
                Name = 'Keep the old database'; Outcome = 'Passed'; StartTime = $time; DurationSeconds = 3.21; Detail = 'It is renamed.'
            }
            Shows = 'Keep the old database', 'Passed', '3.2 s', 'It is renamed.'
        }
        @{
            Model = [SmcDr.WalSegmentInfo]@{
                Name = '000000010000000000000003'; Kind = 'Segment'; SystemId = '7301234567890123456'; Timeline = 1
                StartLsn = '0/3000000'; FirstCommitTime = $time; LastCommitTime = $time; CommitCount = 1234567; SizeBytes = 16MB
                StoredBytes = 300KB; Repository = $repository
            }
            Shows = '000000010000000000000003', 'Segment', '0/3000000', '2026-11-05 10:00:00Z', '16.0 MiB', '300.0 KiB'
        }
        @{
            Model = [SmcDr.WalImportResult]@{
                Path = '/mnt/archive/wal'; Repository = $repository; SystemId = '7301234567890123456'; State = 'Partial'; ImportedCount = 123456
                PresentCount = 1234; PartialCount = 1; HistoryCount = 2; RefusedCount = 3; Refused = [SmcDr.WalImportProblem[]]@(); LabelCount = 9
                Unknown = [string[]]@(); FirstSegment = '000000010000000000000003'; LastSegment = '000000010000001600000003'; SizeBytes = 1.4TB
                Duration = [timespan]::FromSeconds(130)
            }
            Shows = 'Partial', '123456', '1234', '000000010000000000000003', '1.4 TiB', '2 min 10 s'
        }
        @{
            Model = [SmcDr.WalImportProblem]@{
                Path = '/mnt/archive/wal/000000010000000000000003'; ErrorId = 'SmcWalInvalid'; Reason = 'It was cut off.'
            }
            Shows = 'SmcWalInvalid', '000000010000000000000003', 'It was cut off.'
        }
        @{
            Model = [SmcDr.TableExportResult]@{
                Database = 'smc_trading'; Schema = 'public'; Table = 'trades'; RowCount = 1234567; Path = '/srv/rescue/public.trades.csv'
                Format = 'Csv'; SizeBytes = 5GB; BackupId = '20261105T023000Z-full'; TargetKind = 'Time'; RecoveredTime = $time
            }
            Shows = 'public', 'trades', '1234567', '5.0 GiB', '2026-11-05 10:00:00Z', '/srv/rescue/public.trades.csv'
        }
        @{
            Model = [SmcDr.TransactionInfo]@{
                Xid = 4294967290; Kind = 'Drop, Truncate'; CommitTime = $time; RecoveryLsn = '1F16/B374D848'; FirstLsn = '1F16/B374D000'
                CommitLsn = '1F16/B374D848'; EndLsn = '1F16/B374D888'; Timeline = 1; DatabaseOid = 16384; Database = 'smc_trading'
                DeletedRows = 1234567; UpdatedRows = 0; InsertedRows = 0; Relations = [SmcDr.TransactionRelation[]]@(); SystemId = '7301'
                Repository = $repository; RelationNames = 'public.trades, public.users'
            }
            Shows = '2026-11-05 10:00:00Z', '4294967290', 'Drop, Truncate', 'smc_trading', '1234567', '1F16/B374D848', 'public.trades'
        }
        @{
            Model = [SmcDr.TransactionRelation]@{
                Name = 'public.trades'; Type = 'Table'; Change = 'Truncated'; Oid = 16400; DatabaseOid = 16384; TablespaceOid = 1663; FileNode = 16432
                DeletedRows = 1234567; UpdatedRows = 12; InsertedRows = 1
            }
            Shows = 'public.trades', 'Table', 'Truncated', '16400', '16432', '1234567'
        }
        @{
            Model = [SmcDr.WalStreamStatus]@{
                State = 'Connecting'; Timeline = 1; FlushedLsn = '1F16/B374D848'; LagBytes = 0; LagSeconds = 0.25; ReceivedBytes = 5GB
                Time = $time; Message = 'The server is away; trying again.'
            }
            Shows = '2026-11-05 10:00:00Z', 'Connecting', '1F16/B374D848', '0 B', '250 ms', '5.0 GiB'
        }
        @{
            Model = [SmcDr.WalStreamStatus]@{
                State = 'Spilling'; Timeline = 1; FlushedLsn = '1F16/B374D848'; LagBytes = 0; LagSeconds = 0.25; ReceivedBytes = 5GB
                SpilledBytes = 4194304; SpillingSince = $time; SpillDirectory = '/spill'
                Time = $time; Message = '4.0 MiB are here only.'
            }
            Shows = 'Spilling', '4.0 MiB'
        }
        @{
            Model = [SmcDr.PreparationItem]@{
                Item = 'wal_level'; Current = 'minimal'; Wanted = 'replica'; State = 'NeedsRestart'; Server = 'db:5432'
                Recommendation = 'Restart it.'
            }
            Shows = 'NeedsRestart', 'wal_level', 'minimal', 'replica', 'Restart it.'
        }
        @{
            Model = [SmcDr.CheckResult]@{
                Name = 'WalLevel'; Target = 'east'; Outcome = 'Failed'
                Message = 'The server''s wal_level is minimal, with which no base backup can be taken and no WAL can be streamed at all.'
            }
            Shows = 'Failed', 'WalLevel', 'east'
        }
        @{
            Model = [SmcDr.DrillResult]@{
                Succeeded = $true; Acknowledged = 123456; Recovered = 123456; LostAcknowledged = 0; UnexpectedRows = 0; RpoSeconds = 0
                RtoSeconds = 42.5; RpoObjectiveSeconds = 300; RtoObjectiveSeconds = 900; StartTime = $time; DurationSeconds = 130
                Steps = [SmcDr.DrillStep[]]@()
            }
            Shows = 'Passed', '123456', '0 ms of 5 min', '42.5 s of 15 min', '2 min 10 s'
        }
        @{
            Model = [SmcDr.DrillStep]@{
                Name = 'Point-in-time recovery'; Outcome = 'Passed'; StartTime = $time; DurationSeconds = 3.21; Detail = 'It came back.'
            }
            Shows = 'Point-in-time recovery', 'Passed', '2026-11-05 10:00:00Z', '3.2 s', 'It came back.'
        }
        @{
            Model = [SmcDr.RegionInfo]@{
                Name = 'west'; Role = 'Standby'; ActualRole = 'Standby'; Fencing = 'Fenced'; Replication = 'Streaming'; LagBytes = 2048; LossBytes = 0
                CanTakeOver = $false; Obstacles = [string[]]@('It is paused.'); Problems = [string[]]@(); Time = $time
            }
            Shows = 'west', 'Standby', 'Fenced', 'Streaming', '2.0 KiB', 'no', 'It is paused.'
        }
        @{
            Model = [SmcDr.RegionReplicaResult]@{
                Region = 'west'; Source = 'east'; Component = 'Database'; State = 'Created'; Link = 'Streaming'; BackupId = '20261105T100000Z-full'
                Server = '127.0.0.1:5433'; Duration = [timespan]::FromSeconds(42.4)
            }
            Shows = 'west', 'east', 'Database', 'Created', 'Streaming', '42.4 s', '20261105T100000Z-full', '127.0.0.1:5433'
        }
        @{
            Model = [SmcDr.DnsRecordInfo]@{
                Name = 'api.smc-trading.com'; Type = 'CNAME'; Routing = 'Weighted'; SetIdentifier = 'west'; Weight = 0; TtlSeconds = 60
                Values = [string[]]@('api-west.smc-trading.com'); Region = 'west'; ZoneId = 'Z0123456789ABC'; Zone = 'smc-trading.com'; State = 'NotServed'
            }
            Shows = 'api.smc-trading.com', 'CNAME', '60', 'Weighted west 0', 'NotServed', 'api-west.smc-trading.com'
        }
        @{
            Model = [SmcDr.DnsServerAnswer]@{
                Server = 'ns-2048.awsdns-64.com'; Type = 'CNAME'; Outcome = 'NotAuthoritative'; TtlSeconds = 60; DurationSeconds = 0.0123
                Problem = 'It does not answer of its own.'
            }
            Shows = 'ns-2048.awsdns-64.com', 'NotAuthoritative', '12 ms', 'It does not answer of its own.'
        }
        @{
            Model = [SmcDr.DnsChangeResult]@{
                Name = 'api.smc-trading.com'; Type = 'CNAME'; State = 'Served'; IsChanged = $true; Before = 'a'; After = 'west.smc-trading.com (TTL 60)'
                Region = 'west'; ZoneId = 'Z0123456789ABC'; OldAnswerUntil = $time; Duration = [timespan]::FromSeconds(42.4)
            }
            Shows = 'api.smc-trading.com', 'Served', 'west', '2026-11-05 10:00:00Z', '42.4 s', 'west.smc-trading.com'
        }
        @{
            Model = [SmcDr.SiteInfo]@{
                Name = 'smc-trading'; Path = '/etc/smcdr/smcdr.yaml'; Repository = $repository; PrimaryRegion = 'eu-central-1'
                Regions = [string[]]@('east', 'west'); DatabaseRto = [timespan]::FromMinutes(15); DatabaseRpo = [timespan]::FromMinutes(5)
                IsCurrent = $true
            }
            Shows = '*', 'smc-trading', 'eu-central-1', 'east, west', '15 min', '5 min'
        }
        @{
            Model = [SmcDr.BackupFailure]@{
                Time = $time; Site = 'smc-trading'; Component = 'Database'; Problem = 'PostgreSQL at db:5432 cannot be reached.'; Recommendation = 'Start the server.'
                ErrorId = 'SmcServerUnavailable'; Command = 'smcdr backup database'; By = 'smcdr@backup-1'; Elapsed = [timespan]::FromSeconds(192); NotedIn = $repository
            }
            Shows = 'smc-trading', 'Database', 'smcdr@backup-1', 'PostgreSQL at db:5432 cannot be reached. Start the server.'
        }
        @{
            Model = [SmcDr.BackupTestResult]@{
                Id = '20261122T081500Z-full'; Component = 'FileStore'; Subject = 'config'; Outcome = 'Failed'; StartTime = $time; ObjectCount = 12; CheckedBytes = 2GB
                Problems = [SmcDr.BackupProblem[]]@([SmcDr.BackupProblem]::new('x', 'SmcChecksumMismatch', 'A pack is damaged.'))
                Duration = [timespan]::FromSeconds(192); Repository = $repository
            }
            Shows = 'Failed', '20261122T081500Z-full', 'A pack is damaged.'
        }
        @{
            Model = [SmcDr.FileStoreRestoreResult]@{
                BackupId = '20261122T081500Z-full'; Name = 'config'; TargetPath = '/etc/smc-trading'; State = 'Complete'; FileCount = 1234; KeptFileCount = 1
                SizeBytes = 2GB; DirectoryCount = 12; LinkCount = 1; ProblemCount = 0; Problems = [string[]]@(); Duration = [timespan]::FromSeconds(192)
            }
            Shows = '20261122T081500Z-full', 'Complete', '1234', '2.0 GiB', '3 min 12 s', '/etc/smc-trading'
        }
        @{
            Model = [SmcDr.KeyFileInfo]@{ Path = '/etc/smcdr/repository.key'; Fingerprint = '0123456789abcdef' }
            Shows = '/etc/smcdr/repository.key', '0123456789abcdef'
        }
        @{
            Model = [SmcDr.RepositoryKeyInfo]@{
                Name = 'vault'; Kind = 'KeyFile'; KeyId = 'fedcba9876543210'; Current = $true; Opens = $true; Fingerprint = '0123456789abcdef'
                CreatedTime = $time; Repository = $repository
            }
            Shows = 'vault', 'KeyFile', '2026-11-05 10:00:00Z'
        }
        @{
            Model = [SmcDr.ProtectionInfo]@{
                BackupId = '20261122T081500Z-full'; Component = 'Database'; Kind = 'Lock'; Until = $time; By = 'ada@ops-1'; CreatedTime = $time
                Repository = $repository
            }
            Shows = '20261122T081500Z-full', 'Lock', '2026-11-05 10:00:00Z', 'ada@ops-1'
        }
        @{
            Model = [SmcDr.RecoveryTestResult]@{
                TestId = '20261105T100000Z-test'; Site = 'smc-trading'; Component = 'Database'; Outcome = 'Passed'; TargetKind = 'Latest'; StartTime = $time
                Duration = [timespan]::FromSeconds(192); RecoverySeconds = 130; ObjectiveSeconds = 900; By = 'ada@ops-1'; Repository = $repository
                Checks = [SmcDr.CheckResult[]]@([SmcDr.CheckResult]@{ Name = 'Rows'; Target = 'trades'; Outcome = 'Passed'; Message = 'All are there.' })
            }
            Shows = '20261105T100000Z-test', 'Passed', '2 min 10 s'
        }
        @{
            Model = [SmcDr.RetentionResult]@{
                Id = '20261122T081500Z-full'; Component = 'Database'; Kind = 'Backup'; Action = 'Remove'; Reasons = [string[]]@('no rule keeps it')
                Repository = $repository
            }
            Shows = '20261122T081500Z-full', 'Remove', 'no rule keeps it'
        }
    ) | ForEach-Object { $_ + @{ Type = $_.Model.GetType().Name } }

    # What any cmdlet says that it writes.
    $written = (Get-Command -Module SmcDr -CommandType Cmdlet).OutputType.Type | Where-Object Namespace -EQ 'SmcDr' | ForEach-Object Name | Sort-Object -Unique
}

BeforeAll {
    Import-Module ([System.IO.Path]::Combine($PSScriptRoot, 'SmcDr.TestSupport.psm1')) -Force
    Import-Module (Get-SmcModulePath) -Global
}

Describe 'The view of <Type>' -ForEach $models {
    BeforeAll {
        $PSStyle.OutputRendering = 'PlainText'
        $text = $Model | Out-String -Width 120
        $lines = $text -split '\r?\n'
    }

    It 'is a table that fits 120 columns' {
        $lines -match '^-+( +-+)+' | Should -Not -BeNullOrEmpty
        ($lines | Measure-Object -Property Length -Maximum).Maximum | Should -BeLessOrEqual 120
    }

    It 'squeezes no column to nothing in 80 columns' {
        # What does not fit is left out by PowerShell, but for the column that begins before the edge: that gets what is left, if it is one letter a line.
        $headers = (Get-FormatData -TypeName $Model.GetType().FullName).FormatViewDefinition.Control.Headers
        $used = 0
        foreach ($header in $headers) {
            $left = 79 - $used
            if ($left -le 0) {
                break
            }

            $left | Should -BeGreaterOrEqual ($header.Width -gt 0 ? [System.Math]::Min($header.Width, 5) : 5) -Because "$($header.Label) begins there"
            $used += $header.Width + 1
            if ($header.Width -eq 0) {
                break
            }
        }
    }

    It 'shows what matters in full' {
        foreach ($value in $Shows) {
            $text | Should -Match ([regex]::Escape($value))
        }
    }

    It 'survives a model with nothing but what is required' {
        $Error.Clear()
        $bare = [System.Runtime.CompilerServices.RuntimeHelpers]::GetUninitializedObject($Model.GetType())
        $null = $bare | Out-String -Width 120
        $Error | Should -BeNullOrEmpty
    }

    It 'names in its list only properties that there are' {
        $set = $Model.PSStandardMembers.DefaultDisplayPropertySet.ReferencedPropertyNames
        $set | Should -Not -BeNullOrEmpty
        foreach ($name in $set) {
            $Model.PSObject.Properties.Name | Should -Contain $name
        }
    }
}

Describe 'What cmdlets write' {
    It 'has a case above: <_>' -ForEach $written {
        $_ | Should -BeIn $known
    }
} -ForEach @{ known = $models.Type }

Describe '<Type> for other programs' -ForEach $models {
    BeforeAll {
        $properties = $Model.GetType().GetProperties()
        $names = [regex] '(System|SmcDr)\.[A-Z]|`\d'
    }

    It 'is JSON without names of types, with times in UTC by ISO 8601' {
        $json = ConvertTo-Json -InputObject $Model -Depth 8 -WarningAction Stop
        $json | Should -Not -Match $names
        $back = $json | ConvertFrom-Json -DateKind String
        foreach ($property in $properties) {
            $value = $property.GetValue($Model)
            if ($value -is [DateTimeOffset]) {
                $back.($property.Name) | Should -Match '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$'
                [DateTimeOffset] $back.($property.Name) | Should -Be $value
            } elseif ($value -is [string] -or ($value -is [ValueType] -and $value.GetType().IsPrimitive)) {
                $back.($property.Name) | Should -Be $value -Because $property.Name
            }
        }
    }

    It 'is a row of CSV in which each value stands as a text, and comes back' {
        $file = Join-Path $TestDrive "$Type.csv"
        $Model | Export-Csv -LiteralPath $file
        $back = Import-Csv -LiteralPath $file
        foreach ($property in $properties) {
            $text = $back.($property.Name)
            $value = $property.GetValue($Model)
            $text | Should -Not -Match $names -Because $property.Name
            if ($value -is [DateTimeOffset]) {
                # To the second, as .NET writes a time.
                [DateTimeOffset]::Parse($text).ToUnixTimeSeconds() | Should -Be $value.ToUnixTimeSeconds() -Because $property.Name
            } elseif ($value -is [timespan]) {
                [timespan] $text | Should -Be $value -Because $property.Name
            } elseif ($value -is [string]) {
                $text | Should -Be $value -Because $property.Name
            } elseif ($value -is [ValueType] -and $value.GetType().IsPrimitive -and $value -isnot [bool]) {
                [double]::Parse($text) | Should -Be $value -Because $property.Name
            }
        }
    }

    It 'has lists that are a text as well' {
        foreach ($property in $properties | Where-Object { $_.PropertyType.Name -like 'IReadOnlyList*' }) {
            $value = $property.GetValue($Model)
            $value.GetType().Name | Should -Be 'ResultList`1' -Because $property.Name
            $value.ToString() | Should -Be ($value -join '; ')
        }
    }
}

Describe 'Lists within results' {
    BeforeAll {
        function New-Result {
            [SmcDr.FileStoreRestoreResult]@{
                BackupId = 'a'; Name = 'b'; TargetPath = '/c'; State = 'Partial'; FileCount = 1; KeptFileCount = 0; SizeBytes = 1; DirectoryCount = 1; LinkCount = 0
                ProblemCount = 2; Problems = [string[]]@('One is away.', 'Two is in use.'); Duration = '00:00:01'
            }
        }

        $result = New-Result
    }

    It 'are lists' {
        $result.Problems.Count | Should -Be 2
        $result.Problems[0], $result.Problems[-1] | Should -Be 'One is away.', 'Two is in use.'
        @($result.Problems | Where-Object { $_ -like 'Two*' }) | Should -HaveCount 1
        'Two is in use.' | Should -BeIn $result.Problems
    }

    It 'are their items as a text' {
        ($result | ConvertTo-Csv | ConvertFrom-Csv).Problems | Should -Be 'One is away.; Two is in use.'
        ($result | ConvertTo-Json | ConvertFrom-Json).Problems | Should -Be 'One is away.', 'Two is in use.'
    }

    It 'are equal where their items are' {
        (New-Result).Equals($result) | Should -BeTrue
        (New-Result).GetHashCode() | Should -Be $result.GetHashCode()
    }
}

Describe 'Colours' {
    BeforeAll {
        function Get-Shown([string] $Rendering) {
            $set = $Rendering ? "`$PSStyle.OutputRendering = '$Rendering'" : ''
            Invoke-FreshPwsh -Parameters @{ Module = Get-SmcModulePath } -Script ([scriptblock]::Create(@"
param(`$Module)
Import-Module `$Module
$set
`$failed = [SmcDr.CheckResult]@{ Name = 'WalLevel'; Target = 'east'; Outcome = 'Failed'; Message = 'It is minimal.' }
"`$(`$PSStyle.OutputRendering)"
(`$failed | Format-Table | Out-String) + (`$failed | Format-List | Out-String)
"@))
        }
    }

    It 'are there where the terminal shows them' {
        (Get-Shown Ansi)[1] | Should -Match "`e\["
    }

    It 'are not there with NO_COLOR' {
        $before = $env:NO_COLOR
        $env:NO_COLOR = '1'
        try {
            $rendering, $text = Get-Shown
        } finally {
            $env:NO_COLOR = $before
        }

        $rendering | Should -Be 'PlainText'
        $text | Should -Match 'Failed'
        $text | Should -Not -Match "`e"
    }

    It 'are not there in plain text' {
        $text = (Get-Shown PlainText)[1]
        $text | Should -Match 'Failed'
        $text | Should -Not -Match "`e"
    }
}

Describe 'Readable text' {
    It 'writes <Bytes> bytes as <Expected>' -ForEach @(
        @{ Bytes = 0; Expected = '0 B' }
        @{ Bytes = 1023; Expected = '1023 B' }
        @{ Bytes = 1024; Expected = '1.0 KiB' }
        @{ Bytes = 1048575; Expected = '1.0 MiB' }
        @{ Bytes = 1536MB; Expected = '1.5 GiB' }
        @{ Bytes = [long]::MaxValue; Expected = '8.0 EiB' }
        @{ Bytes = -2048; Expected = '-2.0 KiB' }
        @{ Bytes = $null; Expected = '' }
    ) {
        [SmcDr.DisplayText]::Size($Bytes) | Should -Be $Expected
    }

    It 'writes <Seconds> seconds as <Expected>' -ForEach @(
        @{ Seconds = 0; Expected = '0 ms' }
        @{ Seconds = 0.9996; Expected = '1.0 s' }
        @{ Seconds = 59.94; Expected = '59.9 s' }
        @{ Seconds = 59.96; Expected = '1 min' }
        @{ Seconds = 3599.6; Expected = '1 h' }
        @{ Seconds = 7500; Expected = '2 h 05 min' }
        @{ Seconds = 273600; Expected = '3 d 04 h' }
        @{ Seconds = [double]::NaN; Expected = '' }
        @{ Seconds = 1e300; Expected = '' }
        @{ Seconds = $null; Expected = '' }
    ) {
        [SmcDr.DisplayText]::Seconds($Seconds) | Should -Be $Expected
    }

    It 'is the same under another culture' {
        $culture = [cultureinfo]::CurrentCulture
        try {
            [cultureinfo]::CurrentCulture = 'de-DE'
            [SmcDr.DisplayText]::Size(1536) | Should -Be '1.5 KiB'
            [SmcDr.DisplayText]::Seconds(1.5) | Should -Be '1.5 s'
        } finally {
            [cultureinfo]::CurrentCulture = $culture
        }
    }

    It 'writes a time in UTC' {
        [SmcDr.DisplayText]::Time([DateTimeOffset]'2026-11-05T11:00:00+01:00') | Should -Be '2026-11-05 10:00:00Z'
    }
}
