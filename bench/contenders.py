"""What can back up the same server, each as its own manual says, with the same number of processes."""
import os
import shutil
import signal
import subprocess
import time

from measure import call, command, directory_size, empty, shell

PROCESSES = 2


class Contender:
    """One way to back up and restore. A step that it does not have is None."""

    name = None

    def __init__(self, server, work, bucket, program):
        self.server = server
        self.bucket = bucket
        self.program = program
        self.work = os.path.join(work, self.name.split(" ")[0].rstrip(","))
        self.repository = os.path.join(self.work, "repository")
        self.data = os.path.join(self.work, "restored")
        self.log = os.path.join(self.work, "restored.log")
        self.port = server.port + 1

    def prepare(self):
        """Makes an empty repository and starts the archiving of WAL."""
        empty(self.work, self.server.user)

    def archive(self):
        """A line of the archiving script, in which $1 is the path of a segment and $2 its name."""
        return None

    def full(self):
        return None

    def incremental(self):
        return None

    def restore(self):
        """To a server that has taken writes, and was stopped again."""
        return None

    def delta(self):
        """The same over the directory that is there."""
        return None

    def recover(self, time):
        return None

    def flush(self):
        """All WAL that there is must be archived now."""

    def finish(self):
        """Ends what archives."""

    def size(self):
        if self.bucket:
            return self.bucket.size(self.prefix())
        return directory_size(self.repository)

    def prefix(self):
        return self.name.split(" ")[0].rstrip(",")

    def prove(self, rows):
        """Whether what was restored starts, and has as many rows as there should be."""
        for step in self.server.started(self.data, self.port, self.log):
            call(*step["args"])
        found = self.server.ask("SELECT count(*) FROM orders", port=self.port)
        call(*self.server.stopped(self.data)["args"])
        if found != rows:
            raise SystemExit("%s restored %s rows of %s." % (self.name, found, rows))

    def started(self):
        return self.server.started(self.data, self.port, self.log) + [self.server.stopped(self.data)]


class Smcdr(Contender):
    name = "smcdr"
    repository_settings = ""
    stream = None

    def prepare(self):
        super().prepare()
        location = self.bucket.smcdr_location(self.prefix()) if self.bucket else "file://" + self.repository
        site = os.path.join(self.work, "smcdr.yaml")
        with open(site, "w") as file:
            file.write(
                "name: bench\nrepository:\n  location: '%s'\n%sregions:\n  here:\n    role: primary\n    database:\n      connection: "
                "'Host=127.0.0.1;Port=%d;Username=postgres;Database=bench;SSL Mode=Disable'\n      dataDirectory: '%s'\n      slot: smcdr_bench\n" % (
                    location, self.repository_settings, self.server.port, self.data))
        self.env = {**(self.bucket.env if self.bucket else {}), "SMCDR_SITE": site}
        if not self.bucket:
            self.stream = subprocess.Popen(
                [self.program, "wal", "stream", "--json"], env={**os.environ, **self.env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
            while self.server.ask("SELECT count(*) FROM pg_stat_replication") == "0":
                if self.stream.poll() is not None:
                    raise SystemExit("smcdr's WAL stream ended.")
                time.sleep(0.1)

    def _smcdr(self, *args):
        return command(self.program, *args, env=self.env)

    def full(self):
        return [self._smcdr("backup", "database", "--full", "--parallelism", PROCESSES)]

    def incremental(self):
        return [self._smcdr("backup", "database", "--parallelism", PROCESSES)]

    def restore(self):
        return [self._smcdr("restore", "database", "--immediate", "--no-start", "--yes", "--parallelism", PROCESSES)]

    def delta(self):
        return [self._smcdr("restore", "database", "--immediate", "--delta", "--no-start", "--yes", "--parallelism", PROCESSES)]

    def recover(self, time):
        return [self._smcdr("restore", "database", "--target-time", time, "--no-start", "--yes", "--parallelism", PROCESSES)]

    def flush(self):
        self.finish()

    def finish(self):
        if self.stream is not None:
            # Not SIGINT: what runs behind a shell in the background has it ignored.
            self.stream.send_signal(signal.SIGTERM)
            self.stream.wait(120)
            self.server.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots", database="postgres")
            self.stream = None


class PgBackRest(Contender):
    name = "pgBackRest"
    repository_settings = ""

    def prepare(self):
        super().prepare()
        self.config = os.path.join(self.work, "pgbackrest.conf")
        repository = self.bucket.pgbackrest(self.prefix()) if self.bucket else "repo1-path=%s\n" % self.repository
        with open(self.config, "w") as file:
            file.write(
                "[global]\n%s%srepo1-retention-full=9\nrepo1-bundle=y\nprocess-max=%d\nstart-fast=y\ncompress-type=zst\narchive-async=y\n"
                "log-path=%s\nlock-path=%s\nspool-path=%s\n"
                "[bench]\npg1-path=%s\npg1-port=%d\npg1-socket-path=%s\npg1-user=postgres\npg1-database=bench\n" % (
                    repository, self.repository_settings, PROCESSES, self.work, self.work, self.work, self.server.data, self.server.port, self.server.work))
        if self.server.user:
            shutil.chown(self.config, self.server.user, self.server.user)
        os.chmod(self.config, 0o600)
        call(*self._pgbackrest("stanza-create")["args"])

    def archive(self):
        return "pgbackrest --config=%s --stanza=bench archive-push \"$1\"" % self.config

    def _pgbackrest(self, *args):
        return command("pgbackrest", "--config=" + self.config, "--stanza=bench", "--log-level-console=warn", *args, user=self.server.user)

    def full(self):
        return [self._pgbackrest("--type=full", "backup")]

    def incremental(self):
        return [self._pgbackrest("--type=incr", "backup")]

    def _restore(self, *args):
        return [self._pgbackrest("--pg1-path=" + self.data, *args, "--target-action=promote", "restore")] + self.started()

    def restore(self):
        return self._restore("--type=immediate")

    def delta(self):
        return self._restore("--type=immediate", "--delta")

    def recover(self, time):
        return self._restore("--type=time", "--target=" + time)

    def size(self):
        return self.bucket.size(self.prefix() + "/backup") if self.bucket else directory_size(os.path.join(self.repository, "backup"))


class PgBaseBackup(Contender):
    name = "pg_basebackup + zstd"

    def prepare(self):
        super().prepare()
        empty(self.repository, self.server.user)
        os.makedirs(os.path.join(self.work, "archive"))
        if self.server.user:
            shutil.chown(os.path.join(self.work, "archive"), self.server.user, self.server.user)

    def archive(self):
        return None if self.bucket else "cp \"$1\" %s/archive/\"$2\"" % self.work

    def _backup(self):
        target = ("aws s3 cp --only-show-errors - %s" % self.bucket.url(self.prefix() + "/base.tar.zst")) if self.bucket else (
            "cat > %s/base.tar.zst && sync -f %s" % (self.repository, self.repository))
        return [shell(
            "%s/pg_basebackup -h %s -p %d -U postgres -c fast -X fetch -Ft -D - | zstd -q -3 -T%d | %s" % (
                self.server.bin, self.server.work, self.server.port, PROCESSES, target), env=self.bucket.env if self.bucket else None)]

    def full(self):
        return self._backup()

    def _extract(self):
        source = ("aws s3 cp --only-show-errors %s -" % self.bucket.url(self.prefix() + "/base.tar.zst")) if self.bucket else (
            "cat %s/base.tar.zst" % self.repository)
        return shell("mkdir -m 700 %s && %s | zstd -q -d | tar -x -C %s" % (self.data, source, self.data),
                     env=self.bucket.env if self.bucket else None, user=None if self.bucket else self.server.user)

    def _own(self):
        return [command("chown", "-R", "postgres:postgres", self.data)] if self.server.user and self.bucket else []

    def restore(self):
        return [self._extract()] + self._own() + self.started()

    def recover(self, time):
        settings = "restore_command = 'cp %s/archive/%%f %%p'\nrecovery_target_time = '%s'\nrecovery_target_action = promote\n" % (self.work, time)
        return [
            self._extract(),
            shell("cat >> %s/postgresql.auto.conf <<'CONF'\n%sCONF\ntouch %s/recovery.signal" % (self.data, settings, self.data), user=self.server.user),
        ] + self.started()


class Dump(Contender):
    """What the runbooks did that this product replaces."""

    name = "pg_dump, gzip"

    def prepare(self):
        super().prepare()
        empty(self.repository)

    def full(self):
        target = ("aws s3 cp --only-show-errors - %s" % self.bucket.url(self.prefix() + "/bench.dump.gz")) if self.bucket else (
            "cat > %s/bench.dump.gz && sync -f %s" % (self.repository, self.repository))
        return [shell("%s/pg_dump -h %s -p %d -U postgres -d bench -F c -b | gzip | %s" % (self.server.bin, self.server.work, self.server.port, target),
                      env=self.bucket.env if self.bucket else None)]

    def restore(self):
        source = ("aws s3 cp --only-show-errors %s -" % self.bucket.url(self.prefix() + "/bench.dump.gz")) if self.bucket else (
            "cat %s/bench.dump.gz" % self.repository)
        to = "-h %s -p %d -U postgres" % (self.server.work, self.server.port)
        return [shell("%s/createdb %s restored && %s | gzip -d | %s/pg_restore %s -d restored --exit-on-error" % (
            self.server.bin, to, source, self.server.bin, to), env=self.bucket.env if self.bucket else None)]


ALL = [Smcdr, PgBackRest, PgBaseBackup, Dump]
