#!/usr/bin/env python3
"""Measures smcdr beside pgBackRest (database) and restic (directory) in one run, and prints the ratios.

    ./bench/rivals.py [database] [filestore] [--size MB] [--rounds N] [--smcdr PATH] [--keep]

Both sides get the same data, the same number of processes, and take turns, each round from nothing, so that what else the machine
does hits them alike. The median of the rounds counts. Nothing outside a temporary directory is touched, and every server listens on
loopback only.

Needed: `restic` and `pgbackrest` (Debian packages), PostgreSQL's programs, and `smcdr` in Release
(`dotnet build -c Release`). As root, PostgreSQL and pgBackRest run as `postgres`.
"""
import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PROCESSES = 2
PASSPHRASE = "correct horse battery staple"
STEPS = ("first backup", "second backup", "verify", "restore")


class Meter:
    """Runs programs and keeps their times, and the largest memory, by side and step."""

    def __init__(self):
        self.times = {}
        self.memory = {}
        self.sizes = {}

    def run(self, side, step, *commands):
        """Runs commands one behind the other as one step."""
        start = time.monotonic()
        for command in commands:
            peak = self._run(command)
            self.memory[side] = max(self.memory.get(side, 0), peak)
        self.times.setdefault((side, step), []).append(time.monotonic() - start)

    def size(self, side, step, directory):
        self.sizes.setdefault((side, step), []).append(directory_size(directory))

    @staticmethod
    def _run(command):
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                command["args"], env={**os.environ, **command.get("env", {})}, stdout=output, stderr=subprocess.STDOUT,
                cwd=command.get("cwd", "/"))
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                output.seek(0)
                sys.exit("%s failed with %d:\n%s" % (
                    " ".join(command["args"]), process.returncode, output.read().decode(errors="replace")[-4000:]))
            return usage.ru_maxrss * 1024

    def report(self, title, ours, theirs):
        print("\n%s" % title)
        print("%-34s %12s %12s %8s" % ("", ours, theirs, "ratio"))
        for step in STEPS:
            mine, other = (statistics.median(self.times[(side, step)]) for side in (ours, theirs))
            print("%-34s %10.2f s %10.2f s %8.2f" % (step, mine, other, mine / other))
        for step in ("first backup", "second backup"):
            mine, other = (statistics.median(self.sizes[(side, step)]) for side in (ours, theirs))
            print("%-34s %9.1f MB %9.1f MB %8.2f" % ("repository after the " + step, mine / 1e6, other / 1e6, mine / other))
        print("%-34s %9.0f MB %9.0f MB %8.2f" % (
            "largest process", self.memory[ours] / 1e6, self.memory[theirs] / 1e6, self.memory[ours] / self.memory[theirs]))


def directory_size(path):
    total = 0
    for directory, _, files in os.walk(path):
        total += sum(os.lstat(os.path.join(directory, name)).st_size for name in files)
    return total


def command(*args, env=None, user=None, cwd="/"):
    """A command, as another user where we are root."""
    if user and os.geteuid() == 0:
        args = ("runuser", "-u", user, "--") + args
    return {"args": list(map(str, args)), "env": env or {}, "cwd": cwd}


def call(*args, **options):
    Meter._run(command(*args, **options))


def settle():
    """What was written is on the disk, so that nobody pays for the one before."""
    os.sync()


# ---------------------------------------------------------------------------------------------------------- directories

def make_tree(path, megabytes):
    """Nine tenths in files of 8 MiB that compress to about half, one tenth in files of 4 KiB."""
    source = random.Random(1)
    words = [source.randbytes(6).hex().encode() for _ in range(4096)]
    os.makedirs(path)
    for number in range(max(1, megabytes * 9 // 10 // 8)):
        with open(os.path.join(path, "large-%04d" % number), "wb") as file:
            for _ in range(8):
                file.write(b"".join(source.choices(words, k=(1 << 20) // 12)))
    for number in range(megabytes * 1024 // 10 // 4):
        directory = os.path.join(path, "small-%03d" % (number // 500))
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, "%03d" % (number % 500)), "wb") as file:
            file.write(b"".join(source.choices(words, k=4096 // 12)))


def change_tree(path):
    """One file of a hundred is changed: a hundredth of a large one, all of a small one."""
    source = random.Random(2)
    for directory, directories, files in os.walk(path):
        directories.sort()
        for name in sorted(files):
            if source.random() < 0.01:
                full = os.path.join(directory, name)
                with open(full, "r+b") as file:
                    size = os.path.getsize(full)
                    length = min(size, max(4096, size // 100))
                    file.seek(source.randrange(0, size - length + 1))
                    file.write(source.randbytes(length))


def compare_trees(one, other):
    subprocess.run(["diff", "-r", "--no-dereference", "-q", one, other], check=True)


def bench_filestore(options, work):
    meter = Meter()
    tree = os.path.join(work, "tree")
    original = os.path.join(work, "original")
    make_tree(original, options.size)
    for number in range(options.rounds):
        sides = ["smcdr", "restic"] if number % 2 == 0 else ["restic", "smcdr"]
        for side in sides:
            shutil.rmtree(tree, ignore_errors=True)
            shutil.copytree(original, tree, symlinks=True)
            # Both skip files by their times, and neither trusts those of this moment.
            time.sleep(3)
            repository = os.path.join(work, "repository")
            target = os.path.join(work, "target")
            shutil.rmtree(repository, ignore_errors=True)
            shutil.rmtree(target, ignore_errors=True)
            os.makedirs(target)
            settle()
            (smcdr_tree if side == "smcdr" else restic_tree)(options, meter, work, tree, repository, target)
            print("round %d of %d: %s done" % (number + 1, options.rounds, side), file=sys.stderr)
    meter.report("Directory of %d MB, encrypted and compressed by both" % options.size, "smcdr", "restic")


def restic_tree(options, meter, work, tree, repository, target):
    env = {"RESTIC_PASSWORD": PASSPHRASE, "RESTIC_REPOSITORY": repository, "RESTIC_CACHE_DIR": os.path.join(work, "cache")}
    shutil.rmtree(env["RESTIC_CACHE_DIR"], ignore_errors=True)
    meter.run("restic", "first backup", command("restic", "init", env=env), command("restic", "backup", tree, env=env))
    meter.size("restic", "first backup", repository)
    change_tree(tree)
    settle()
    meter.run("restic", "second backup", command("restic", "backup", tree, env=env))
    meter.size("restic", "second backup", repository)
    meter.run("restic", "verify", command("restic", "check", "--read-data", env=env))
    meter.run("restic", "restore", command("restic", "restore", "latest", "--target", target, env=env), command("sync"))
    compare_trees(tree, os.path.join(target, tree.lstrip("/")))


def smcdr_tree(options, meter, work, tree, repository, target):
    site = os.path.join(work, "smcdr.yaml")
    with open(site, "w") as file:
        json.dump({
            "name": "bench",
            "repository": {"location": "file://" + repository, "encryptionKey": "env:SMCDR_BENCH_KEY"},
            "regions": {"here": {"role": "primary"}},
            "fileStores": [{"name": "tree", "path": tree}],
        }, file)
    env = {"SMCDR_SITE": site, "SMCDR_BENCH_KEY": PASSPHRASE}

    def smcdr(*args):
        return command(options.smcdr, *args, env=env)

    meter.run("smcdr", "first backup", smcdr("backup", "filestore"))
    meter.size("smcdr", "first backup", repository)
    change_tree(tree)
    settle()
    meter.run("smcdr", "second backup", smcdr("backup", "filestore"))
    meter.size("smcdr", "second backup", repository)
    meter.run("smcdr", "verify", smcdr("test", "backup", "--deep"))
    meter.run("smcdr", "restore", smcdr("restore", "filestore", "--destination", target, "--yes"), command("sync"))
    compare_trees(tree, target)


# ------------------------------------------------------------------------------------------------------------ databases

class Server:
    """A throwaway PostgreSQL server on loopback."""

    def __init__(self, work, megabytes):
        self.bin = subprocess.check_output(["pg_config", "--bindir"], text=True).strip()
        self.work = work
        self.data = os.path.join(work, "data")
        self.port = 40000 + os.getpid() % 20000
        self.user = "postgres" if os.geteuid() == 0 else None
        call(self.bin + "/initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--data-checksums", "--no-sync", user=self.user)
        self.archive = os.path.join(work, "pgbackrest-archive.sh")  # pgBackRest looks for its name in archive_command.
        self.set_archive("exit 0")
        with open(os.path.join(self.data, "postgresql.conf"), "a") as file:
            file.write(
                "listen_addresses = '127.0.0.1'\nport = %d\nunix_socket_directories = '%s'\nshared_buffers = 256MB\n"
                "max_wal_size = 4GB\nwal_compression = on\narchive_mode = on\narchive_command = 'sh %s %%p'\n"
                "autovacuum = off\n" % (self.port, work, self.archive))
        self.start()
        self.sql("create database bench")
        call(self.bin + "/pgbench", "-h", work, "-p", self.port, "-U", "postgres", "-i", "-q", "-F", "90",
             "-s", max(1, round(megabytes / 16.5)), "bench", user=self.user)
        self.sql("vacuum freeze", "checkpoint")

    def set_archive(self, text):
        with open(self.archive, "w") as file:
            file.write(text + "\n")

    def start(self):
        call(self.bin + "/pg_ctl", "-D", self.data, "-l", os.path.join(self.work, "server.log"), "-w", "-t", "120", "start", user=self.user)

    def stop(self):
        call(self.bin + "/pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop", user=self.user)

    def sql(self, *statements):
        for statement in statements:
            call("psql", "-X", "-h", self.work, "-p", self.port, "-U", "postgres", "-d", "bench" if "database" not in statement else "postgres",
                 "-v", "ON_ERROR_STOP=1", "-c", statement, user=self.user)

    def change(self):
        """One row on each of a hundredth of the pages, at random; there is room for the new row on the same page."""
        self.sql(
            "update pgbench_accounts set abalance = abalance + 1 where ctid in (select format('(%s,1)', p)::tid from "
            "(select distinct (random() * (pg_relation_size('pgbench_accounts') / 8192 - 1))::int as p from "
            "generate_series(1, pg_relation_size('pgbench_accounts') / 819200)) as pages)",
            "checkpoint")


def bench_database(options, work):
    meter = Meter()
    os.chmod(work, 0o755)
    pristine = os.path.join(work, "pristine")
    os.makedirs(pristine)
    if os.geteuid() == 0:
        shutil.chown(pristine, "postgres", "postgres")
    server = Server(pristine, options.size)
    try:
        for number in range(options.rounds):
            sides = ["smcdr", "pgbackrest"] if number % 2 == 0 else ["pgbackrest", "smcdr"]
            for side in sides:
                room = os.path.join(work, "room")
                shutil.rmtree(room, ignore_errors=True)
                os.makedirs(room)
                if os.geteuid() == 0:
                    shutil.chown(room, "postgres", "postgres")
                server.sql("checkpoint")
                time.sleep(3)
                settle()
                (smcdr_database if side == "smcdr" else pgbackrest_database)(options, meter, server, room)
                print("round %d of %d: %s done" % (number + 1, options.rounds, side), file=sys.stderr)
    finally:
        server.set_archive("exit 0")
        server.stop()
    meter.report("PostgreSQL cluster of about %d MB, one page of a hundred changed" % options.size, "smcdr", "pgbackrest")


def prove(server, data):
    """Whether the server in a restored directory starts and has as many rows as there should be."""
    port = server.port + 1
    call(server.bin + "/pg_ctl", "-D", data, "-o", "-p %d -c archive_mode=off" % port, "-l", os.path.join(os.path.dirname(data), "restored.log"),
         "-w", "-t", "300", "start", user=server.user)
    call("psql", "-X", "-h", server.work, "-p", port, "-U", "postgres", "-d", "bench", "-v", "ON_ERROR_STOP=1", "-c",
         "do $$ begin if (select count(*) from pgbench_accounts) % 100000 <> 0 or pg_is_in_recovery() then raise 'wrong'; end if; end $$",
         user=server.user)
    call(server.bin + "/pg_ctl", "-D", data, "-m", "fast", "-w", "stop", user=server.user)


def pgbackrest_database(options, meter, server, room):
    repository = os.path.join(room, "repository")
    config = os.path.join(room, "pgbackrest.conf")
    data = os.path.join(room, "restored")
    with open(config, "w") as file:
        file.write(
            "[global]\nrepo1-path=%s\nrepo1-retention-full=9\nrepo1-bundle=y\nprocess-max=%d\nstart-fast=y\ncompress-type=zst\n"
            "compress-level=1\nlog-path=%s\nlock-path=%s\nspool-path=%s\n"
            "[bench]\npg1-path=%s\npg1-port=%d\npg1-socket-path=%s\npg1-user=postgres\npg1-database=bench\n" % (
                repository, PROCESSES, room, room, room, server.data, server.port, server.work))

    def pgbackrest(*args):
        return command("pgbackrest", "--config=" + config, "--stanza=bench", "--log-level-console=warn", *args, user=server.user)

    call(*pgbackrest("stanza-create")["args"])
    server.set_archive("exec pgbackrest --config=%s --stanza=bench archive-push \"$1\"" % config)
    meter.run("pgbackrest", "first backup", pgbackrest("--type=full", "backup"))
    meter.size("pgbackrest", "first backup", os.path.join(repository, "backup"))
    server.change()
    settle()
    meter.run("pgbackrest", "second backup", pgbackrest("--type=incr", "backup"))
    meter.size("pgbackrest", "second backup", os.path.join(repository, "backup"))
    meter.run("pgbackrest", "verify", pgbackrest("verify"))
    meter.run(
        "pgbackrest", "restore",
        pgbackrest("--pg1-path=" + data, "--type=immediate", "--target-action=promote", "restore"),
        command(server.bin + "/pg_ctl", "-D", data, "-o", "-p %d -c archive_mode=off" % (server.port + 1), "-l", os.path.join(room, "replay.log"),
                "-w", "-t", "300", "start", user=server.user),
        command("sh", "-c", "until [ \"$(psql -X -A -t -h %s -p %d -U postgres -d postgres -c 'select pg_is_in_recovery()')\" = f ]; do sleep 0.1; done"
                % (server.work, server.port + 1), user=server.user),
        command(server.bin + "/pg_ctl", "-D", data, "-m", "fast", "-w", "stop", user=server.user))
    server.set_archive("exit 0")
    prove(server, data)


def smcdr_database(options, meter, server, room):
    repository = os.path.join(room, "repository")
    data = os.path.join(room, "restored")
    site = os.path.join(room, "smcdr.yaml")
    with open(site, "w") as file:
        json.dump({
            "name": "bench",
            "repository": {"location": "file://" + repository},
            "regions": {"here": {"role": "primary", "database": {
                "connection": "Host=127.0.0.1;Port=%d;Username=postgres;Database=bench;SSL Mode=Disable" % server.port,
                "dataDirectory": data, "slot": "smcdr_bench"}}},
        }, file)
    env = {"SMCDR_SITE": site}

    def smcdr(*args):
        return command(options.smcdr, *args, env=env)

    meter.run("smcdr", "first backup", smcdr("backup", "database", "--parallelism", PROCESSES))
    meter.size("smcdr", "first backup", os.path.join(repository, "database"))
    server.change()
    settle()
    meter.run("smcdr", "second backup", smcdr("backup", "database", "--parallelism", PROCESSES))
    meter.size("smcdr", "second backup", os.path.join(repository, "database"))
    meter.run("smcdr", "verify", smcdr("test", "backup", "--deep"))
    meter.run("smcdr", "restore", smcdr("restore", "database", "--immediate", "--no-start", "--yes"))
    prove(server, data)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", choices=["database", "filestore", []], help="default: both")
    parser.add_argument("--size", type=int, default=2000, help="megabytes of data (2000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side is run (3)")
    parser.add_argument("--smcdr", default=os.path.join(
        os.path.dirname(os.path.abspath(__file__)), "..", "src", "SmcDr.Cli", "bin", "Release", "net10.0", "smcdr"))
    parser.add_argument("--keep", action="store_true", help="leave the temporary directory")
    options = parser.parse_args()
    options.smcdr = os.path.abspath(options.smcdr)
    for what in options.what or ["filestore", "database"]:
        work = tempfile.mkdtemp(prefix="smcdr-bench-")
        try:
            {"filestore": bench_filestore, "database": bench_database}[what](options, work)
        finally:
            if not options.keep:
                shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
