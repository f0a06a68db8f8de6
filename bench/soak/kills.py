"""G1, G2: the server is killed again and again while interactions are written."""

import time

import ledger
from cases import row
from databases import copy_of_business
from programs import Client, Server
from traffic import Traffic

# Seconds within which a killed server must listen again.
RESTART = 2.0


@row("G1", "kill -9 during ingest, SQLite", stores=("SQLite",))
def sqlite(case):
    kills(case)


@row("G2", "kill -9 during ingest, PostgreSQL", stores=("PostgreSQL",))
def postgres(case):
    kills(case)


def kills(case):
    store, database = case.store, copy_of_business(case)
    starts, count, codes = [], ledger.Count(), {}
    with Server(case, store.url(database)) as server:
        for kill in range(case.options.kills):
            customers = [f"kill{kill}-{n}" for n in range(12)]
            with Traffic(case, server.address, f"{kill}", customers) as traffic:
                time.sleep(case.random.uniform(0.02, 0.6))
                server.kill()
                starts.append(server.start())
                # Clients must get on with the new server.
                acked = len(traffic.outcomes.all)
                deadline = time.monotonic() + 10
                while len(traffic.outcomes.all) < acked + 4 and time.monotonic() < deadline:
                    time.sleep(0.01)
            with Client(server.address) as client:
                count += ledger.check(case, client, traffic.ledger.read(), f"kill{kill}-")
            for code, number in traffic.outcomes.codes().items():
                codes[code] = codes.get(code, 0) + number
            if (kill + 1) % 10 == 0:
                case.expect(store.integrity(database) == "ok", "the database is damaged")
        left = store.leftovers(database)
        case.expect(left == 0, f"{left} transactions are left open")
        case.expect(store.integrity(database) == "ok", "the database is damaged")
    case.note(f"{len(starts)} kills: {count}; started again within {max(starts):.2f} s")
    case.expect(max(starts) <= RESTART, f"a start took more than {RESTART:.0f} s")
    judge_codes(case, codes, {"OK", "UNAVAILABLE"})


def judge_codes(case, codes, allowed):
    """Calls may end only with these codes. The client itself makes CANCELLED and DEADLINE_EXCEEDED of its own wishes."""
    for code, number in codes.items():
        case.expect(code in allowed, f"{number} calls ended with {code}")
