#!/usr/bin/env python3
"""Measures what a repository costs beside pgBackRest and restic, all three encrypting and compressing, in one run.

    ./bench/repository.py [--size MB] [--rounds N] [--smcdr PATH] [--write] [--keep]

All back up one PostgreSQL server, take turns, and begin each round with the same data: first backup, second backup after a change to one page
of a hundred at random, verification of every byte, restore. The median of the rounds counts. restic knows no PostgreSQL: the server is
stopped while restic reads its files. Needed: `restic`, and what ./build.sh bench brings.
"""
import argparse
import os
import shutil
import sys
import tempfile
import time

import contenders
import report
from measure import Meter, alternate, call, command, directory_size, empty, settle
from postgres import Server

HOME = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
PASSPHRASE = "correct horse battery staple"
STEPS = ["first backup", "second backup", "verify", "restore"]


class Smcdr(contenders.Smcdr):
    repository_settings = "  encryptionKey: env:SMCDR_BENCH_KEY\n"

    def prepare(self):
        os.environ["SMCDR_BENCH_KEY"] = PASSPHRASE
        super().prepare()

    def verify(self):
        return [self._smcdr("test", "backup", "--deep")]


class PgBackRest(contenders.PgBackRest):
    repository_settings = "repo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=%s\n" % PASSPHRASE

    def verify(self):
        return [self._pgbackrest("verify")]

    def size(self):
        return directory_size(self.repository)


class Restic(contenders.Contender):
    name = "restic"

    def prepare(self):
        super().prepare()
        empty(self.repository, self.server.user)
        cache = empty(os.path.join(self.work, "cache"), self.server.user)
        self.env = {"RESTIC_PASSWORD": PASSPHRASE, "RESTIC_REPOSITORY": self.repository, "RESTIC_CACHE_DIR": cache}
        call(*self._restic("init")["args"], env=self.env)

    def _restic(self, *args):
        return command("restic", "--quiet", *args, env=self.env, user=self.server.user)

    def full(self):
        return [self._restic("backup", self.server.data)]

    incremental = full

    def verify(self):
        return [self._restic("check", "--read-data")]

    def restore(self):
        place = os.path.join(self.work, "place")
        return [self._restic("restore", "latest", "--target", place),
                command("mv", place + self.server.data, self.data), command("rm", "-rf", place)] + self.started()


SIDES = [Smcdr, PgBackRest, Restic]


def take(meter, server, contender, step, commands):
    cold = contender.name == Restic.name and step.endswith("backup")
    if cold:
        server.stop()
    settle()
    meter.run(contender.name, step, *commands)
    if step.endswith("backup"):
        meter.size(contender.name, step, contender.size())
    if cold:
        server.start()


def run_round(options, meter, server, pristine, work, number):
    server.stop()
    shutil.rmtree(server.data)
    call("cp", "-a", "--reflink=auto", pristine, server.data)
    server.set_archive("exit 0")
    server.start()
    sides = [kind(server, work, None, options.smcdr) for kind in SIDES]
    try:
        for side in sides:
            side.prepare()
        server.set_archive("set -e\n" + "\n".join(filter(None, (side.archive() for side in sides))) + "\nexit 0")
        server.sql("CHECKPOINT")
        # Who compares by times does not trust those of this moment.
        time.sleep(3)
        for side in alternate(sides, number):
            take(meter, server, side, "first backup", side.full())
        server.change()
        time.sleep(3)
        for side in alternate(sides, number):
            take(meter, server, side, "second backup", side.incremental())
        rows = server.ask("SELECT count(*) FROM orders")
        for side in alternate(sides, number):
            take(meter, server, side, "verify", side.verify())
        for side in alternate(sides, number):
            take(meter, server, side, "restore", side.restore())
            side.prove(rows)
    finally:
        for side in sides:
            side.finish()
        shutil.rmtree(work, ignore_errors=True)


def write(options, meter):
    title = "A database of %d MB, encrypted and compressed" % options.size
    names = [kind.name for kind in SIDES]
    text = """# Benchmarks: repository

Measured by `bench/repository.py` in one run, taking turns, medians of %d rounds, on %s; %s, %s. Every restored server was started and its rows were counted.

All encrypt, and compress with zstd at their own defaults. Between the backups one page of a hundred changes, at random. Verification reads every
byte. restic reads the files of the stopped server, twice the same path. A cell is the time on the clock, in brackets the processor time of the whole
machine, and how many times as long as smcdr's that is. Sizes are of the whole repository, with the log that is needed.

![%s](repository.svg)

%s
""" % (options.rounds, report.machine(), report.version("pgbackrest", "version"), report.version("restic", "version"), title,
       report.table(meter, STEPS, names, Smcdr.name))
    print(text)
    if options.write:
        folder = os.path.join(HOME, "docs", "benchmarks")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "repository.md"), "w") as file:
            file.write(text)
        with open(os.path.join(folder, "repository.svg"), "w") as file:
            file.write(report.chart(title, meter, STEPS, names))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1000, help="megabytes of data (1000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each step is run (3)")
    parser.add_argument("--smcdr", default=os.path.join(HOME, "out", "cli", "smcdr"))
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks/repository.md")
    parser.add_argument("--keep", action="store_true", help="leave the temporary directory")
    options = parser.parse_args()
    options.smcdr = os.path.abspath(options.smcdr)
    work = tempfile.mkdtemp(prefix="smcdr-bench-")
    os.chmod(work, 0o755)
    server = Server(os.path.join(work, "server"), options.size)
    meter = Meter()
    try:
        server.stop()
        pristine = os.path.join(work, "pristine")
        call("cp", "-a", "--reflink=auto", server.data, pristine)
        server.start()
        for number in range(options.rounds):
            print("round %d of %d" % (number + 1, options.rounds), file=sys.stderr)
            run_round(options, meter, server, pristine, os.path.join(work, "work"), number)
    finally:
        server.set_archive("exit 0")
        server.stop()
        if not options.keep:
            shutil.rmtree(work, ignore_errors=True)
    write(options, meter)


if __name__ == "__main__":
    main()
