#!/usr/bin/env python3
"""Measures the transfer of a large file into and out of a pod beside kubectl cp, in one run.

    bench/podtransfer.py --kubeconfig FILE [--megabytes N] [--rounds N] [--image IMAGE] [--no-sync] [--websocket] [--program FILE] [--write]

The two take turns, into the same pod of a namespace that is made for it. The file is random, so that nothing on the way can compress it. After each transfer
its SHA-256 is compared, outside of the time. Ours hashes both ends and has the file on the disk before it counts, which kubectl cp does not;
--no-sync leaves the latter out. The median of the rounds counts. Needed: kubectl, the .NET SDK, and an image with sh, tar and sha256sum.
"""
import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import uuid

import report
from measure import Meter, command

HOME = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
SIDES = ["SmcDr", "kubectl cp"]
STEPS = ["into the pod", "out of the pod"]
POD_FILE = "/tmp/large"


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", default=os.environ.get("SMCDR_TEST_KUBECONFIG"), required="SMCDR_TEST_KUBECONFIG" not in os.environ)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--image", default="postgres:15")
    parser.add_argument("--no-sync", action="store_true", help="do not wait for the disks, as kubectl cp does not")
    parser.add_argument("--websocket", action="store_true", help="take a WebSocket also where SPDY would be taken")
    parser.add_argument("--program", help="measure this build of bench/PodTransfer, and publish none")
    parser.add_argument("--write", action="store_true", help="write the results to docs/benchmarks/podtransfer.md")
    options = parser.parse_args()

    output = os.path.join(HOME, "out", "bench-podtransfer")
    if not options.program:
        # As smcdr is handed out: compiled for this platform.
        subprocess.run(
            ["dotnet", "publish", os.path.join(HOME, "bench", "PodTransfer"), "-c", "Release", "--use-current-runtime", "--self-contained", "false",
             "-o", output, "-v", "quiet", "-nologo"], check=True, stdout=sys.stderr)
    ours = options.program or os.path.join(output, "PodTransfer")
    namespace = "smcdr-bench-" + uuid.uuid4().hex[:8]
    kubectl = ["kubectl", "--kubeconfig", options.kubeconfig]

    def cluster(*args, **how):
        return subprocess.run([*kubectl, *args], check=True, text=True, **how)

    def prove(expected):
        there = cluster("--namespace", namespace, "exec", "target", "--", "sha256sum", POD_FILE, stdout=subprocess.PIPE).stdout.split()[0]
        if there != expected:
            sys.exit("The pod has other bytes than were sent.")

    def remove():
        cluster("--namespace", namespace, "exec", "target", "--", "rm", "-f", POD_FILE, stdout=sys.stderr)

    meter = Meter()
    cluster("create", "namespace", namespace, stdout=sys.stderr)
    try:
        with tempfile.TemporaryDirectory() as work:
            here, back = os.path.join(work, "large"), os.path.join(work, "back")
            with open(here, "wb") as file:
                for _ in range(options.megabytes):
                    file.write(os.urandom(1 << 20))
            digest = sha256(here)
            pod = {
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "target"},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [{
                    "name": "main", "image": options.image, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "100000"]}]}}
            cluster("--namespace", namespace, "create", "-f", "-", input=json.dumps(pod), stdout=sys.stderr)
            cluster("--namespace", namespace, "wait", "--for=condition=Ready", "--timeout=120s", "pod/target", stdout=sys.stderr)
            environment = {"NO_SYNC": "1"} if options.no_sync else {}
            if options.websocket:
                environment["WEBSOCKET"] = "1"
            into = {
                "SmcDr": command(ours, "in", options.kubeconfig, namespace, "target", "main", here, POD_FILE, env=environment),
                "kubectl cp": command(*kubectl, "cp", here, "%s/target:%s" % (namespace, POD_FILE))}
            out_of = {
                "SmcDr": command(ours, "out", options.kubeconfig, namespace, "target", "main", back, POD_FILE, env=environment),
                "kubectl cp": command(*kubectl, "cp", "%s/target:%s" % (namespace, POD_FILE), back)}
            for number in range(options.rounds):
                for side in SIDES if number % 2 == 0 else SIDES[::-1]:
                    meter.run(side, STEPS[0], into[side])
                    prove(digest)
                    meter.run(side, STEPS[1], out_of[side])
                    if sha256(back) != digest:
                        sys.exit("%s brought other bytes out of the pod." % side)
                    os.remove(back)
                    remove()
    finally:
        cluster("delete", "namespace", namespace, "--wait=false", stdout=sys.stderr)

    lines = report.table(meter, STEPS, SIDES, "SmcDr")
    text = "%d MiB, median of %d rounds%s%s. %s. In parentheses processor seconds of the whole machine.\n\n%s\n" % (
        options.megabytes, options.rounds, ", without waiting for the disks" if options.no_sync else "",
        ", over WebSockets" if options.websocket else "", report.machine(),
        lines if isinstance(lines, str) else "\n".join(lines))
    print(text)
    for step in STEPS:
        ratio = meter.median("kubectl cp", step, "wall") / meter.median("SmcDr", step, "wall")
        print("%s: %.2f of kubectl cp's speed" % (step, ratio))
    if options.write:
        path = os.path.join(HOME, "docs", "benchmarks", "podtransfer.md")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write("# Into and out of a pod\n\n" + text)


main()
