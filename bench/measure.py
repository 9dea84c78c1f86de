"""Runs commands, and keeps what each cost: the time on the clock, the processors' time, the largest process."""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")


class Cost:
    """What one step took once."""

    def __init__(self, wall, cpu, memory):
        self.wall = wall
        self.cpu = cpu
        self.memory = memory


class Meter:
    """The costs of steps and the sizes that they led to, by side and step."""

    def __init__(self):
        self.costs = {}
        self.sizes = {}
        # Megabytes of memory to have in use once before each step (settle).
        self.warm = 0

    def run(self, side, step, *commands):
        """Runs commands one behind the other as one step."""
        cpu, start = busy_seconds(), time.monotonic()
        memory = max(execute(command) for command in commands)
        cost = Cost(time.monotonic() - start, busy_seconds() - cpu, memory)
        self.costs.setdefault((side, step), []).append(cost)
        print("    %-14s %-14s %8.2f s %8.2f s of processor %8.0f MB" % (side, step, cost.wall, cost.cpu, memory / 1e6), file=sys.stderr)

    def size(self, side, step, size):
        self.sizes.setdefault((side, step), []).append(size)

    def median(self, side, step, what):
        costs = self.costs.get((side, step))
        return statistics.median(getattr(cost, what) for cost in costs) if costs else None

    def median_size(self, side, step):
        sizes = self.sizes.get((side, step))
        return statistics.median(sizes) if sizes else None

    def largest(self, side):
        """The largest process of a side in any step."""
        return max((cost.memory for (name, _), costs in self.costs.items() if name == side for cost in costs), default=None)


def busy_seconds():
    """Processor time of everything on this machine: a database server does a part of the work, and that is not in any child's account."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, interrupt, softinterrupt = map(int, file.readline().split()[1:8])
    return (user + nice + system + interrupt + softinterrupt) / TICK


def command(*args, env=None, user=None, cwd="/"):
    """A command, as another user where we are root."""
    if user and os.geteuid() == 0:
        args = ("runuser", "-u", user, "--") + args
    return {"args": list(map(str, args)), "env": env or {}, "cwd": cwd}


def shell(line, env=None, user=None, cwd="/"):
    """A pipeline, of which each program must succeed."""
    return command("bash", "-o", "pipefail", "-c", line, env=env, user=user, cwd=cwd)


def execute(command):
    """Runs a command to its end, which must be a good one. Returns the size of its largest process in bytes."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command["args"], env={**os.environ, **command["env"]}, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            cwd=command["cwd"])
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            sys.exit("%s failed with %d:\n%s" % (
                " ".join(command["args"]), process.returncode, output.read().decode(errors="replace")[-4000:]))
        return usage.ru_maxrss * 1024


def call(*args, **options):
    execute(command(*args, **options))


def directory_size(path):
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.lstat(os.path.join(directory, name)).st_size for directory, _, files in os.walk(path) for name in files)


def available_memory():
    """Megabytes of memory that programs can have without others being pushed out."""
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) >> 10 for line in file if line.startswith("MemAvailable:"))


def settle(megabytes=0):
    """What was written is on the disk, and so much of the memory that is free has been in use, so that nobody pays for the one before.

    A virtual machine's memory is given to it when it is touched for the first time, at the cost of processor time. Otherwise the side that comes first
    in a round, and fills the cache of files, pays that for all others.
    """
    os.sync()
    if megabytes:
        # In a process of its own: what this one ever had counts as the memory of each program that it starts afterwards (getrusage, ru_maxrss).
        use = "import sys; parts = [bytearray(b'\\1') * (1 << 20) for _ in range(int(sys.argv[1]))]"
        subprocess.run([sys.executable, "-c", use, str(megabytes)], check=True)


def empty(path, user=None):
    """A new empty directory in a place of which nothing old is left."""
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    if user and os.geteuid() == 0:
        shutil.chown(path, user, user)
    return path


def alternate(sides, number):
    """The order of the sides in a round: each is first in turn, so that what one leaves in caches favours none."""
    start = number % len(sides)
    return sides[start:] + sides[:start]
