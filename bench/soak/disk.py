"""H: no space for the database."""

import contextlib
import os
import pathlib
import subprocess
import time

import databases
import ledger
import traffic
import world
from cases import NotRun, row
from databases import copy_of_business
from programs import Client, Server
from traffic import Traffic, shown, wait_until

FULL = {"RESOURCE_EXHAUSTED", "UNAVAILABLE"}
# Seconds within which writing must work again once there is space.
RECOVERY = 5.0


@contextlib.contextmanager
def small_disk(folder, megabytes, kind="tmpfs"):
    """A file system of this size: a tmpfs, or ext4 in a file."""
    if os.geteuid() != 0:
        raise NotRun("mounting a file system needs root")
    folder.mkdir(parents=True, exist_ok=True)
    source, options = "tmpfs", f"size={megabytes}m,mode=0755"
    if kind == "ext4":
        source, options = folder.with_suffix(".image"), "loop"
        with source.open("wb") as image:
            image.truncate(megabytes << 20)
        world.run("mkfs.ext4", "-q", "-m", "0", source)
    mounted = subprocess.run(["mount", "-t", kind, "-o", options, source, folder], capture_output=True, text=True)
    if mounted.returncode != 0:
        raise NotRun(f"mount: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


def take_the_rest(disk):
    """Others write until not a byte is left."""
    with contextlib.suppress(OSError), (disk / "rest").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


def fill_and_free(case, server, free, store, database, rest=lambda: None, scores=("OK",)):
    """Writes until the disk is full, goes on for some seconds, makes space, and judges what the clients saw."""
    with Client(server.address) as client:
        traffic.buyers(case, client)
    with Traffic(case, server.address, "full", [f"full-{n}" for n in range(40)], readers=int(bool(case.buyers)),
                 sizes=(1, 400)) as load:
        full = wait_until("a full disk", lambda: set(load.outcomes.codes()) - {"OK"}, 120)
        if not case.expect(full is not None, "the disk was not full within 120 s"):
            return
        rest()
        begin = time.monotonic()
        time.sleep(5)
        case.expect(server.running(), "the server has ended")
        if not server.running():
            return
        end = time.monotonic()
        free()
        wait_until("recovery", lambda: load.outcomes.recovered(end, ["write", "stream"]) is not None, 15)
        time.sleep(1)
        back = load.outcomes.recovered(end, ["write", "stream"])
    during = load.outcomes.codes(since=begin - 1, until=end)
    writes = load.outcomes.codes(since=begin - 1, until=end, call="write") + load.outcomes.codes(
        since=begin - 1, until=end, call="stream")
    case.note(f"while it was full, {shown(writes)} of writes and {shown(load.outcomes.codes(begin, end, 'score'))} of scores")
    case.expect(set(during) <= FULL | {"OK"}, f"calls ended with {', '.join(sorted(set(during) - FULL - {'OK'}))}: "
                + "; ".join(text[:80] for code in set(during) - FULL - {"OK"} for text in load.outcomes.texts(code)))
    if case.buyers:
        case.expect(set(load.outcomes.codes(begin, end, "score")) <= set(scores), "scoring did not go on")
    case.expect(any("full" in text for code in FULL for text in load.outcomes.texts(code)), "no message says that it is full")
    if case.expect(back is not None, "writing does not work 15 s after space was made, without a restart"):
        case.note(f"writing again {back:.1f} s after there was space")
        case.expect(back <= RECOVERY, f"writing took more than {RECOVERY:g} s to work again")
    check_after_restart(case, server, load, store, database)


def check_after_restart(case, server, load, store, database):
    server.kill()
    server.start()
    with Client(server.address) as client:
        case.note(str(ledger.check(case, client, load.ledger.read(), "full-")))
    case.expect(store.integrity(database) == "ok", "the database is damaged")


@row("H1", "disk full, SQLite on a small tmpfs", stores=("SQLite",))
def full_tmpfs(case):
    full_disk(case, "tmpfs")


@row("H1-ext4", "disk full, SQLite on a small ext4", stores=("SQLite",))
def full_ext4(case):
    full_disk(case, "ext4")


def full_disk(case, kind):
    template = case.store.file(databases.business(case.store))
    size = template.stat().st_size >> 20
    with small_disk(case.folder / "disk", 3 * size + 24, kind) as disk:
        store = databases.Sqlite(disk)
        ballast = disk / "ballast"
        store.file("soak").write_bytes(template.read_bytes())
        ballast.write_bytes(bytes(size + 8 << 20))
        with Server(case, store.url("soak")) as server:
            def free():
                ballast.unlink()
                (disk / "rest").unlink()

            fill_and_free(case, server, free, store, "soak", rest=lambda: take_the_rest(disk))


@row("H1-small", "disk of 8 MiB full, SQLite without models", stores=("SQLite",))
def tiny_disk(case):
    with small_disk(case.folder / "disk", 8) as disk:
        store = databases.Sqlite(disk)

        def free():
            world.run("mount", "-o", "remount,size=64m", disk)

        with Server(case, store.url("soak")) as server:
            fill_and_free(case, server, free, store, "soak")


@row("H-fsize", "limit of the file size (SIGXFSZ, EFBIG)", stores=("SQLite",))
def file_size(case):
    database = copy_of_business(case)
    limit = case.store.file(database).stat().st_size + (8 << 20)
    server = Server(case, case.store.url(database))
    server.wrapper = ["prlimit", f"--fsize={limit}:unlimited"]
    with server:
        def free():
            world.run("prlimit", "--pid", server.process.pid, "--fsize=unlimited")

        server.wrapper = []
        fill_and_free(case, server, free, case.store, database)


@row("H-wal", "SQLite's log under a reader that never ends", stores=("SQLite",))
def endless_reader(case):
    import sqlite3

    database = copy_of_business(case)
    log = pathlib.Path(f"{case.store.file(database)}-wal")
    with Server(case, case.store.url(database)) as server:
        reader = sqlite3.connect(case.store.file(database), isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM customers").fetchone()
        with Traffic(case, server.address, "reader", [f"full-{n}" for n in range(40)]) as load:
            time.sleep(5)
            held = log.stat().st_size >> 20
            reader.execute("ROLLBACK")
            reader.close()
            time.sleep(5)
            grown = log.stat().st_size >> 20
        case.expect(set(load.outcomes.codes()) == {"OK"}, f"calls failed: {shown(load.outcomes.codes())}")
        case.note(f"the log has {held} MiB while it reads, {grown} MiB five seconds of writing later")
        case.expect(grown <= held + 64, "the log goes on to grow after the reader has ended")
        with Client(server.address) as client:
            traffic.buyers(case, client)
            case.note(str(ledger.check(case, client, load.ledger.read(), "full-")))


@row("H3", "PostgreSQL on a full disk", stores=("PostgreSQL",))
def full_cluster(case):
    with small_disk(case.folder / "disk", 400) as disk:
        cluster = databases.Postgres(disk)
        cluster.SETTINGS |= {"max_wal_size": "64MB", "min_wal_size": "32MB", "shared_buffers": "32MB"}
        with cluster:
            whole_cluster_full(case, cluster, disk)


def whole_cluster_full(case, cluster, disk):
    dump = case.folder / "business.dump"
    world.run(*case.store.client("pg_dump", "-Fc", "-f", dump, databases.business(case.store)))
    cluster.create("soak")
    world.run(*cluster.client("pg_restore", "-d", "soak", dump))
    ballast = disk / "ballast"
    free = os.statvfs(disk)
    ballast.write_bytes(bytes(max(0, free.f_bavail * free.f_bsize - (40 << 20))))
    with Server(case, cluster.url("soak")) as server:
        def make_space():
            ballast.unlink()
            (disk / "rest").unlink()
            # After a PANIC for its log it restarts by itself or is gone.
            if subprocess.run([*cluster.as_postgres, world.binaries() / "pg_ctl", "status", "-D", cluster.folder / "data"],
                              cwd="/", stdout=subprocess.DEVNULL).returncode != 0:
                cluster.start_again()

        fill_and_free(case, server, make_space, cluster, "soak", rest=lambda: take_the_rest(disk),
                      scores=("OK", "UNAVAILABLE"))
