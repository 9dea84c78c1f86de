#!/usr/bin/env python3
"""Backs up, backs up again and restores a directory of many small files, and says what memory that takes and what is read.

    ./bench/many_files.py [--files N] [--smcdr PATH] [--work DIRECTORY]

A second backup of unchanged files should read none of their content: the bytes that each command read by system calls are beside the
bytes of the files; the second still reads the list of the first, some 150 bytes for a file. Exit code 1 where the trees differ, memory
passes 512 MB, or the second backup read as much as a quarter of the content.
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

HOME = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
FILE_BYTES = 1024
MEMORY_LIMIT_MB = 512


def make_tree(path, files):
    source = random.Random(1)
    for number in range(files):
        if number % 1000 == 0:
            directory = os.path.join(path, "%05d" % (number // 1000))
            os.makedirs(directory)
        with open(os.path.join(directory, "%03d" % (number % 1000)), "wb", buffering=0) as file:
            file.write(source.randbytes(FILE_BYTES // 2).hex().encode())


def measured(name, env, *command):
    start = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.DEVNULL)
    # Ended but not yet waited for, so that /proc still knows what it read.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    elapsed = time.monotonic() - start
    with open("/proc/%d/io" % process.pid) as file:
        read = int(dict(line.split(": ") for line in file)["rchar"]) / 1e6
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit("%s failed with status %d" % (name, status))
    memory = usage.ru_maxrss / 1024
    print("%-14s %7.1f s  %7.1f s of processor  %5.0f MB of memory at most  %7.1f MB read" %
          (name, elapsed, usage.ru_utime + usage.ru_stime, memory, read), flush=True)
    return memory, read


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=1000000, help="how many files of 1 KB (1000000)")
    parser.add_argument("--smcdr", default=os.path.join(HOME, "out", "cli", "smcdr"))
    parser.add_argument("--work", help="where the temporary directory is made")
    options = parser.parse_args()
    work = tempfile.mkdtemp(prefix="smcdr-bench-", dir=options.work)
    try:
        tree = os.path.join(work, "tree")
        target = os.path.join(work, "target")
        make_tree(tree, options.files)
        # Files younger than this moment's clock tick are read again by right.
        time.sleep(3)
        site = os.path.join(work, "smcdr.yaml")
        with open(site, "w") as file:
            json.dump({
                "name": "bench",
                "repository": {"location": "file://" + os.path.join(work, "repository"), "encryptionKey": "env:SMCDR_BENCH_KEY"},
                "regions": {"here": {"role": "primary"}},
                "fileStores": [{"name": "tree", "path": tree}],
            }, file)
        env = {"SMCDR_SITE": site, "SMCDR_BENCH_KEY": "correct horse battery staple"}
        smcdr = os.path.abspath(options.smcdr)
        first = measured("first backup", env, smcdr, "backup", "filestore")
        second = measured("second backup", env, smcdr, "backup", "filestore")
        restore = measured("restore", env, smcdr, "restore", "filestore", "--destination", target, "--yes")
        differ = subprocess.run(["diff", "-r", "-q", tree, target]).returncode
        content = options.files * FILE_BYTES / 1e6
        print("files hold %.1f MB; the restored tree %s" % (content, "differs" if differ else "is the same"))
        failed = differ or second[1] > content / 4 or max(first[0], second[0], restore[0]) > MEMORY_LIMIT_MB
        sys.exit(1 if failed else 0)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
