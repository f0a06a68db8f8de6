"""The sections of bench/run. A section takes the scale and yields lines of the table."""

import json
import statistics
import subprocess
import time

import sql
import world
from insight import insight
from measure import against, alone, exponent, in_turn
from world import BENCH, END, PEERS, PYTHON, TALLY, Postgres, Sqlite, load, run, say, tally_server


class Scale:
    """The amount of data and the length of runs."""

    def __init__(self, small):
        self.customers = 5_000 if small else 50_000
        self.ingested = 1_000 if small else 10_000
        self.seconds = 2 if small else 4
        self.pairs = 3 if small else 5
        self.rows = [20_000, 100_000] if small else [200_000, 1_000_000]
        self.sizes = [100, 1_000, 10_000] if small else [100, 1_000, 10_000, 100_000]


def count_for(seconds, measure):
    """The number of calls that take about this many seconds, estimated from a short run."""
    return max(1_000, int(measure(2_000) * seconds))


# -- the warm path ---------------------------------------------------------------------------------------


class Warm:
    """A server with all customers in its cache, and what is sent to it and to the echo server."""

    def __init__(self, tally, scale):
        self.tally, self.scale = tally, scale
        first = load("score", tally.address, scale.customers)
        second = load("score", tally.address, scale.customers)
        if first["digest"] != second["digest"]:
            raise RuntimeError("warm responses differ from cold ones")
        some = [load(task, tally.address, 500)["digest"] for task in ("score", "direct")]
        if some[0] != some[1]:
            raise RuntimeError("responses under load differ from those to a single client")
        self.body, self.reply = world.request_body(), world.reply_of(tally.address)
        self.bytes = self.reply.stat().st_size

    def h2load(self, process, count, **options):
        return world.h2load(process.address, self.body, count, self.bytes, **options)


def warm(scale):
    with Postgres() as postgres, tally_server(postgres.url(world.full(postgres, scale.customers))) as tally:
        at = Warm(tally, scale)
        with world.echo_server(at.reply) as echo:
            yield from unary(at, tally, echo)
            yield from all_customers(at, tally, echo)
            yield from paced(at, tally, echo)
        yield from batch(at, tally)
        yield from python(at, tally)


def unary(at, tally, echo):
    both = (tally, echo)
    calls = {one: count_for(at.scale.seconds, lambda n: at.h2load(one, n)) for one in both}
    cpu = {one: [] for one in both}

    def measure(one):
        before = one.cpu_seconds()
        rate = at.h2load(one, calls[one])
        cpu[one].append((one.cpu_seconds() - before) / calls[one] * 1e6)
        return rate

    pairs = in_turn(lambda: measure(tally), lambda: measure(echo), at.scale.pairs)
    what = f"warm unary score ({at.bytes} B) vs bare tonic echo of the same bytes, h2load -c8 -m16"
    yield against(what, "/s", pairs, at_least=0.90)
    yield against("the same: CPU per call", "µs", list(zip(*cpu.values())), at_most=1.15)


def all_customers(at, tally, echo):
    customers = at.scale.customers

    def one(process, rounds=1):
        return load("score", process.address, customers, "--rounds", rounds)["per_second"]

    rounds = {process: max(1, round(one(process) * at.scale.seconds / customers)) for process in (tally, echo)}
    pairs = in_turn(lambda: one(tally, rounds[tally]), lambda: one(echo, rounds[echo]))
    yield against(f"the same over all {customers:,} customers, by `bench-load`", "/s", pairs)


def paced(at, tally, echo, rate=2_000):
    """The 99th percentile of the latency at a rate that saturates nothing."""
    def one(process):
        log = world.WORK / "latencies"
        log.unlink(missing_ok=True)
        options = [f"--rps={rate // 8}", f"--log-file={log}"]
        at.h2load(process, rate * at.scale.seconds, options=options)
        micros = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines())
        return micros[int(0.99 * (len(micros) - 1))]

    pairs = in_turn(lambda: one(tally), lambda: one(echo), at.scale.pairs)
    yield against(f"99th percentile of the latency at {rate:,}/s", "µs", pairs, at_most=1.3)


def batch(at, tally, ids=1_000):
    body = world.request_body(ids, batch=True)
    reply = world.reply_of(tally.address, ids, batch=True).stat().st_size

    def batches(count):
        shape = {"connections": 2, "in_flight": 2, "batch": True}
        return world.h2load(tally.address, body, count, reply, **shape)

    def scores():
        return ids * batches(count)

    count = max(8, int(batches(8) * at.scale.seconds))
    unary_count = count_for(at.scale.seconds, lambda n: at.h2load(tally, n))
    pairs = in_turn(scores, lambda: at.h2load(tally, unary_count))
    yield against("scores in batches of 1,000 warm ids vs one by one", "/s", pairs, at_least=10)


def python(at, tally):
    ours = count_for(at.scale.seconds, lambda n: at.h2load(tally, n))
    for kind, goal in [("aio", 28), ("sync", 42)]:
        with world.python_server(kind, at.scale.customers) as peer:
            def theirs(count):
                return world.h2load(peer.address, at.body, count)

            count = count_for(at.scale.seconds, theirs)
            pairs = in_turn(lambda: at.h2load(tally, ours), lambda: theirs(count))
        yield against(f"warm unary score vs Python: grpcio ({kind}) and scikit-learn", "/s", pairs, at_least=goal)


# -- the cold path ---------------------------------------------------------------------------------------


def cold(store, scale, peer, what, goal):
    """Scores every customer once, on a server that has just started."""
    full = world.full(store, scale.customers)
    with tally_server(store.url(full)) as tally:
        sql.check(store, full, tally)
    digests = set()

    def ours(connections, in_flight, database=full):
        with tally_server(store.url(database)) as tally:
            options = ["--connections", connections, "--in-flight", in_flight]
            seen = load("score", tally.address, scale.customers, *options)
            digests.add(seen["digest"])
            return seen["per_second"]

    ours(8, 16), peer()
    yield against(f"cold unary score, {what}, 128 calls in flight", "/s", in_turn(lambda: ours(8, 16), peer), goal)
    yield against("the same with 8 calls in flight", "/s", in_turn(lambda: ours(8, 1), peer))
    with unpacked(store, full) as rows:
        yield against("128 calls in flight, histories not packed", "/s", in_turn(lambda: ours(8, 16, rows), peer))
    if len(digests) > 1:
        raise RuntimeError("cold responses differ between runs")


def cold_postgres(scale):
    with Postgres() as postgres:
        database = sql.peer(postgres, scale.customers)
        yield from cold(
            postgres, scale, lambda: sql.pgbench(postgres, database, scale.customers, scale.seconds),
            "PostgreSQL, vs pgbench running 25 aggregates as SQL (prepared, 8 clients, covering index)", 1.2)


def cold_sqlite(scale):
    sqlite = Sqlite()
    database = sqlite.file(sql.peer(sqlite, scale.customers))
    statement = world.WORK / "one-sqlite.sql"
    statement.write_text(sql.of_one(False, "$1"))
    options = ["--customers", scale.customers, "--seconds", scale.seconds]
    yield from cold(
        sqlite, scale, lambda: float(run(BENCH / "bench-sqlite", "sql", database, statement, *options)),
        "SQLite, vs sqlx running 25 aggregates as SQL (8 tasks, covering index)", 2)


# -- all customers -------------------------------------------------------------------------------------------


def score_all(tally, customers):
    """Seconds to score all customers with the `tally` command; the predictions are counted."""
    def call():
        command = [TALLY / "tally", "--json", "--server", f"http://{tally.address}", "score-all", "churn", "--as-of", END]
        done = json.loads(run(*command).splitlines()[-1])
        if done["stored"] != customers:
            raise RuntimeError(f"expected {customers} predictions: {done}")
    return clock(call)


def preview(tally, customers):
    """Seconds to score all customers by two models without storing; the customers are counted."""
    def call():
        command = [TALLY / "tally", "--json", "--server", f"http://{tally.address}", "models", "preview", "churn/2"]
        seen = json.loads(run(*command, "--as-of", END))
        if seen["customers"] != customers or seen["changed_customers"] != 0:
            raise RuntimeError(f"expected {customers} customers and no change between two equal models: {seen}")
    return clock(call)


def clock(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def population(scale):
    with Postgres() as postgres:
        peer = sql.peer(postgres, scale.customers)
        with scratch(postgres, world.full(postgres, scale.customers)) as name, tally_server(postgres.url(name)) as tally:
            sql.to_nowhere(postgres, peer)
            pairs = in_turn(lambda: score_all(tally, scale.customers), lambda: sql.to_nowhere(postgres, peer))
            yield against("ScorePopulation, storing, vs psql aggregating all customers into /dev/null", "s", pairs, at_most=0.7)
            postgres.sql(name, """INSERT INTO models (target, version, create_time, created_by, artifact, evaluated)
                SELECT target, 2, create_time, created_by, artifact, evaluated FROM models WHERE version = 1""")
            pairs = in_turn(lambda: preview(tally, scale.customers), lambda: sql.to_nowhere(postgres, peer))
            yield against("all customers scored twice, by champion and candidate, not stored (PreviewPromotion)", "s", pairs, at_most=0.35)
        rows = unpacked(postgres, world.full(postgres, scale.customers))
        with rows as name, tally_server(postgres.url(name), "--pack-every-seconds", "86400") as tally:
            pairs = in_turn(lambda: score_all(tally, scale.customers), lambda: sql.to_nowhere(postgres, peer))
        yield against("ScorePopulation, storing, histories not packed, vs psql", "s", pairs)


class scratch:
    """A copy of a database, dropped at the end."""

    def __init__(self, store, database):
        self.store, self.database = store, database

    def __enter__(self):
        self.store.copy(self.database, "scratch")
        return "scratch"

    def __exit__(self, *_):
        self.store.drop("scratch")


class unpacked(scratch):
    """A copy without packed histories, as after an import."""

    def __enter__(self):
        name = super().__enter__()
        self.store.sql(name, "DELETE FROM packed_histories")
        return name


# -- training --------------------------------------------------------------------------------------------


def take_snapshots(url):
    """Seconds until tally-train has taken all snapshots, by its log. It is stopped before it fits."""
    spec = world.WORK / "eight-cutoffs.toml"
    # With a horizon of 90 days, 8 of these cutoffs lie within the simulated period.
    spec.write_text(f"[churn]\ncutoff_every_days = {(world.DAYS - 90) // 8}\n")
    log = ["--log", "tally_service=debug", "--log-format", "json"]
    command = [TALLY / "tally-train", "churn", "--database", url, "--as-of", END, "--spec", spec, "--promote", "never"]
    training = subprocess.Popen([*command, *log], stderr=subprocess.PIPE, text=True)
    seconds = 0
    try:
        for line in training.stderr:
            step = json.loads(line)["fields"]
            if "step" not in step:
                continue
            seconds += step["seconds"]
            if step["step"] == "taking snapshots":
                return seconds
    finally:
        training.kill()
        training.wait()
    raise RuntimeError("tally-train ended before all snapshots were taken")


def snapshots(scale):
    with Postgres() as postgres:
        url, peer = postgres.url(world.full(postgres, scale.customers)), sql.peer(postgres, scale.customers)
        take_snapshots(url)
        pairs = in_turn(lambda: take_snapshots(url), lambda: sql.to_nowhere(postgres, peer))
        yield against("training snapshots at 8 cutoffs vs one such run of psql", "s", pairs, at_most=0.5)
        with unpacked(postgres, world.full(postgres, scale.customers)) as name:
            pairs = in_turn(lambda: take_snapshots(postgres.url(name)), lambda: sql.to_nowhere(postgres, peer))
        yield against("training snapshots, histories not packed, vs psql", "s", pairs)


def fit(scale):
    penalty, columns = 1.0, 40
    for rows, goal in zip(scale.rows, (0.15, 0.19)):
        file = world.WORK / f"matrix-{rows}x{columns}"
        if not file.exists():
            sizes = ["--rows", rows, "--columns", columns, "--end", END, "--days", world.DAYS]
            run(BENCH / "bench-matrix", file, *sizes)

        def peer(task):
            return json.loads(run(PYTHON, PEERS / "regression.py", task, file, rows, columns, penalty))

        fits = []

        def ours():
            options = ["--rows", rows, "--columns", columns, "--penalty", penalty]
            fits.append(json.loads(run(BENCH / "bench-fit", file, *options)))
            return fits[-1]["seconds"]

        pairs = in_turn(ours, lambda: peer("lbfgs")["seconds"])
        exact, found = peer("irls"), fits[0]
        far = max(abs(a - b) for a, b in zip([exact["intercept"], *exact["weights"]], [found["intercept"], *found["weights"]]))
        name = f"training on {rows:,} × {columns}"
        yield against(f"{name} vs scikit-learn (lbfgs, tol 1e-6)", "s", pairs, at_most=goal)
        yield alone(f"{name}: largest difference of a coefficient from IRLS, in millionths", "", [far * 1e6], at_most=1)
        matrix = rows * columns * 8
        peaks = [one["peak_bytes"] / matrix for one in fits]
        yield alone(f"{name}: peak memory, in matrices of {matrix >> 20} MiB", "", peaks, at_most=1.3)


# -- ingest ----------------------------------------------------------------------------------------------


def ingest(store, scale, peer, what, goal):
    """Rows per second into a database of customers without interactions: `tally import`, and the peer."""
    customers = scale.ingested
    silent = world.with_customers(store, customers)
    folder, rows = world.data(customers)

    def ours():
        with scratch(store, silent) as name:
            return rows / world.import_data(store.url(name), customers, "interactions")

    def theirs():
        with scratch(store, silent) as name:
            return peer(name, folder / "interactions.copy", rows)

    yield against(f"ingest of {rows:,} interactions by `tally import`, {what}", "/s", in_turn(ours, theirs), goal)


def ingest_postgres(scale):
    with Postgres() as postgres:
        def copy(name, file, rows):
            begin = clock(lambda: postgres.psql(name, f"\\copy interactions FROM '{file}'"))
            return rows / begin

        yield from ingest(postgres, scale, copy, "PostgreSQL, vs \\copy into the same table", 0.5)


def ingest_sqlite(scale):
    sqlite = Sqlite()

    def c_api(name, file, rows):
        return float(run(BENCH / "bench-sqlite", "ingest", sqlite.file(name), file))

    what = "SQLite, vs its C API into the same table, 10,000 rows per transaction"
    yield from ingest(sqlite, scale, c_api, what, 0.4)


# -- memory and start ------------------------------------------------------------------------------------


def memory(scale):
    with Postgres() as postgres:
        with scratch(postgres, world.full(postgres, scale.customers)) as name, tally_server(postgres.url(name)) as tally:
            # Nothing is cached yet, so that the difference is what the run itself adds.
            load("score", tally.address, 100)
            tally.forget_peak()
            before = tally.memory("VmRSS")
            score_all(tally, scale.customers)
            added = tally.memory("VmHWM") - before
        with tally_server(postgres.url(world.full(postgres, scale.customers))) as tally:
            load("score", tally.address, scale.customers)
            load("score", tally.address, scale.customers)
            resident = tally.memory("VmRSS")
    _, rows = world.data(scale.customers)
    each = rows / scale.customers
    what = f"memory of a server with {scale.customers:,} warm customers of {each:.0f} interactions"
    yield alone(what, "MB", [resident / 1e6], at_most=200)
    yield alone("memory that ScorePopulation adds", "MB", [added / 1e6], at_most=64)


def start(scale):
    with Postgres() as postgres:
        for store in (Sqlite(), postgres):
            url = store.url(world.full(store, scale.customers))

            def first():
                port = world.free_port()
                command = [BENCH / "bench-load", "first", f"127.0.0.1:{port}", "--as-of", END, "--"]
                return float(run(*command, *world.serve_command(url, port)))

            what = f"server start to first response, {store.NAME}"
            yield alone(what, "ms", [first() for _ in range(9)], at_most=150)


# -- growth ----------------------------------------------------------------------------------------------


def growth(scale):
    with Postgres() as postgres:
        for store in (postgres, Sqlite()):
            yield from growth_on(store, scale)


def growth_on(store, scale):
    """Seconds of each path at each size; for scores, seconds of a single one in a database of that size."""
    times, sizes = {}, []
    for customers in scale.sizes:
        sizes.append(world.data(customers)[1])
        say(f"{store.NAME}, {sizes[-1]:,} interactions")
        silent, full = world.with_customers(store, customers), world.full(store, customers)
        often = 1 if customers > 50_000 else 3

        def note(path, measure):
            times.setdefault(path, []).append(statistics.median(measure() for _ in range(often)))

        def imported():
            with scratch(store, silent) as name:
                return world.import_data(store.url(name), customers, "interactions")

        def cold():
            with tally_server(store.url(full)) as tally:
                return 1 / load("score", tally.address, 100)["per_second"]

        note("ingest", imported)
        note("cold unary score", cold)
        note("training snapshots", lambda: take_snapshots(store.url(full)))
        with scratch(store, full) as name, tally_server(store.url(name)) as tally:
            note("ScorePopulation", lambda: score_all(tally, customers))
            load("score", tally.address, customers)
            body, reply = world.request_body(), world.reply_of(tally.address).stat().st_size
            note("warm unary score", lambda: 1 / world.h2load(tally.address, body, 10_000, reply))
    at = ", ".join(f"{size:,}" for size in sizes)
    for path, seconds in times.items():
        goal = 0.05 if path == "warm unary score" else 1.05
        yield exponent(f"{path}, {store.NAME}: time at {at} interactions", sizes, seconds, goal)


SECTIONS = {
    "warm": (warm, "warm scores, unary and in batches, against bare tonic and Python"),
    "cold-postgres": (cold_postgres, "cold scores on PostgreSQL against SQL in pgbench"),
    "cold-sqlite": (cold_sqlite, "cold scores on SQLite against SQL by sqlx"),
    "population": (population, "all customers against SQL in psql"),
    "insight": (insight, "passes, lists and reports of insight against ScorePopulation and SQL"),
    "snapshots": (snapshots, "training snapshots against SQL in psql"),
    "fit": (fit, "the regression against scikit-learn"),
    "ingest-postgres": (ingest_postgres, "import against \\copy"),
    "ingest-sqlite": (ingest_sqlite, "import against SQLite's C API"),
    "memory": (memory, "memory of the server"),
    "start": (start, "server start to first response"),
    "growth": (growth, "growth of each path with the number of interactions"),
}
