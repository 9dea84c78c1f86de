"""A throwaway PostgreSQL server on loopback, with data that compress as those of a trading system do."""
import os
import random
import subprocess
import uuid

from measure import call, command, empty

INSTRUMENTS = ["%s-%s" % (base, quote) for base in ("BTC", "ETH", "SOL", "ADA", "XRP", "DOT", "LTC", "UNI") for quote in ("USD", "EUR", "CHF")]
ROW_BYTES = 330  # with its share of three indexes


class Server:
    def __init__(self, work, megabytes):
        self.bin = subprocess.check_output(["pg_config", "--bindir"], text=True).strip()
        self.user = "postgres" if os.geteuid() == 0 else None
        self.work = empty(work, self.user)
        self.data = os.path.join(work, "data")
        self.port = 20000 + os.getpid() % 10000
        self.rows = max(10000, megabytes * 1000000 // ROW_BYTES)
        self.archive_script = os.path.join(work, "archive.sh")
        self.set_archive("exit 0")
        call(self.bin + "/initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--data-checksums", "--no-sync", user=self.user)
        with open(os.path.join(self.data, "postgresql.conf"), "a") as file:
            # pgBackRest looks for its name in archive_command.
            file.write(
                "listen_addresses = '127.0.0.1'\nport = %d\nunix_socket_directories = '%s'\nshared_buffers = 256MB\nmax_wal_size = 4GB\n"
                "checkpoint_timeout = 30min\narchive_mode = on\narchive_command = 'sh %s %%p %%f # pgbackrest'\nautovacuum = off\n" % (
                    self.port, work, self.archive_script))
        self.start()
        self._fill()

    def set_archive(self, text):
        with open(self.archive_script, "w") as file:
            file.write(text + "\n")

    def start(self):
        call(self.bin + "/pg_ctl", "-D", self.data, "-l", os.path.join(self.work, "server.log"), "-w", "-t", "120", "start", user=self.user)

    def stop(self):
        call(self.bin + "/pg_ctl", "-D", self.data, "-m", "fast", "-w", "-t", "300", "stop", user=self.user)

    def sql(self, *statements, database="bench", port=None):
        for statement in statements:
            call(*self._psql(database, port), "-c", statement, user=self.user)

    def ask(self, query, database="bench", port=None):
        prefix = ["runuser", "-u", self.user, "--"] if self.user else []
        return subprocess.check_output(prefix + self._psql(database, port) + ["-c", query], text=True, cwd="/").strip()

    def _psql(self, database, port):
        return ["psql", "-X", "-q", "-A", "-t", "-h", self.work, "-p", str(port or self.port), "-U", "postgres", "-d", database, "-v", "ON_ERROR_STOP=1"]

    def _fill(self):
        self.sql("CREATE DATABASE bench", database="postgres")
        self.sql("CREATE TABLE orders (id bigint, account int, instrument text, price numeric(18,6), quantity numeric(18,6), placed timestamptz, "
                 "reference uuid, note text) WITH (fillfactor = 90)")
        source = random.Random(1)
        words = ["".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=source.randint(3, 10))) for _ in range(4096)]
        notes = [" ".join(source.choices(words, k=source.randint(3, 20))) for _ in range(200000)]
        prefix = ["runuser", "-u", self.user, "--"] if self.user else []
        copy = subprocess.Popen(
            prefix + self._psql("bench", None) + ["-c", "COPY orders FROM STDIN"], stdin=subprocess.PIPE, text=True, cwd="/", bufsize=1 << 20)
        price = 20000.0
        for number in range(self.rows):
            price += source.gauss(0, 5)
            copy.stdin.write("%d\t%d\t%s\t%.6f\t%.6f\t%d-%02d-%02d %02d:%02d:%02d.%06d+00\t%s\t%s\n" % (
                number, source.getrandbits(17), source.choice(INSTRUMENTS), price, source.random() * 10, 2020 + number * 6 // self.rows,
                source.randint(1, 12), source.randint(1, 28), source.randint(0, 23), source.randint(0, 59), source.randint(0, 59),
                source.getrandbits(19), uuid.UUID(int=source.getrandbits(128)), source.choice(notes)))
        copy.stdin.close()
        if copy.wait() != 0:
            raise SystemExit("The table could not be filled.")
        self.sql("ALTER TABLE orders ADD PRIMARY KEY (id)", "CREATE INDEX ON orders (account)", "CREATE INDEX ON orders (reference)",
                 "VACUUM (FREEZE, ANALYZE)", "CHECKPOINT")

    def change(self, port=None):
        """One row on each of a hundredth of the pages, at random; there is room for the new row on the same page."""
        self.sql(
            "UPDATE orders SET quantity = quantity + 1 WHERE ctid IN (SELECT format('(%s,1)', page)::tid FROM (SELECT DISTINCT "
            "(random() * (pg_relation_size('orders') / 8192 - 1))::int AS page FROM generate_series(1, pg_relation_size('orders') / 819200)) AS pages)",
            "CHECKPOINT", port=port)

    def write_wal(self, megabytes):
        """Transactions of single rows at random, until there is so much WAL."""
        script = os.path.join(self.work, "load.sql")
        with open(script, "w") as file:
            file.write(
                "\\set id random(0, %d)\nBEGIN;\nUPDATE orders SET quantity = quantity + 1 WHERE id = :id;\n"
                "INSERT INTO orders SELECT id + 1000000000, account, instrument, price, quantity, now(), gen_random_uuid(), note FROM orders "
                "WHERE id = :id ON CONFLICT DO NOTHING;\nCOMMIT;\n" % (self.rows - 1))
        goal = int(self.ask("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")) + megabytes * 1000000
        while int(self.ask("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")) < goal:
            call(self.bin + "/pgbench", "-n", "-h", self.work, "-p", self.port, "-U", "postgres", "-c", "4", "-j", "2", "-t", "2500", "-f", script,
                 "bench", env={"PGOPTIONS": "-c synchronous_commit=off"}, user=self.user)

    def started(self, data, port, log):
        """Commands that start a server in a directory and wait until it takes writes."""
        return [
            command(self.bin + "/pg_ctl", "-D", data, "-o", "-p %d -c archive_mode=off" % port, "-l", log, "-w", "-t", "600", "start", user=self.user),
            command("sh", "-c", "until [ \"$(psql -X -A -t -h %s -p %d -U postgres -d postgres -c 'SELECT pg_is_in_recovery()')\" = f ]; do sleep 0.1; done"
                    % (self.work, port), user=self.user)]

    def stopped(self, data):
        return command(self.bin + "/pg_ctl", "-D", data, "-m", "fast", "-w", "-t", "300", "stop", user=self.user)
