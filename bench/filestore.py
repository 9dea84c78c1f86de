#!/usr/bin/env python3
"""Measures smcdr beside restic on a directory in one run, both encrypting and compressing.

    ./bench/filestore.py [--size MB] [--rounds N] [--smcdr PATH] [--write] [--keep]

The two take turns, each round begins with the same files. The median of the rounds counts. Needed: `restic`, and `smcdr` in Release.
"""
import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

import report
from measure import Meter, alternate, command, directory_size, empty, settle

HOME = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
PASSPHRASE = "correct horse battery staple"
SIDES = ["smcdr", "restic"]
STEPS = ["first backup", "second backup", "verify", "restore"]


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


def restic_tree(meter, work, tree, repository, target):
    env = {"RESTIC_PASSWORD": PASSPHRASE, "RESTIC_REPOSITORY": repository, "RESTIC_CACHE_DIR": empty(os.path.join(work, "cache"))}
    meter.run("restic", "first backup", command("restic", "init", env=env), command("restic", "backup", tree, env=env))
    meter.size("restic", "first backup", directory_size(repository))
    change_tree(tree)
    settle()
    meter.run("restic", "second backup", command("restic", "backup", tree, env=env))
    meter.size("restic", "second backup", directory_size(repository))
    meter.run("restic", "verify", command("restic", "check", "--read-data", env=env))
    meter.run("restic", "restore", command("restic", "restore", "latest", "--target", target, env=env), command("sync"))
    compare_trees(tree, os.path.join(target, tree.lstrip("/")))


def smcdr_tree(program, meter, work, tree, repository, target):
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
        return command(program, *args, env=env)

    meter.run("smcdr", "first backup", smcdr("backup", "filestore"))
    meter.size("smcdr", "first backup", directory_size(repository))
    change_tree(tree)
    settle()
    meter.run("smcdr", "second backup", smcdr("backup", "filestore"))
    meter.size("smcdr", "second backup", directory_size(repository))
    meter.run("smcdr", "verify", smcdr("test", "backup", "--deep"))
    meter.run("smcdr", "restore", smcdr("restore", "filestore", "--destination", target, "--yes"), command("sync"))
    compare_trees(tree, target)


def measure(options, work):
    meter = Meter()
    tree = os.path.join(work, "tree")
    original = os.path.join(work, "original")
    make_tree(original, options.size)
    for number in range(options.rounds):
        print("round %d of %d" % (number + 1, options.rounds), file=sys.stderr)
        for side in alternate(SIDES, number):
            shutil.rmtree(tree, ignore_errors=True)
            shutil.copytree(original, tree, symlinks=True)
            # Both skip files by their times, and neither trusts those of this moment.
            time.sleep(3)
            repository = os.path.join(work, "repository")
            shutil.rmtree(repository, ignore_errors=True)
            target = empty(os.path.join(work, "target"))
            settle()
            if side == "restic":
                restic_tree(meter, work, tree, repository, target)
            else:
                smcdr_tree(options.smcdr, meter, work, tree, repository, target)
    return meter


def write(options, meter):
    title = "A directory of %d MB, encrypted and compressed" % options.size
    text = """# Benchmarks: directories

Measured by `bench/filestore.py` in one run, taking turns, medians of %d rounds, on %s; %s. What was restored was compared with the source.

Nine tenths are files of 8 MiB that compress to about half, one tenth files of 4 KiB. Before the second backup one file of a hundred changes: a hundredth of a
large one, all of a small one. A cell is the time on the clock, in brackets the processor time, and how many times as long as smcdr's that is.

![%s](filestore.svg)

%s
""" % (options.rounds, report.machine(), report.version("restic", "version"), title, report.table(meter, STEPS, SIDES, "smcdr"))
    print(text)
    if options.write:
        folder = os.path.join(HOME, "docs", "benchmarks")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "filestore.md"), "w") as file:
            file.write(text)
        with open(os.path.join(folder, "filestore.svg"), "w") as file:
            file.write(report.chart(title, meter, STEPS, SIDES))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1000, help="megabytes of data (1000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side is run (3)")
    parser.add_argument("--smcdr", default=os.path.join(HOME, "src", "SmcDr.Cli", "bin", "Release", "net10.0", "smcdr"))
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks")
    parser.add_argument("--keep", action="store_true", help="leave the temporary directory")
    options = parser.parse_args()
    options.smcdr = os.path.abspath(options.smcdr)
    work = tempfile.mkdtemp(prefix="smcdr-bench-")
    try:
        write(options, measure(options, work))
    finally:
        if not options.keep:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
