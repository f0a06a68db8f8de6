"""The databases under test, and what can happen to them."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import cases
import programs
import world

# Customers of the simulated business that the models are trained on.
BUSINESS = 600


class Sqlite(world.Sqlite):
    """SQLite files, each in a folder of its own."""

    def create(self, database):
        self.drop(database)

    def sql(self, database, statement):
        # As input, since what begins with a comment would be an option.
        return world.run("sqlite3", "-bail", "-cmd", ".timeout 5000", self.file(database), input=statement)

    def integrity(self, database):
        """What `PRAGMA integrity_check` says; "ok" if nothing is wrong."""
        return self.sql(database, "PRAGMA integrity_check").strip()

    def leftovers(self, database):
        """Transactions that nobody ends; SQLite has none once the process is gone."""
        return 0

    def schema(self, database):
        return self.sql(database, "SELECT name, sql FROM sqlite_master WHERE name <> '_sqlx_migrations' ORDER BY name")

    def tables(self, database):
        listed = self.sql(database, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        return listed.split()

    def content(self, database):
        """All bytes of the database's files."""
        files = [pathlib.Path(f"{self.file(database)}{suffix}") for suffix in ("", "-wal")]
        return b"".join(file.read_bytes() for file in files if file.exists())


class Postgres(world.Postgres):
    """A cluster on a port of its own."""

    def __init__(self, work):
        super().__init__(work)
        self.port = world.free_port()
        self.SETTINGS = {
            "listen_addresses": "'127.0.0.1'", "port": str(self.port), "shared_buffers": "256MB", "max_wal_size": "2GB",
            "max_connections": "60",
        }

    def client(self, name, *arguments):
        """The command of a client program of PostgreSQL."""
        where = ["-h", self.folder, "-p", self.port, "-U", "postgres"]
        return [str(part) for part in [world.binaries() / name, *where, *arguments]]

    def psql(self, database, sql):
        # As input, since an argument is limited to 128 kB.
        return world.run(*self.client("psql", "-d", database, "-XAtq", "-v", "ON_ERROR_STOP=1"), input=sql)

    def url(self, database, role="postgres"):
        return f"postgres://{role}@localhost:{self.port}/{database}?host={self.folder}"

    def tcp_url(self, database, port=None):
        return f"postgres://postgres@127.0.0.1:{port or self.port}/{database}?sslmode=disable"

    def create(self, database):
        self.drop(database)
        self.psql("postgres", f"CREATE DATABASE {database}")

    def integrity(self, database):
        """What amcheck says of all B-trees; "ok" if nothing is wrong."""
        self.psql(database, "CREATE EXTENSION IF NOT EXISTS amcheck")
        self.psql(database, "SELECT bt_index_check(oid, true) FROM pg_class WHERE relkind = 'i' AND relam = 403 "
                            "AND relpersistence = 'p'")
        self.psql(database, "DROP EXTENSION amcheck")
        return "ok"

    def leftovers(self, database):
        """Sessions that sit in a transaction."""
        return int(self.psql(database, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' "
                                       "AND now() - state_change > interval '1 second'"))

    def schema(self, database):
        dump = world.run(*self.client("pg_dump", "--schema-only", database))
        # Newer versions of pg_dump write a random key.
        return "\n".join(line for line in dump.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))

    def tables(self, database):
        return self.psql(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'").split()

    def content(self, database):
        command = self.client("pg_dump", "--data-only", database)
        return subprocess.run(command, check=True, capture_output=True).stdout

    def sql(self, database, statement):
        return self.psql(database, statement)

    def pids(self):
        """The postmaster and its children."""
        postmaster = int((self.folder / "data/postmaster.pid").read_text().splitlines()[0])
        children = pathlib.Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        return [postmaster, *map(int, children)]

    def signal_all(self, number):
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill_postmaster(self):
        os.kill(self.pids()[0], signal.SIGKILL)

    def pg_ctl(self, *arguments, quiet=False):
        command = [*self.as_postgres, world.binaries() / "pg_ctl", *arguments, "-s", "-D", self.folder / "data"]
        # The server that pg_ctl starts would keep a pipe open.
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL if quiet else None)

    def start_again(self):
        """Starts the cluster; after a kill, as soon as the last backend of the old one is gone."""
        settings = {**self.SETTINGS, "unix_socket_directories": f"'{self.folder}'"}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        deadline = time.monotonic() + 60
        while True:
            try:
                # While a backend of the killed one is left, it refuses to start, and says so.
                return self.pg_ctl("start", "-w", "-o", options, "-l", self.folder / "log", quiet=True)
            except subprocess.CalledProcessError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


@contextlib.contextmanager
def postgres(folder):
    """A running cluster; why there is none, if there is none."""
    if os.geteuid() == 0:
        for parent in [folder, *folder.parents]:
            # PostgreSQL, as a user of its own, must be able to reach its folder.
            if not parent.stat().st_mode & 1:
                raise cases.NotRun(f"{parent} is closed to other users, so PostgreSQL cannot run below it")
    shutil.rmtree(folder / "postgres", ignore_errors=True)
    with Postgres(folder) as cluster:
        yield cluster


def business(store):
    """The name of a database with a simulated business, one champion of each target, and another churn model."""
    name = f"business_{world.SCHEMA}"
    if store.exists(name):
        return name
    world.say(f"{store.NAME}: making a simulated business")
    store.create("unfinished")
    url = store.url("unfinished")
    port = world.free_port()
    options = ["--demo", "--demo-customers", BUSINESS]
    log = store.folder / "business.log"
    command = [str(part) for part in [*world.serve_command(url, port, programs.PROGRAMS), *options]]
    with log.open("wb") as errors:
        demo = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        ready = any(line.startswith("tally-serve listens on") for line in demo.stdout)
        demo.terminate()
        demo.stdout.read()
        demo.wait(60)
    if not ready:
        raise cases.Broken(f"the demo did not start: {log.read_text()[-300:]}")
    train = [programs.PROGRAMS / "tally-train", "churn", "--database", url, "--seed", "2", "--promote", "never"]
    subprocess.run([*train, "--log", "error"], stdout=subprocess.DEVNULL)
    store.settle("unfinished")
    store.rename("unfinished", name)
    return name


def copy_of_business(case, name="soak"):
    """A fresh copy of the business; returns its name."""
    case.store.copy(business(case.store), name)
    return name


class Proxy:
    """A TCP proxy between a client and a server, which can cut connections or swallow what they carry."""

    def __init__(self, target):
        self.target, self.pairs, self.silent = target, [], threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self.target)
            except OSError:
                near.close()
                continue
            self.pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=carry, args=(self.silent, source, sink), daemon=True).start()

    def swallow(self):
        """From now on all packets are taken and lead nowhere: half-open connections."""
        self.silent.set()

    def carry_new_ones(self):
        """Connections from now on work; those before stay dead."""
        self.silent = threading.Event()

    def cut(self):
        """Resets all connections."""
        for pair in self.pairs:
            for one in pair:
                with contextlib.suppress(OSError):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    one.shutdown(socket.SHUT_RDWR)
                    one.close()
        self.pairs.clear()

    def close(self):
        self.listener.close()
        self.cut()


def carry(silent, source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            if not silent.is_set():
                sink.sendall(data)
    if not silent.is_set():
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
