"""The features as one would write them in SQL: 25 aggregates of one customer, or of all. Tally computes
these and a hundred more."""

import pathlib

import world

DAY = 86_400_000_000


def aggregates(postgres):
    """The 25 expressions, the first the count of all."""
    moment = f"timestamptz '{world.END}'" if postgres else str(world.END_MICROS)
    number = "::bigint" if postgres else ""

    def within(kind, days):
        if days is None:
            return f"FILTER (WHERE kind = '{kind}')"
        since = f"{moment} - interval '{days} days'" if postgres else str(world.END_MICROS - days * DAY)
        return f"FILTER (WHERE kind = '{kind}' AND occur_time > {since})"

    count = [("purchase", d) for d in (7, 30, 90, 365, None)] + [("visit", d) for d in (7, 30, 90, 365, None)]
    count += [("email_open", 30), ("email_open", 90), ("complaint", 90), ("return", 365), ("call", 90)]
    amount = [("purchase", d) for d in (30, 90, 365, None)]
    last = ["purchase", "visit", "complaint"]
    return [
        "count(*)",
        *(f"count(*) {within(kind, days)}" for kind, days in count),
        *(f"sum(amount_minor) {within(kind, days)}{number}" for kind, days in amount),
        "max(occur_time)",
        *(f"max(occur_time) {within(kind, None)}" for kind in last),
        f"min(occur_time) {within('purchase', None)}",
    ]


def visible(postgres):
    moment = f"timestamptz '{world.END}'" if postgres else str(world.END_MICROS)
    return f"occur_time <= {moment} AND record_time <= {moment}"


def of_one(postgres, customer):
    return (f"SELECT {', '.join(aggregates(postgres))} FROM interactions "
            f"WHERE customer_id = {customer} AND {visible(postgres)}")


def of_all(postgres):
    return (f"SELECT customer_id, {', '.join(aggregates(postgres))} FROM interactions "
            f"WHERE {visible(postgres)} GROUP BY customer_id")


COVERING = ("CREATE INDEX covering ON interactions (customer_id, occur_time{include}"
            "record_time, kind, amount_minor{end})")


def peer(store, customers):
    """A copy of Tally's database with an index from which alone the aggregates are answered."""
    postgres = isinstance(store, world.Postgres)

    def make(name):
        store.copy(world.full(store, customers), name)
        if postgres:
            store.psql(name, COVERING.format(include=") INCLUDE (", end=""))
        else:
            store.sql(name, COVERING.format(include=", ", end=""))

    return world.made(store, f"peer_{customers}", make)


def pgbench(store, database, customers, seconds):
    """Transactions a second of the aggregates of one customer, prepared, 8 clients."""
    script = pathlib.Path(world.WORK / "one.sql")
    # Placeholders of pgbench begin with a colon, and so does a cast.
    statement = of_one(True, "'C' || lpad(CAST(:n AS text), 5, '0')").replace("::bigint", "")
    script.write_text(f"\\set n random(0, {customers - 1})\n{statement};\n")
    text = world.run(
        world.binaries() / "pgbench", "-h", store.folder, "-U", "postgres", "-n", "-M", "prepared", "-c8", "-j2",
        "-T", seconds, "-f", script, database)
    return float(text.partition("tps = ")[2].split()[0])


def to_nowhere(store, database):
    """Seconds in which psql runs the aggregates of all customers and throws them away."""
    return world.timed(
        "psql", "-h", store.folder, "-U", "postgres", "-d", database, "-XAtq", "-o", "/dev/null",
        "-v", "ON_ERROR_STOP=1", "-c", f"COPY ({of_all(True)}) TO STDOUT")
