#!/usr/bin/env python3
"""Measures smcdr beside pgBackRest, pg_basebackup with zstd, and pg_dump with gzip, in one run.

    ./bench/database.py [--size MB] [--s3-size MB] [--wal MB] [--rounds N] [--only NAME,…] [--smcdr PATH] [--write] [--keep]

All back up the same server and take turns; each round begins with the same data. The median of the rounds counts. Nothing outside a
temporary directory is touched, and every server listens on loopback only. --write puts the results into docs/benchmarks.

Needed: `pgbackrest`, `zstd`, `aws` and moto for S3, PostgreSQL's programs, and `smcdr` as published; `./build.sh bench` brings all of
them. As root, servers and pgBackRest run as `postgres`.
"""
import argparse
import os
import shutil
import sys
import tempfile
import time

import report
from contenders import ALL, PROCESSES, Smcdr
from measure import Meter, alternate, available_memory, call, settle
from postgres import Server
from s3 import Bucket

HOME = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
STEPS = ["full backup", "incremental", "restore", "delta restore", "recovery to a time"]


def prepare_server(server, pristine):
    """The server as it was at the beginning."""
    server.stop()
    shutil.rmtree(server.data)
    call("cp", "-a", "--reflink=auto", pristine, server.data)
    server.set_archive("exit 0")
    server.start()


def run_round(options, meter, server, pristine, work, bucket, number):
    prepare_server(server, pristine)
    if bucket:
        bucket.empty()
    contenders = [kind(server, work, bucket, options.smcdr) for kind in ALL if not options.only or kind.name.split(" ")[0].rstrip(",") in options.only.split(",")]
    try:
        for contender in contenders:
            contender.prepare()
        server.set_archive("set -e\n" + "\n".join(filter(None, (contender.archive() for contender in contenders))) + "\nexit 0")
        # Who compares by times does not trust those of this moment.
        server.sql("CHECKPOINT")
        time.sleep(3)
        for contender in alternate(contenders, number):
            take(meter, contender, "full backup", contender.full())
            meter.size(contender.name, "full backup", contender.size())
        server.change()
        time.sleep(3)
        for contender in alternate(contenders, number):
            if take(meter, contender, "incremental", contender.incremental()):
                meter.size(contender.name, "incremental", contender.size())
        rows = server.ask("SELECT count(*) FROM orders")
        for contender in alternate(contenders, number):
            restore(meter, server, contender, rows)
        if not bucket:
            recover(options, meter, server, contenders, number)
    finally:
        for contender in contenders:
            contender.finish()


def take(meter, contender, step, commands):
    if commands:
        settle(meter.warm)
        meter.run(contender.name, step, *commands)
    return commands is not None


def restore(meter, server, contender, rows):
    take(meter, contender, "restore", contender.restore())
    if not os.path.isdir(contender.data):
        server.sql("DROP DATABASE IF EXISTS restored", database="postgres")
        return
    contender.prove(rows)
    if contender.delta():
        for step in server.started(contender.data, contender.port, contender.log):
            call(*step["args"])
        server.change(contender.port)
        call(*server.stopped(contender.data)["args"])
        take(meter, contender, "delta restore", contender.delta())
        contender.prove(rows)
    shutil.rmtree(contender.data)


def recover(options, meter, server, contenders, number):
    server.write_wal(options.wal)
    rows = server.ask("SELECT count(*) FROM orders")
    time.sleep(1)
    target = server.ask("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'")
    time.sleep(1)
    server.sql("DELETE FROM orders WHERE id % 100 = 0", "SELECT pg_switch_wal()")
    wait_for_archive(server)
    for contender in contenders:
        contender.flush()
    for contender in alternate(contenders, number):
        if take(meter, contender, "recovery to a time", contender.recover(target.replace(" ", "T", 1) + ":00" if contender.name == Smcdr.name else target)):
            contender.prove(rows)
            shutil.rmtree(contender.data)


def wait_for_archive(server):
    for _ in range(3000):
        if server.ask("SELECT last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 1) FROM pg_stat_archiver") == "t":
            return
        if server.ask("SELECT pg_walfile_name(pg_current_wal_lsn()) > last_archived_wal AND (SELECT count(*) FROM pg_ls_archive_statusdir() "
                      "WHERE name LIKE '%.ready') = 0 FROM pg_stat_archiver") == "t":
            return
        time.sleep(0.1)
    raise SystemExit("The archiver does not come to an end.")


def measure(options, work, megabytes, with_s3):
    meter = Meter()
    # What the largest step puts into memory: the restored files, the WAL, and the buffers of the server that replays it.
    meter.warm = min(2 * megabytes + options.wal, available_memory() // 2)
    place = os.path.join(work, "s3" if with_s3 else "directory")
    os.makedirs(place)
    os.chmod(place, 0o755)
    bucket = Bucket(place, 10000 + os.getpid() % 10000) if with_s3 else None
    server = Server(os.path.join(place, "server"), megabytes)
    try:
        server.stop()
        pristine = os.path.join(place, "pristine")
        call("cp", "-a", "--reflink=auto", server.data, pristine)
        server.start()
        for number in range(options.rounds):
            print("%s, round %d of %d" % ("S3" if with_s3 else "directory", number + 1, options.rounds), file=sys.stderr)
            run_round(options, meter, server, pristine, os.path.join(place, "work"), bucket, number)
    finally:
        server.set_archive("exit 0")
        server.stop()
        if bucket:
            bucket.stop()
    return meter


def write(options, results):
    sides = [kind.name for kind in ALL]
    tables = []
    for title, megabytes, file, meter in results:
        tables.append("## %s\n\n![%s](%s)\n\n%s\n" % (title, title, file, report.table(meter, STEPS, sides, Smcdr.name)))
        if options.write:
            with open(os.path.join(HOME, "docs", "benchmarks", file), "w") as out:
                out.write(report.chart(title, meter, STEPS, sides))
    server = report.version("pg_config", "--version")
    text = """# Benchmarks

Measured by `./build.sh bench` in one run, contenders taking turns, medians of %d rounds, on %s; %s, %s, %s. Every restored server was started and its rows were counted.

A cell is the time on the clock, in brackets the processor time of the whole machine (of the database server as well), and how many times
as long as smcdr's that is. Each contender has %d processes. smcdr and pgBackRest compress with zstd at their own defaults; smcdr streams WAL during all of it. The
table has orders with numbers, times, random references and words, and three indexes. *Incremental* and *delta restore* follow a change to
one page of a hundred, at random. *Restore* is to a server that has taken writes and was stopped again. *Recovery to a time* is the same
with %d MB of WAL to replay.

%s
The largest process of a recovery by smcdr is the PostgreSQL server that replays, which is given more shared buffers for it; smcdr's own are
those of the other steps.
`pg_basebackup` and `pg_dump` know neither increments nor restoring over what is there (`pg_basebackup` from PostgreSQL 17 on does), and what `pg_dump` wrote cannot be recovered to a time.
moto, the S3 server, is a program in Python on the same two processors: those times are more its own than anybody's, and are there to be compared.
""" % (options.rounds, report.machine(), server, report.version("pgbackrest", "version"), report.version("zstd", "--version").strip("* "),
       PROCESSES, options.wal, "\n".join(tables))
    print(text)
    if options.write:
        with open(os.path.join(HOME, "docs", "benchmarks", "README.md"), "w") as out:
            out.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=2000, help="megabytes of data with a repository in a directory (2000; 0 leaves it out)")
    parser.add_argument("--s3-size", type=int, default=300, help="megabytes of data with a repository on S3 (300; 0 leaves it out)")
    parser.add_argument("--wal", type=int, default=1000, help="megabytes of WAL to replay (1000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each step is run (3)")
    parser.add_argument("--only", help="first words of contenders' names, with commas between")
    parser.add_argument("--smcdr", default=os.path.join(HOME, "out", "cli", "smcdr"))
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks")
    parser.add_argument("--keep", action="store_true", help="leave the temporary directory")
    options = parser.parse_args()
    options.smcdr = os.path.abspath(options.smcdr)
    work = tempfile.mkdtemp(prefix="smcdr-bench-")
    os.chmod(work, 0o755)
    if options.write:
        os.makedirs(os.path.join(HOME, "docs", "benchmarks"), exist_ok=True)
    try:
        results = []
        if options.size:
            results.append(("A database of %d MB, repository in a directory" % options.size, options.size, "directory.svg", measure(options, work, options.size, False)))
        if options.s3_size:
            results.append(("A database of %d MB, repository on S3" % options.s3_size, options.s3_size, "s3.svg", measure(options, work, options.s3_size, True)))
        write(options, results)
    finally:
        if not options.keep:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
