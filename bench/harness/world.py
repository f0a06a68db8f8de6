"""The programs, data, databases and servers that are measured."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = pathlib.Path(os.environ.get("TALLY_BENCH_DIR", "/var/tmp/tally-bench"))
PYTHON = WORK / "venv/bin/python"
PEERS = ROOT / "bench/peers"
TALLY = ROOT / "target/release"
BENCH = ROOT / "target/bench/release"

# All interactions happen before this moment, and all scores are about it.
END = "2026-01-01T00:00:00Z"
END_MICROS = 1_767_225_600_000_000
# The length of the simulated period; a buyer has about 100 interactions in it.
DAYS = 2_000
# Customers that the served model was trained on, with the default spec.
LEARNED_FROM = 2_000


def run(*command, **options):
    """Runs a program and returns its standard output; fails if the program does."""
    command = [str(part) for part in command]
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)[:300]}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def timed(*command, **options):
    begin = time.perf_counter()
    run(*command, **options)
    return time.perf_counter() - begin


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def digest(paths):
    """A digest of the contents of files. What is made from them is made again when they change."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(paths))).hexdigest()[:8]


def data(customers, days=DAYS):
    """The folder with a simulated business of this many buyers, and its number of interactions."""
    generator = digest([*(ROOT / "model/src/simulate").glob("*.rs"), ROOT / "bench/src/bin/bench-simulate.rs"])
    folder = WORK / f"data-{customers}-{days}-{generator}"
    done = folder / "rows"
    if not done.exists():
        say(f"simulating {customers:,} customers")
        arguments = ["--customers", customers, "--end", END, "--days", days]
        done.write_text(run(BENCH / "bench-simulate", folder, *arguments))
    return folder, int(done.read_text())


# -- servers ---------------------------------------------------------------------------------------------


class Process:
    """A running server: its address and the resources it has used."""

    def __init__(self, popen, address):
        self.pid, self.address, self._popen = popen.pid, address, popen

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, field):
        """VmRSS (resident memory) or VmHWM (its peak), in bytes."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition(f"{field}:")[2].split()[0]) * 1024

    def forget_peak(self):
        pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def stop(self):
        self._popen.terminate()
        self._popen.wait(30)


@contextlib.contextmanager
def server(command, ready, address=None):
    """Runs until the block ends. `ready` is the start of the line that it prints once it listens."""
    popen = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    try:
        line = next((line for line in popen.stdout if line.startswith(ready)), None)
        if line is None:
            raise RuntimeError(f"{command[0]} ended before it listened")
        process = Process(popen, address or line.split()[-1])
        yield process
    finally:
        popen.terminate()
        popen.wait(30)


def serve_command(url, port=0, programs=TALLY):
    options = ["--http", "", "--log", "error", "--listen", f"127.0.0.1:{port}"]
    return [programs / "tally-serve", "--database", url, *options]


def tally_server(url, *options, programs=TALLY):
    return server([*serve_command(url, programs=programs), *options], "tally-serve listens on")


@contextlib.contextmanager
def echo_server(reply):
    """The bare server, which answers with the contents of the file `reply`."""
    port = free_port()
    popen = subprocess.Popen([BENCH / "bench-echo", f"127.0.0.1:{port}", reply])
    try:
        wait_for(port)
        yield Process(popen, f"127.0.0.1:{port}")
    finally:
        popen.terminate()
        popen.wait(30)


def wait_for(port):
    deadline = time.monotonic() + 30
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise


def python_server(kind, customers):
    port = free_port()
    command = [PYTHON, PEERS / "scoring_server.py", kind, port, customers]
    return server(command, "ready", f"127.0.0.1:{port}")


# -- load ------------------------------------------------------------------------------------------------


def load(task, address, customers, *options):
    """Runs bench-load and returns the JSON that it prints."""
    return json.loads(run(BENCH / "bench-load", task, address, "--customers", customers, "--as-of", END, *options))


def request_body(customers=1, batch=False):
    """A file with the request body that h2load sends."""
    file = WORK / f"request-{customers}-{batch}"
    options = ["--customers", str(customers), "--as-of", END] + (["--batch"] if batch else [])
    file.write_bytes(subprocess.run([BENCH / "bench-load", "body", *options], check=True, capture_output=True).stdout)
    return file


def reply_of(address, customers=1, batch=False):
    """A file with the server's response message to such a request."""
    file = WORK / f"reply-{customers}-{batch}"
    options = ["--customers", str(customers), "--as-of", END] + (["--batch"] if batch else [])
    command = [BENCH / "bench-load", "reply", address, *options]
    file.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    return file


def h2load(address, body, count, reply_bytes=None, connections=8, in_flight=16, batch=False, options=()):
    """Responses per second. h2load ignores grpc-status, so the total number of bytes is checked: an error has
    none."""
    method = "BatchPredictChurn" if batch else "PredictChurn"
    text = run(
        "h2load", f"-c{connections}", f"-m{in_flight}", f"-n{count}", "-d", body, *options,
        "-H", "content-type: application/grpc", "-H", "te: trailers",
        f"http://{address}/tally.v1.ScoringService/{method}")
    succeeded = int(text.partition("requests: ")[2].split(" done, ")[1].split()[0])
    data = int(text.partition("headers (")[2].partition("data")[0].split("(")[-1].split(")")[0])
    if succeeded != count:
        raise RuntimeError(f"{succeeded} of {count} calls succeeded\n{text}")
    if (data != count * (5 + reply_bytes)) if reply_bytes else (data < count * 100):
        raise RuntimeError(f"{data} bytes of data frames in {count} responses, expected {reply_bytes} + 5 each\n{text}")
    return float(text.partition("finished in ")[2].split(", ")[1].split()[0])


# -- databases -------------------------------------------------------------------------------------------


SCHEMA = digest((ROOT / "migrations").glob("*/*.sql"))


def binaries():
    debian = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return debian[-1] if debian else pathlib.Path(shutil.which("initdb")).parent


class Postgres:
    """A cluster started here and reached by its socket; default durability, enough memory for all data."""

    NAME = "PostgreSQL"
    SETTINGS = {
        "listen_addresses": "''", "shared_buffers": "2GB", "max_wal_size": "16GB", "checkpoint_timeout": "1h",
        "max_connections": "100", "work_mem": "64MB", "effective_cache_size": "8GB",
    }

    def __init__(self, work=WORK):
        self.folder = work / "postgres"
        self.as_postgres = []
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root, so it runs as its own user.
            self.as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]

    def tool(self, name, *arguments):
        # The server that pg_ctl starts would keep a pipe open.
        subprocess.run([*self.as_postgres, binaries() / name, *arguments], check=True, cwd="/", stdout=subprocess.DEVNULL)

    def __enter__(self):
        data = self.folder / "data"
        if not (data / "PG_VERSION").exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir()
            if self.as_postgres:
                shutil.chown(self.folder, "postgres")
            self.tool("initdb", "--auth=trust", "--username=postgres", "-D", data)
        if (data / "postmaster.pid").exists():
            # A killed run has left its server behind.
            subprocess.run([*self.as_postgres, binaries() / "pg_ctl", "stop", "-s", "-m", "fast", "-D", data], cwd="/")
        settings = {**self.SETTINGS, "unix_socket_directories": f"'{self.folder}'"}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        self.tool("pg_ctl", "start", "-w", "-s", "-o", options, "-l", self.folder / "log", "-D", data)
        return self

    def __exit__(self, *_):
        self.tool("pg_ctl", "stop", "-s", "-m", "fast", "-D", self.folder / "data")

    def url(self, database):
        return f"postgres://postgres@localhost/{database}?host={self.folder}"

    def psql(self, database, sql):
        options = ["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql]
        return run("psql", "-h", self.folder, "-U", "postgres", "-d", database, *options)

    sql = psql

    def exists(self, database):
        return self.psql("postgres", f"SELECT 1 FROM pg_database WHERE datname = '{database}'").strip() == "1"

    def drop(self, database):
        self.psql("postgres", f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def copy(self, source, target):
        self.drop(target)
        self.psql("postgres", f"CREATE DATABASE {target} TEMPLATE {source}")

    def rename(self, source, target):
        self.psql("postgres", f"ALTER DATABASE {source} RENAME TO {target}")

    def settle(self, database):
        """Brings statistics and visibility up to date, as autovacuum would, and writes everything to disk."""
        self.psql(database, "VACUUM ANALYZE")
        self.psql(database, "CHECKPOINT")

    def erase_customers(self, database):
        self.psql(database, "DELETE FROM customers")
        self.psql(database, "VACUUM FULL")


class Sqlite:
    """SQLite files in one folder, with the same methods as Postgres."""

    NAME = "SQLite"

    def __init__(self, work=WORK):
        self.folder = work

    def file(self, database):
        return self.folder / f"{database}.db"

    def url(self, database):
        return f"sqlite://{self.file(database)}"

    def sql(self, database, statement):
        return run("sqlite3", "-bail", self.file(database), statement)

    def exists(self, database):
        return self.file(database).exists()

    def drop(self, database):
        for suffix in ["", "-wal", "-shm"]:
            pathlib.Path(f"{self.file(database)}{suffix}").unlink(missing_ok=True)

    def copy(self, source, target):
        self.drop(target)
        shutil.copyfile(self.file(source), self.file(target))

    def rename(self, source, target):
        self.file(source).rename(self.file(target))

    def settle(self, database):
        self.sql(database, "PRAGMA wal_checkpoint(TRUNCATE)")

    def erase_customers(self, database):
        self.sql(database, "PRAGMA foreign_keys = ON; DELETE FROM customers; VACUUM")


def import_data(url, customers, *files, days=DAYS):
    """Imports into a database through a server; returns the seconds that `tally import` reports."""
    folder, _ = data(customers, days)
    with tally_server(url) as tally:
        options = [part for name in files for part in (f"--{name}", folder / f"{name}.csv")]
        command = [TALLY / "tally", "--json", "--server", f"http://{tally.address}", "import", "--backfill", *options]
        return json.loads(run(*command))["seconds"]


def made(store, name, make):
    """The name of the database; makes it if it does not exist, completely or not at all."""
    name = f"{name}_{SCHEMA}"
    if not store.exists(name):
        say(f"making the database {name}")
        store.drop("unfinished")
        make("unfinished")
        store.settle("unfinished")
        store.rename("unfinished", name)
    return name


def empty(store):
    """A database with a served churn model and no customers, so that all sizes share one model."""
    def make(name):
        if isinstance(store, Postgres):
            store.psql("postgres", f"CREATE DATABASE {name}")
        import_data(store.url(name), LEARNED_FROM, "customers", "interactions")
        run(TALLY / "tally-train", "churn", "--database", store.url(name), "--as-of", END, "--log", "warn")
        store.erase_customers(name)

    return made(store, "tally_empty", make)


def with_customers(store, customers):
    """The same with customers that have no interactions."""
    def make(name):
        store.copy(empty(store), name)
        import_data(store.url(name), customers, "customers")

    return made(store, f"tally_silent_{customers}", make)


def full(store, customers):
    """The same with customers and interactions, after a server has packed the histories."""
    def make(name):
        store.copy(empty(store), name)
        import_data(store.url(name), customers, "customers", "interactions")
        pack(store, name, customers)

    return made(store, f"tally_{customers}", make)


def both_models(store):
    """A database without customers that serves a churn and a lead model."""
    def make(name):
        store.copy(empty(store), name)
        import_data(store.url(name), LEARNED_FROM, "customers", "interactions")
        run(TALLY / "tally-train", "lead", "--database", store.url(name), "--as-of", END, "--log", "warn")
        store.erase_customers(name)

    return made(store, "tally_both", make)


def business(store, customers, days):
    """The same with customers and the interactions of this many days, packed."""
    def make(name):
        store.copy(both_models(store), name)
        import_data(store.url(name), customers, "customers", "interactions", days=days)
        pack(store, name, customers)

    return made(store, f"tally_{customers}_{days}", make)


def pack(store, name, customers):
    """Waits until a server has packed all histories."""
    begin = time.perf_counter()
    with tally_server(store.url(name), "--pack-every-seconds", "1"):
        while int(store.sql(name, "SELECT count(*) FROM packed_histories")) < customers:
            time.sleep(0.1)
    say(f"{customers:,} histories packed {time.perf_counter() - begin:.1f} s after the start of the server")
