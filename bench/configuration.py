#!/usr/bin/env python3
"""Measures backup and restore of a namespace with many Secrets, encrypted, against a real API server.

    ./bench/configuration.py [--secrets N] [--kubeconfig PATH] [--smcdr PATH] [--write] [--keep]

Makes a namespace of its own, and deletes it at the end. Needed: `kubectl`, an administrator's kubeconfig with a client certificate or a token, and
`smcdr` as it is published. The API server is on the clock as well: where it runs on the same machine, its processor time is in the account.
"""
import argparse
import base64
import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid

import report
from measure import Meter, command, directory_size, settle

HOME = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
SIDE = "smcdr"
STEPS = ["backup", "restore", "restore again", "compare"]
GOALS = {"backup": 60, "restore": 300}
MEMORY = 300e6
WRITERS = 16


class Cluster:
    """What kubectl is too slow for: it asks for one object after the other."""

    def __init__(self, kubeconfig, work):
        self.kubeconfig = kubeconfig
        config = json.loads(self.kubectl("config", "view", "--raw", "--flatten", "--minify", "-o", "json"))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        address = urllib.parse.urlsplit(cluster["server"])
        self.host, self.port = address.hostname, address.port or 443
        self.headers = {"Content-Type": "application/json"}
        if "token" in user:
            self.headers["Authorization"] = "Bearer " + user["token"]
        self.context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        if "client-certificate-data" in user:
            path = os.path.join(work, "client.pem")
            with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
                file.write(base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"]))
            self.context.load_cert_chain(path)
            os.remove(path)

    def kubectl(self, *args):
        done = subprocess.run(["kubectl", "--kubeconfig", self.kubeconfig, *args], capture_output=True, text=True)
        if done.returncode:
            sys.exit("kubectl %s failed: %s" % (" ".join(args), done.stderr))
        return done.stdout

    def fill(self, namespace, count):
        """Makes Secrets of 1 KB that do not compress, over many connections."""
        numbers = iter(range(count))
        lock = threading.Lock()
        problems = []

        def write():
            connection = http.client.HTTPSConnection(self.host, self.port, context=self.context, timeout=120)
            while not problems:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                body = json.dumps({
                    "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                    "metadata": {"name": "secret-%05d" % number, "labels": {"app": "bench", "part": str(number % 10)}},
                    "data": {"key": base64.b64encode(os.urandom(1024)).decode()}})
                while True:
                    connection.request("POST", "/api/v1/namespaces/%s/secrets" % namespace, body, self.headers)
                    answer = connection.getresponse()
                    text = answer.read()
                    if answer.status != 429:
                        break
                    time.sleep(int(answer.headers.get("Retry-After", "1")))
                if answer.status != 201:
                    problems.append(text.decode(errors="replace")[:500])

        threads = [threading.Thread(target=write) for _ in range(WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if problems:
            sys.exit("A Secret was not made: %s" % problems[0])

    def count(self, namespace):
        return len(self.kubectl("-n", namespace, "get", "secrets", "-l", "app=bench", "-o", "name", "--chunk-size=2000").splitlines())


def load():
    return "%.1f" % os.getloadavg()[0]


def measure(options, work, namespace):
    cluster = Cluster(options.kubeconfig, work)
    meter = Meter()
    loads = {}
    repository = os.path.join(work, "repository")
    site = os.path.join(work, "smcdr.yaml")
    with open(site, "w") as file:
        json.dump({
            "name": "bench",
            "repository": {"location": "file://" + repository, "encryptionKey": "env:SMCDR_BENCH_KEY"},
            "regions": {"here": {"role": "primary", "kubernetes": {"kubeconfig": os.path.abspath(options.kubeconfig), "namespace": namespace}}},
        }, file)
    env = {"SMCDR_SITE": site, "SMCDR_BENCH_KEY": "correct horse battery staple"}

    def run(step, *args):
        settle()
        before = load()
        meter.run(SIDE, step, command(options.smcdr, *args, env=env))
        loads[step] = "%s to %s" % (before, load())

    try:
        cluster.kubectl("create", "namespace", namespace)
        start = time.monotonic()
        cluster.fill(namespace, options.secrets)
        print("    %d Secrets made in %.0f s" % (options.secrets, time.monotonic() - start), file=sys.stderr)
        run("backup", "backup", "configuration")
        meter.size(SIDE, "backup", directory_size(repository))
        start = time.monotonic()
        cluster.kubectl("delete", "namespace", namespace, "--wait", "--timeout=30m")
        print("    the namespace deleted in %.0f s" % (time.monotonic() - start), file=sys.stderr)
        run("restore", "restore", "configuration", "--yes")
        found = cluster.count(namespace)
        if found != options.secrets:
            sys.exit("%d of %d Secrets are there." % (found, options.secrets))
        run("restore again", "restore", "configuration", "--yes")
        run("compare", "compare", "configuration")
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")
    return meter, loads


def write(options, meter, loads):
    title = "A namespace with %d Secrets of 1 KB" % options.secrets
    goals = ["%s in %.1f s (goal: %d s)" % (step, meter.median(SIDE, step, "wall"), GOALS[step]) for step in GOALS]
    goals.append("at most %.0f MB of memory (goal: %.0f MB)" % (meter.largest(SIDE) / 1e6, MEMORY / 1e6))
    text = """# Benchmarks: configuration of Kubernetes

Measured by `bench/configuration.py` on %s, against a real API server on the same machine, one run. Between backup and restore the namespace was deleted; what was
restored was counted, and compared with the backup. A cell is the time on the clock, in brackets the processor time of the whole machine.
Load of the machine before and after each step: %s.

%s

%s
""" % (report.machine(), ", ".join("%s %s" % pair for pair in loads.items()), report.table(meter, STEPS, [SIDE], SIDE), "; ".join(goals) + ".")
    print(text)
    if options.write:
        folder = os.path.join(HOME, "docs", "benchmarks")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "configuration.md"), "w") as file:
            file.write(text)
    missed = [step for step in GOALS if meter.median(SIDE, step, "wall") > GOALS[step]] + ["memory"] * (meter.largest(SIDE) > MEMORY)
    if missed and options.secrets == 31000:
        sys.exit("%s: goal missed: %s" % (title, ", ".join(missed)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--secrets", type=int, default=31000, help="how many Secrets there are (31000)")
    parser.add_argument("--kubeconfig", default=os.environ.get("SMCDR_TEST_KUBECONFIG") or os.path.expanduser("~/.kube/config"))
    parser.add_argument("--smcdr", default=os.path.join(HOME, "src", "SmcDr.Cli", "bin", "Release", "net10.0", "smcdr"))
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks")
    parser.add_argument("--keep", action="store_true", help="leave the temporary directory")
    options = parser.parse_args()
    options.smcdr = os.path.abspath(options.smcdr)
    work = tempfile.mkdtemp(prefix="smcdr-bench-")
    try:
        write(options, *measure(options, work, "smcdr-bench-" + uuid.uuid4().hex[:8]))
    finally:
        if not options.keep:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
