#!/usr/bin/env python3
"""Measures smcdr beside redis-cli on one Redis server in one run: backup beside --rdb, restore beside --pipe, and restore by files.

    ./bench/redis.py [--keys N] [--rounds N] [--aof] [--smcdr PATH] [--write] [--keep]

The two take turns, each restores to a server that was just started. Whatever was restored has the DEBUG DIGEST of the source, also after the server was
started again with its append-only file. The median of the rounds counts. Needed: redis-server (or redis-tools) and redis-cli, and `smcdr` in Release.
"""
import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import report
from measure import Meter, alternate, command, directory_size, settle, shell

HOME = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
SIDES = ["smcdr", "redis-cli"]
STEPS = ["backup, small keys", "restore, small keys", "offline restore, small keys", "backup, all types", "restore, all types", "offline restore, all types"]
CHUNK = 1000


class Server:
    """A Redis server of its own on loopback, which keeps nothing unless it has an append-only file."""

    def __init__(self, work, name, aof=False):
        self.directory = os.path.join(work, name)
        os.makedirs(self.directory)
        program = shutil.which("redis-server")
        if program is None:
            # Debian's redis-tools have the server under another name.
            program = os.path.join(work, "redis-server")
            if not os.path.exists(program):
                os.symlink(shutil.which("redis-check-rdb"), program)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.program = program
        self.configuration = os.path.join(work, name + ".conf")
        self.data = os.path.join(self.directory, "data")
        os.makedirs(self.data)
        with open(self.configuration, "w") as file:
            file.write("".join(line + "\n" for line in (
                "port %d" % self.port, "bind 127.0.0.1", "dir " + self.data, 'save ""', "appendonly %s" % ("yes" if aof else "no"),
                "enable-debug-command local", "repl-diskless-sync-delay 0", "logfile " + os.path.join(self.directory, "log"))))
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.program, self.configuration])
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port)) as connection:
                    connection.sendall(b"PING\r\n")
                    if connection.recv(100).startswith(b"+PONG"):
                        return
            except OSError:
                pass
            time.sleep(0.1)

    def cli(self, *arguments):
        return subprocess.run(
            ["redis-cli", "-p", str(self.port), *arguments], check=True, capture_output=True, text=True).stdout.strip()

    def stop(self):
        """Ends whichever process it is by now: a restore by files has started another one."""
        number = int(next(line for line in self.cli("INFO", "server").splitlines() if line.startswith("process_id:")).split(":")[1])
        os.kill(number, signal.SIGTERM)
        self.process.wait()
        while number in processes_in(self.directory):
            time.sleep(0.05)

    def remove(self):
        self.stop()
        shutil.rmtree(self.directory)


def processes_in(directory):
    """The processes that work below a directory, whoever started them."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink("/proc/%s/cwd" % name).startswith(directory + os.sep):
                found.append(int(name))
        except OSError:
            # It ended, or only waits to be reaped.
            pass
    return found


def encode(*arguments):
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        argument = argument if isinstance(argument, bytes) else str(argument).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(argument), argument))
    return b"".join(parts)


def small_keys(count):
    """What a cache or a session store has most of."""
    source = random.Random(1)
    for number in range(count):
        yield encode("SET", "key:%012d" % number, source.randbytes(12).hex())


def all_types(count):
    """Of ten keys five are strings, one each a hash, list, set, sorted set and stream; one of a hundred of these is long; one of five expires."""
    source = random.Random(2)
    words = [source.randbytes(6).hex() for _ in range(4096)]
    expiry = int(time.time() * 1000) + 30 * 86400 * 1000
    for number in range(count):
        kind = number % 10
        length = 1000 if source.random() < 0.01 else source.randrange(1, 12)
        some = source.choices(words, k=length)
        if kind < 5:
            yield encode("SET", "string:%d" % number, " ".join(some[:20]) if kind else number)
        elif kind == 5:
            yield encode("HSET", "hash:%d" % number, *(part for word in some for part in (word, number)))
        elif kind == 6:
            yield encode("RPUSH", "list:%d" % number, *some)
        elif kind == 7:
            yield encode("SADD", "set:%d" % number, *(some if number % 20 == 7 else source.choices(range(1 << 20), k=length)))
        elif kind == 8:
            yield encode("ZADD", "sorted:%d" % number, *(part for word in some for part in (round(source.random() * 100, 2), word)))
        else:
            yield encode("XADD", "stream:%d" % number, "1-1", "field", some[0], "other", number)
        if number % 5 == 0:
            name = "string:%d" % number if kind < 5 else "hash:%d" % number
            yield encode("PEXPIREAT", name, expiry + number)


def fill(server, commands):
    process = subprocess.Popen(
        ["redis-cli", "-p", str(server.port), "--pipe"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for one in commands:
        process.stdin.write(one)
    output, _ = process.communicate()
    if process.returncode != 0 or b"errors: 0" not in output:
        sys.exit("The server could not be filled: %s" % output.decode())


def write_restore_file(server, path):
    """The same keys as a file of RESTORE commands, the fastest thing that redis-cli --pipe can be given."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection, open(path, "wb") as file:
        stream = connection.makefile("rwb", buffering=1 << 20)

        def read():
            line = stream.readline()
            if line[:1] in b"+:":
                return line[1:-2]
            if line[:1] == b"*":
                return [read() for _ in range(int(line[1:]))]
            if line[:1] == b"$":
                return stream.read(int(line[1:]) + 2)[:-2]
            sys.exit("The server answered %r" % line)

        cursor = b"0"
        while True:
            stream.write(encode("SCAN", cursor, "COUNT", CHUNK))
            stream.flush()
            cursor, keys = read()
            for key in keys:
                stream.write(encode("DUMP", key))
                stream.write(encode("PEXPIRETIME", key))
            stream.flush()
            for key in keys:
                value, expiry = read(), int(read())
                file.write(encode("RESTORE", key, max(expiry, 0), value, "REPLACE", *(["ABSTTL"] if expiry > 0 else [])))
            if cursor == b"0":
                return


def write_site(path, server, repository):
    with open(path, "w") as file:
        json.dump({
            "name": "bench",
            "repository": {"location": "file://" + repository},
            "regions": {"here": {"role": "primary", "redis": {
                "endpoint": "127.0.0.1:%d" % server.port, "dataDirectory": server.data, "configFile": server.configuration,
                "binDirectory": os.path.dirname(server.program)}}},
        }, file)


def check_digest(options, server, digest, aof):
    if server.cli("DEBUG", "DIGEST") != digest:
        sys.exit("What was restored is not what was backed up.")
    if aof:
        server.stop()
        server.start()
        while server.cli("PING") != "PONG":
            time.sleep(0.2)
        if server.cli("DEBUG", "DIGEST") != digest:
            sys.exit("What was restored is not in the append-only file.")


def run_set(options, meter, work, name, commands, rates):
    source = Server(work, "source")
    fill(source, commands)
    keys = int(source.cli("DBSIZE"))
    digest = source.cli("DEBUG", "DIGEST")
    pipe = os.path.join(work, "restore.resp")
    write_restore_file(source, pipe)
    repository, site, rdb = (os.path.join(work, part) for part in ("repository", "smcdr.yaml", "cli.rdb"))
    for number in range(options.rounds):
        print("%s, round %d of %d" % (name, number + 1, options.rounds), file=sys.stderr)
        for side in alternate(SIDES, number):
            shutil.rmtree(repository, ignore_errors=True)
            write_site(site, source, repository)
            settle()
            if side == "smcdr":
                meter.run(side, "backup, " + name, command(options.smcdr, "--site", site, "backup", "redis"), command("sync"))
                meter.size(side, "backup, " + name, directory_size(repository))
            else:
                meter.run(side, "backup, " + name, command("redis-cli", "-p", source.port, "--rdb", rdb), command("sync"))
                meter.size(side, "backup, " + name, directory_size(rdb))
            for aof in [False, True] if options.aof else [False]:
                target = Server(work, "target", aof)
                step = "restore, %s%s" % (name, ", AOF on" if aof else "")
                settle()
                if side == "smcdr":
                    result = os.path.join(work, "result.json")
                    meter.run(side, step, shell("%s --site %s restore redis --endpoint 127.0.0.1:%d --yes --json > %s" % (
                        options.smcdr, site, target.port, result)))
                    with open(result) as file:
                        outcome = json.load(file)
                    if outcome["keysRestored"] != keys or outcome["verified"] is not True:
                        sys.exit("The restore says %s" % outcome)
                    rates.setdefault(step, []).append(outcome["keysPerSecond"])
                else:
                    meter.run(side, step, shell("redis-cli -p %d --pipe < %s" % (target.port, pipe)))
                check_digest(options, target, digest, aof)
                target.remove()
                if side == "smcdr":
                    restore_by_files(options, meter, work, name, repository, keys, digest, aof)
    source.remove()
    for path in (pipe, rdb):
        os.unlink(path)
    return keys


def restore_by_files(options, meter, work, name, repository, keys, digest, aof):
    """The whole backup as what the server starts with: it is stopped, and away until it has loaded."""
    target = Server(work, "target", aof)
    site, result = (os.path.join(work, part) for part in ("target.yaml", "result.json"))
    write_site(site, target, repository)
    settle()
    meter.run("smcdr", "offline restore, %s%s" % (name, ", AOF on" if aof else ""), shell(
        "%s --site %s restore redis --method offline --yes --json > %s" % (options.smcdr, site, result)))
    with open(result) as file:
        outcome = json.load(file)
    if outcome["keysRestored"] != keys or outcome["verified"] is not True or outcome["sampledKeys"] < 1 or outcome["mismatchedKeys"] != 0:
        sys.exit("The restore says %s" % outcome)
    check_digest(options, target, digest, aof)
    target.remove()


def steps(options):
    return [step for base in STEPS for step in ([base, base + ", AOF on"] if options.aof and "restore" in base else [base])]


def write(options, meter, rates, counts):
    title = "A Redis server of {:,} keys".format(options.keys)
    sums = "\n".join("* {}: {:,.0f} keys a second while they are sent (median of {}).".format(
        step, sorted(values)[len(values) // 2], len(values)) for step, values in rates.items())
    text = """# Benchmarks: Redis

Measured by `bench/redis.py` in one run, taking turns, medians of %d rounds, on %s; %s. Every restore ended with the source's `DEBUG DIGEST`.

*Small keys*: %s strings of 24 bytes. *All types*: %s keys, half of them strings, the others hashes, lists, sets, sorted sets and streams, one of a hundred
of them long; one key of five expires. `redis-cli` writes a bare RDB (`--rdb`), not compressed further and not read; what it restores (`--pipe`) is a file of
RESTORE commands that was made before, and not counted; an offline restore it has none. smcdr compresses and verifies what it backs up, restores from that, and compares the server afterwards.
A cell is the time on the clock, in brackets the processor time of the machine, the server's among it, and how many times as long as smcdr's that is.

![%s](redis.svg)

%s

%s
""" % (options.rounds, report.machine(), report.version("redis-cli", "--version"), *("{:,}".format(count) for count in counts), title,
       report.table(meter, steps(options), SIDES, "smcdr"), sums)
    print(text)
    if options.write:
        folder = os.path.join(HOME, "docs", "benchmarks")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "redis.md"), "w") as file:
            file.write(text)
        with open(os.path.join(folder, "redis.svg"), "w") as file:
            file.write(report.chart(title, meter, steps(options), SIDES))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=2_000_000, help="how many keys (2000000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side is run (3)")
    parser.add_argument("--aof", action="store_true", help="restore to a server with an append-only file as well")
    parser.add_argument("--smcdr", default=os.path.join(HOME, "src", "SmcDr.Cli", "bin", "Release", "net10.0", "smcdr"))
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks")
    parser.add_argument("--keep", action="store_true", help="leave the temporary directory")
    options = parser.parse_args()
    options.smcdr = os.path.abspath(options.smcdr)
    work = tempfile.mkdtemp(prefix="smcdr-bench-")
    meter, rates = Meter(), {}
    try:
        counts = [
            run_set(options, meter, work, "small keys", small_keys(options.keys), rates),
            run_set(options, meter, work, "all types", all_types(options.keys), rates)]
        write(options, meter, rates, counts)
    finally:
        for number in processes_in(work):
            os.kill(number, signal.SIGKILL)
        if not options.keep:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
