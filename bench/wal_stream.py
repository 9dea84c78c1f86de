#!/usr/bin/env python3
"""What a WAL stream costs the server beside it, and how late it is. bench/wal-latency.sh starts the server and this."""
import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

from measure import TICK, alternate, empty

SLOT = "bench"
WARMING = 5  # seconds: a stream runs for days, and its first seconds are those of the compiler
SAMPLE = (
    "SELECT extract(epoch FROM clock_timestamp()), pg_current_wal_flush_lsn() - '0/0', "
    "(SELECT min(flush_lsn) - '0/0' FROM pg_stat_get_wal_senders())")


class Server:
    def __init__(self, options):
        self.bin = options.bin
        self.port = options.port
        self.clients = options.clients

    def psql(self, *args):
        return [self.bin + "/psql", "-XqAt", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-v", "ON_ERROR_STOP=1", *args, "postgres"]

    def ask(self, query):
        return subprocess.check_output(self.psql("-c", query), text=True).strip()

    def load(self, seconds):
        """pgbench at full load. Returns its transactions in a second."""
        output = subprocess.check_output(
            [self.bin + "/pgbench", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-n", "-c", str(self.clients), "-j", "2", "-M",
             "prepared", "-T", str(seconds), "postgres"], text=True, stderr=subprocess.STDOUT)
        return float(re.search(r"tps = ([0-9.]+)", output).group(1))

    def rest(self):
        """As good as new: what the last phase left is written, and the next one's first change of a page logs all of it."""
        for statement in ("VACUUM pgbench_branches", "VACUUM pgbench_tellers", "VACUUM pgbench_accounts", "TRUNCATE pgbench_history", "CHECKPOINT"):
            self.ask(statement)
        os.sync()


class Alone:
    name = "alone"
    process = None

    def start(self, server):
        pass

    def stop(self, server):
        pass


class Stream:
    """A process that receives WAL by a slot."""

    def start(self, server):
        server.ask("SELECT pg_create_physical_replication_slot('%s', true)" % SLOT)
        self.log = open(self.directory + ".log", "w+")
        self.process = subprocess.Popen(self.command(server), stdout=self.log, stderr=self.log, env={**os.environ, **self.environment()})
        self.wait(server, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'" + self.condition)

    condition = ""

    def environment(self):
        return {}

    def wait(self, server, query):
        limit = time.monotonic() + 60
        while server.ask(query) in ("0", "f"):
            if self.process.poll() is not None or time.monotonic() > limit:
                self.log.seek(0)
                sys.exit("%s does not stream:\n%s" % (self.name, self.log.read()[-4000:]))
            time.sleep(0.1)

    def stop(self, server):
        # Not SIGINT: what runs behind a shell in the background has it ignored.
        self.process.send_signal(self.signal)
        if self.process.wait(120) != 0:
            self.log.seek(0)
            sys.exit("%s failed:\n%s" % (self.name, self.log.read()[-4000:]))
        self.log.close()
        server.ask("SELECT pg_drop_replication_slot('%s')" % SLOT)
        shutil.rmtree(self.directory)


class Smcdr(Stream):
    signal = signal.SIGTERM

    def __init__(self, name, program, directory, synchronous=False):
        self.name, self.program, self.directory, self.synchronous = name, program, directory, synchronous
        self.condition = " AND sync_state = 'sync'" if synchronous else ""

    def environment(self):
        return {"SMCDR_SITE": self.directory + ".yaml"}

    def command(self, server):
        with open(self.directory + ".yaml", "w") as file:
            file.write(
                "name: bench\nrepository:\n  location: 'file://%s'\nregions:\n  here:\n    role: primary\n    database:\n      connection: "
                "'Host=127.0.0.1;Port=%d;Username=postgres;Database=postgres;SSL Mode=Disable'\n      slot: %s\n" % (self.directory, server.port, SLOT))
        return [self.program, "wal", "stream", "--json"] + (["--synchronous"] if self.synchronous else [])


class PgReceiveWal(Stream):
    name = "pg_receivewal"
    signal = signal.SIGINT

    def __init__(self, directory):
        self.directory = directory

    def command(self, server):
        empty(self.directory)
        # What is started in the background ignores SIGINT, by which alone this ends well.
        return ["python3", "-c", "import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); os.execv(sys.argv[1], sys.argv[1:])",
                server.bin + "/pg_receivewal", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-D", self.directory, "-S", SLOT, "-w"]


class Sampler:
    """The server's own word, a hundred times in a second, on how far its WAL is on its disk and how far the stream says that it is."""

    def __init__(self, server):
        self.rows = []
        self.process = subprocess.Popen(server.psql("-F", " "), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(SAMPLE + " \\watch 0.01\n")
        self.process.stdin.flush()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            fields = line.split()
            if len(fields) >= 2:
                self.rows.append((float(fields[0]), int(fields[1]), int(fields[2]) if len(fields) > 2 else None))

    def last(self):
        return self.rows[-1][1]

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()

    def delays(self, begin, end):
        """Milliseconds until the stream had what was on the server's disk at each sample that saw more than the one before."""
        result, known, later = [], 0, iter(self.rows)
        durable = next(later, None)
        for moment, flushed, _ in self.rows:
            if not begin <= moment <= end or flushed <= known:
                continue
            known = flushed
            while durable is not None and (durable[2] is None or durable[2] < flushed):
                durable = next(later, None)
            if durable is None:
                break
            result.append((durable[0] - moment) * 1000)
        return result


def cpu_of(pid):
    """Processor seconds of a process."""
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def machine():
    """Ticks of all processors: all, and those in which nothing was done."""
    with open("/proc/stat") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    return sum(fields), fields[3] + fields[4]


class Phase:
    """One stretch of load beside one stream."""

    def __init__(self, server, side, seconds):
        self.seconds = seconds
        server.rest()
        side.start(server)
        sampler = Sampler(server)
        try:
            server.load(WARMING)
            sender = int(server.ask("SELECT coalesce(min(pid), 0) FROM pg_stat_replication"))
            pids = [side.process.pid, sender] if side.process else []
            begin, position, cpu, (ticks, idle) = time.time(), sampler.last(), [cpu_of(pid) for pid in pids], machine()
            self.rate = server.load(seconds)
            end, cpu, (ticks, idle) = time.time(), [cpu_of(pid) - c for pid, c in zip(pids, cpu)], (now - then for now, then in zip(machine(), (ticks, idle)))
            self.megabytes = (sampler.last() - position) / 1e6
            self.cpu = [seconds / self.megabytes * 1000 for seconds in cpu]
            self.idle = 100 * idle / ticks
            if side.process:
                # What was written last is to be durable as well, before it is asked how long each took.
                time.sleep(1.5)
        finally:
            sampler.stop()
            side.stop(server)
        self.delays = sampler.delays(begin, end) if side.process else []

    def print(self, number, name):
        text = "%3d %-15s %8.0f tps %8.1f MB/s %5.0f %% idle" % (number, name, self.rate, self.megabytes / self.seconds, self.idle)
        if self.cpu:
            text += " %8.2f + %5.2f ms/MB" % tuple(self.cpu)
        if self.delays:
            text += " %6.0f %6.0f %6.0f ms" % (percentile(self.delays, 0.5), percentile(self.delays, 0.99), max(self.delays))
        print(text, flush=True)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def loss(phases, number):
    """By how many percent a phase was slower than those alone before and behind it."""
    return 100 * (1 - phases[number][1].rate / statistics.mean(phases[at][1].rate for at in (number - 1, number + 1)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True, help="the directory of PostgreSQL's programs")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--work", required=True, help="a directory on the file system of the server")
    parser.add_argument("--other", help="a directory of another file system, for a repository whose syncs do not meet the server's")
    parser.add_argument("--smcdr", required=True, action="append", help="the program; again for another build to compare with")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--synchronous", action="store_true")
    options = parser.parse_args()
    server = Server(options)
    smcdr = options.smcdr[0]
    sides = [Smcdr("smcdr", smcdr, options.work + "/repository"), PgReceiveWal(options.work + "/received")]
    if options.other:
        sides.append(Smcdr("smcdr, other", smcdr, options.other + "/repository"))
    if options.synchronous:
        sides.append(Smcdr("smcdr, sync", smcdr, options.work + "/repository", synchronous=True))
    sides += [Smcdr("smcdr, build %d" % number, build, options.work + "/repository") for number, build in enumerate(options.smcdr[1:], 2)]

    # The server alone before, between and behind all others: how much it varies by itself says what a difference is worth.
    order = [Alone()]
    for number in range(options.rounds):
        for side in alternate(sides, number):
            order += [side, Alone()]
    print("stream + sender: processor time for each megabyte of WAL. Commit to durable: median, 99 %, most.")
    phases = []
    for number, side in enumerate(order):
        phases.append((side.name, Phase(server, side, options.seconds)))
        phases[-1][1].print(number, side.name)

    alone = [phase.rate for name, phase in phases if name == Alone.name]
    print("\nalone: %.0f tps, standard deviation %.1f %%" % (statistics.mean(alone), 100 * statistics.stdev(alone) / statistics.mean(alone)))
    for side in sides:
        losses = [loss(phases, number) for number, (name, _) in enumerate(phases) if name == side.name]
        own = [phase for name, phase in phases if name == side.name]
        delays = [delay for phase in own for delay in phase.delays]
        print("%-15s %5.1f %% slower (%s); %.2f + %.2f ms/MB; commit to durable 50 %% %.0f ms, 99 %% %.0f ms, most %.0f ms" % (
            side.name + ":", statistics.mean(losses), ", ".join("%.1f" % one for one in losses),
            statistics.mean(phase.cpu[0] for phase in own), statistics.mean(phase.cpu[1] for phase in own),
            percentile(delays, 0.5), percentile(delays, 0.99), max(delays)))


main()
