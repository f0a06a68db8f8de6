"""The features as one would write them in SQL: 25 aggregates of one customer, or of all. Tally computes
these and about a hundred more."""

import datetime
import json
import pathlib

import world

DAY = 86_400_000_000


def aggregates(postgres):
    """The 25 expressions, by the names of Tally's features. The first is the count of all interactions. Times
    stand for features that are days since then."""
    moment = f"timestamptz '{world.END}'" if postgres else str(world.END_MICROS)
    number = "::bigint" if postgres else ""

    def within(kind, days=None):
        if days is None:
            return f"FILTER (WHERE kind = '{kind}')"
        since = f"{moment} - interval '{days} days'" if postgres else str(world.END_MICROS - days * DAY)
        return f"FILTER (WHERE kind = '{kind}' AND occur_time > {since})"

    def window(days):
        return f"{days}d" if days else "ever"

    count = [("purchase", days) for days in (7, 30, 90, 365, None)]
    count += [("visit", days) for days in (7, 30, 90, 365, None)]
    count += [("email_open", 30), ("email_open", 90), ("complaint", 90), ("return", 365), ("call", 90)]
    amount = [("purchase", days) for days in (30, 90, 365, None)]
    last = ["purchase", "visit", "complaint"]
    return {
        "interactions": "count(*)",
        **{f"{kind}.count_{window(days)}": f"count(*) {within(kind, days)}" for kind, days in count},
        **{f"{kind}.amount_minor_{window(days)}": f"coalesce(sum(amount_minor) {within(kind, days)}, 0){number}"
           for kind, days in amount},
        "days_since_last": "max(occur_time)",
        **{f"{kind}.days_since_last": f"max(occur_time) {within(kind)}" for kind in last},
        "purchase.days_since_first": f"min(occur_time) {within('purchase')}",
    }


def visible(postgres):
    moment = f"timestamptz '{world.END}'" if postgres else str(world.END_MICROS)
    return f"occur_time <= {moment} AND record_time <= {moment}"


def of_one(postgres, customer):
    return (f"SELECT {', '.join(aggregates(postgres).values())} FROM interactions "
            f"WHERE customer_id = {customer} AND {visible(postgres)}")


def of_all(postgres):
    return (f"SELECT customer_id, {', '.join(aggregates(postgres).values())} FROM interactions "
            f"WHERE {visible(postgres)} GROUP BY customer_id")


def check(store, database, tally):
    """Checks that SQL and Tally compute the same values, for the features that the model uses."""
    postgres = isinstance(store, world.Postgres)
    ids = [f"C{n:05}" for n in range(20)]
    command = [world.TALLY / "tally", "--json", "--server", f"http://{tally.address}", "score", "churn", *ids]
    scores = [json.loads(line) for line in world.run(*command, "--as-of", world.END, "--max-reasons=-1").splitlines()]
    compared = 0
    for customer, score in zip(ids, scores):
        said = {reason["feature"]: reason["value"] for reason in score["reasons"]}
        ask = store.psql if postgres else store.sql
        row = ask(database, of_one(postgres, f"'{customer}'")).strip("\n").split("|")
        for name, cell in zip(aggregates(postgres), row):
            if name in said and (found := value(name, cell)) != said[name]:
                raise RuntimeError(f"{name} of {customer}: {found} by SQL, {said[name]} by Tally")
            compared += name in said
    if compared == 0:
        raise RuntimeError("the model uses none of the aggregates")
    world.say(f"{compared} values of {len(ids)} customers are equal in SQL and in Tally")


def value(name, cell):
    if "days_since" not in name:
        return float(cell)
    if not cell:
        return None
    micros = int(cell) if cell.isdigit() else round(datetime.datetime.fromisoformat(cell).timestamp() * 1e6)
    return (world.END_MICROS - micros) / DAY


COVERING = ("CREATE INDEX covering ON interactions (customer_id, occur_time{include}"
            "record_time, kind, amount_minor{end})")


def peer(store, customers):
    """A copy of Tally's database with a covering index for the aggregates."""
    postgres = isinstance(store, world.Postgres)

    def make(name):
        store.copy(world.full(store, customers), name)
        if postgres:
            store.psql(name, COVERING.format(include=") INCLUDE (", end=""))
        else:
            store.sql(name, COVERING.format(include=", ", end=""))

    return world.made(store, f"peer_{customers}", make)


def pgbench(store, database, customers, seconds):
    """Transactions per second, each with the aggregates of one customer; prepared, 8 clients."""
    script = pathlib.Path(world.WORK / "one.sql")
    # A cast would read as a placeholder of pgbench, which starts with a colon.
    statement = of_one(True, "'C' || lpad(CAST(:n AS text), 5, '0')").replace("::bigint", "")
    script.write_text(f"\\set n random(0, {customers - 1})\n{statement};\n")
    text = world.run(
        world.binaries() / "pgbench", "-h", store.folder, "-U", "postgres", "-n", "-M", "prepared", "-c8", "-j2",
        "-T", seconds, "-f", script, database)
    return float(text.partition("tps = ")[2].split()[0])


def to_nowhere(store, database):
    """Seconds in which psql computes the aggregates of all customers and discards them."""
    return world.timed(
        "psql", "-h", store.folder, "-U", "postgres", "-d", database, "-XAtq", "-o", "/dev/null",
        "-v", "ON_ERROR_STOP=1", "-c", f"COPY ({of_all(True)}) TO STDOUT")
