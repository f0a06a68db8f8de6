"""F: more load than the server can take. The capacity is measured first.

The load comes from `bench-overload`, in an open loop. Server and load generator have cores of their own where there are
two: otherwise the generator would take away what the server is measured by."""

import contextlib
import json
import os
import threading
import time

import ledger
import traffic
import world
from cases import NotRun, row
from databases import copy_of_business
from programs import Client, MemoryWatch, Server, pb
from traffic import Outcomes, shown, wait_until

CORES = sorted(os.sched_getaffinity(0))
SERVERS, CLIENTS = CORES[:(len(CORES) + 1) // 2], CORES[len(CORES) // 2:]
TOOL = world.BENCH / "bench-overload"
# Promises of the matrix.
GOODPUT, REFUSED_MS, GROWTH_MB, HEALTH_MS = 0.9, 10, 200, 100


def pinned(cores):
    return ["taskset", "-c", ",".join(map(str, cores))]


def load(case, server, task, seconds, *options):
    """Runs bench-overload; returns the JSON that it prints."""
    command = [*pinned(CLIENTS), TOOL, task, server.address, "--ids", case.folder / "ids", "--seconds", seconds, *options]
    return json.loads(world.run(*command))


def in_background(function, *arguments):
    """Starts a function on a thread; the result is in the list once the thread has ended."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function(*arguments)))
    thread.start()
    return thread, results


@contextlib.contextmanager
def server_with_customers(case, *options):
    if not TOOL.exists():
        raise NotRun("bench-overload is not built: run ./soak without --no-build")
    server = Server(case, case.store.url(copy_of_business(case)), *options)
    server.wrapper = pinned(SERVERS)
    with server:
        with Client(server.address) as client:
            (case.folder / "ids").write_text("\n".join(traffic.buyers(case, client, 400)))
        load(case, server, "score", 1)
        yield server


class Health:
    """Asks for the health on a connection of its own, and by new connections, until the block ends."""

    def __init__(self, server):
        self.server, self.outcomes, self.over = server, Outcomes(), threading.Event()
        self.thread = threading.Thread(target=self._ask)

    def _ask(self):
        number = 0
        with Client(self.server.address) as client:
            while not self.over.wait(0.05):
                number += 1
                if number % 4:
                    self.outcomes.call("health", client.health.Check, pb.HealthCheckRequest())
                else:
                    with Client(self.server.address) as fresh:
                        self.outcomes.call("health", fresh.health.Check, pb.HealthCheckRequest())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def judge(self, case):
        took = sorted((one.end - one.begin) * 1e3 for one in self.outcomes.all)
        slowest = took[int((len(took) - 1) * 0.99)]
        case.note(f"health within {slowest:.0f} ms (p99 of {len(took)})")
        case.expect(set(self.outcomes.codes()) == {"OK"}, f"health: {shown(self.outcomes.codes())}")
        case.expect(slowest <= HEALTH_MS, f"health took {slowest:.0f} ms")


def overloaded(case, server, task, factor, *options):
    """Measures capacity and unloaded latency, overloads by the factor, and judges all promises."""
    seconds = max(3.0, 60 * case.options.minutes * (1 if case.options.minutes < 1 else 1 / 4))
    alone = load(case, server, task, 3, "--in-flight", 1, "--connections", 1, *options)
    capacity = max(load(case, server, task, 4, "--in-flight", n, *options)["ok_per_second"] for n in (4, 16, 4))
    idle = server.memory()
    with MemoryWatch(server) as watch, Health(server) as health:
        found = load(case, server, task, seconds, "--rate", capacity * factor, "--connections",
                     1 if factor == 5 else 200 if factor == 2 else 16, *options)
    judge(case, found, capacity, alone["ok_p99_ms"], factor)
    case.note(f"memory +{watch.peak - idle:.0f} MiB")
    case.expect(watch.peak - idle <= GROWTH_MB, f"{factor} C: memory grew by {watch.peak - idle:.0f} MiB")
    health.judge(case)
    return capacity


def judge(case, found, capacity, alone_ms, factor):
    goodput, refused = found["ok_per_second"] / capacity, found["refused"]
    offered = (sum(found["codes"].values()) + found["unanswered"]) / found["seconds"]
    case.note(f"{factor} C: C is {capacity:,.0f}/s, {offered:,.0f}/s were sent, goodput {goodput:.2f} C, accepted p99 "
              f"{shown_ms(found['ok_p99_ms'])} ({shown_ms(alone_ms)} alone), {refused:,} refused, p99 "
              f"{shown_ms(found['refused_p99_ms'])}")
    case.expect(goodput >= GOODPUT, f"{factor} C: goodput is {goodput:.2f} C")
    if found["ok_p99_ms"] is not None:
        slow = found["ok_p99_ms"] > max(2 * alone_ms, 100)
        case.expect(not slow, f"{factor} C: accepted p99 is {found['ok_p99_ms']:,.0f} ms, {alone_ms:,.1f} alone")
    case.expect(refused > 0, f"{factor} C: nothing was refused")
    if refused:
        case.expect(found["retry_info"] == refused, f"{factor} C: {refused - found['retry_info']:,} refusals without RetryInfo")
        case.expect(found["refused_p99_ms"] < REFUSED_MS, f"{factor} C: refusals took {found['refused_p99_ms']:,.0f} ms (p99)")
    others = {code: number for code, number in found["codes"].items() if code not in ("0", "8")}
    case.expect(not others, f"{factor} C: ended otherwise: {dict(list(others.items())[:4])}")
    case.expect(found["unanswered"] == 0, f"{factor} C: {found['unanswered']:,} calls without an answer")


def shown_ms(value):
    return "none" if value is None else f"{value:,.1f} ms"


@row("F1", "overload by batches of scores: 2, 5 and 10 times the capacity")
def batches(case):
    with server_with_customers(case) as server:
        for factor in (2, 5, 10):
            overloaded(case, server, "batch", factor, "--size", 2_000)


@row("F1-unary", "overload by single scores, as many as the generator can send")
def unary(case):
    with server_with_customers(case) as server:
        alone = load(case, server, "score", 3, "--in-flight", 1, "--connections", 1)
        capacity = max(load(case, server, "score", 4, "--in-flight", n)["ok_per_second"] for n in (16, 128))
        idle = server.memory()
        with MemoryWatch(server) as watch, Health(server) as health:
            found = load(case, server, "score", 10, "--in-flight", 4_000, "--connections", 200)
        case.note(f"C {capacity:,.0f}/s, {alone['ok_p99_ms']:.2f} ms alone; 4,000 in flight on 200 connections: "
                  f"{found['ok_per_second']:,.0f}/s, p99 {shown_ms(found['ok_p99_ms'])}, {found['refused']:,} refused, "
                  f"memory +{watch.peak - idle:.0f} MiB")
        case.expect(found["ok_per_second"] >= GOODPUT * capacity, f"goodput {found['ok_per_second'] / capacity:.2f} C")
        case.expect(found["ok_p99_ms"] <= 100, f"accepted p99 {found['ok_p99_ms']:.0f} ms")
        case.expect(watch.peak - idle <= GROWTH_MB, f"memory grew by {watch.peak - idle:.0f} MiB")
        case.expect(set(found["codes"]) <= {"0", "8"}, f"calls ended with {found['codes']}")
        health.judge(case)


@row("F3", "ten times the capacity of ingest while scores are asked for")
def ingest(case):
    with server_with_customers(case) as server:
        scores = ["score", 3, "--rate", 500]
        alone = load(case, server, *scores)
        # Other numbers than those below, so that no call sends what is stored already.
        first = load(case, server, "ingest", 4, "--in-flight", 4, "--size", 200, "--first", 10_000_000)
        capacity = first["ok_per_second"]
        idle, acked = server.memory(), case.folder / "acked"
        options = ["--size", 200, "--rate", capacity * 10, "--acked", acked, "--connections", 16]
        with MemoryWatch(server) as watch:
            thread, results = in_background(load, case, server, "ingest", 12, *options)
            time.sleep(2)
            beside = load(case, server, *scores[:1], 8, *scores[2:])
            thread.join()
        # What is in flight must not go on while the ledger is checked.
        server.kill()
        server.start()
        judge(case, results[0], capacity, 100, 10)
        case.note(f"scores p99 {shown_ms(beside['ok_p99_ms'])} ({shown_ms(alone['ok_p99_ms'])} alone), memory "
                  f"+{watch.peak - idle:.0f} MiB")
        case.expect(set(beside["codes"]) == {"0"}, f"scores ended with {beside['codes']}")
        case.expect((beside["ok_p99_ms"] or 1e9) <= 2 * alone["ok_p99_ms"], "scores: p99 more than twice that alone")
        case.expect(watch.peak - idle <= GROWTH_MB, f"memory grew by {watch.peak - idle:.0f} MiB")
        whole(case, server, {int(line) for line in acked.read_text().split()}, 200)


def whole(case, server, acked, size):
    """Checks that every acknowledged request is stored whole, and every other one whole or not at all."""
    present = {}
    with Client(server.address) as client:
        for number in range(500):
            for item in ledger.stored_of(client, f"overload-{number:03}") or []:
                call, place = map(int, item.interaction_id.split("-"))
                present.setdefault(call, []).append(place)
    missing = sum(len(present.get(call, [])) < size for call in acked)
    torn = sum(len(places) != size or len(set(places)) != len(places) for places in present.values())
    case.note(f"{len(acked):,} requests acknowledged")
    case.expect(missing == 0, f"{missing} acknowledged requests are not whole")
    case.expect(torn == 0, f"{torn} requests are stored in part, or an interaction twice")


@row("F4", "all customers scored again and again while single scores are asked for")
def population(case):
    with server_with_customers(case) as server, Client(server.address) as client:
        alone, over, runs = load(case, server, "score", 4, "--rate", 500), threading.Event(), []

        def score_all():
            while not over.is_set():
                request = pb.ScorePopulationRequest(target=pb.TARGET_CHURN)
                runs.append(list(client.prediction.ScorePopulation(request, timeout=60))[-1])

        thread, _ = in_background(score_all)
        beside = load(case, server, "score", 8, "--rate", 500)
        over.set()
        thread.join()
        case.note(f"p99 {shown_ms(beside['ok_p99_ms'])} beside {len(runs)} runs, {shown_ms(alone['ok_p99_ms'])} alone")
        case.expect(set(beside["codes"]) == {"0"}, f"scores ended with {beside['codes']}")
        case.expect(beside["ok_p99_ms"] <= 2 * alone["ok_p99_ms"], "p99 more than twice that alone")
        case.expect(runs and all(step.done == step.total for step in runs), "a run is not complete")


@row("F6", "deadlines shorter than the wait", stores=("PostgreSQL",))
def deadlines(case):
    with server_with_customers(case, "--cache-mb", "0") as server:
        case.store.psql("soak", "SELECT pg_stat_reset()")
        capacity = load(case, server, "batch", 4, "--in-flight", 8, "--size", 400)["ok_per_second"]
        case.store.psql("soak", "SELECT pg_stat_reset()")
        found = load(case, server, "batch", 6, "--rate", capacity * 5, "--size", 400, "--deadline-ms", 50)
        sent, ok = sum(found["codes"].values()), found["ok"]
        time.sleep(1.5)
        scans = case.store.psql("soak", "SELECT coalesce(sum(idx_tup_fetch + seq_tup_read), 0) FROM pg_stat_user_tables "
                                        "WHERE relname = 'packed_histories'")
        per_call = int(scans) / max(1, ok)
        case.note(f"{sent:,} calls with 50 ms at 5 C: {found['codes']}; {int(scans):,} histories read for {ok:,} answers")
        case.expect(set(found["codes"]) <= {"0", "4", "8"}, f"calls ended with {found['codes']}")
        # An answer needs 400; twice as many means that half of the work was for calls that were given up.
        case.expect(per_call <= 2 * 400, f"{per_call:,.0f} histories were read for each answer")


@row("F7", "load falls back to half of the capacity")
def recovery(case):
    with server_with_customers(case) as server:
        alone = load(case, server, "batch", 3, "--in-flight", 1, "--connections", 1, "--size", 2_000)
        capacity = load(case, server, "batch", 4, "--in-flight", 4, "--size", 2_000)["ok_per_second"]
        load(case, server, "batch", 8, "--rate", capacity * 10, "--size", 2_000)
        with Client(server.address) as client:
            request = pb.BatchPredictChurnRequest(customer_ids=case.buyers * 4)
            outcomes = Outcomes()
            limit = max(3 * alone["ok_p99_ms"] / 1e3, 0.1)
            back = wait_until("quick answers", lambda: outcomes.call("batch", client.scoring.BatchPredictChurn, request)
                              is not None and outcomes.all[-1].end - outcomes.all[-1].begin <= limit, 30)
        case.expect(back is not None and back <= 5, f"no quick answer within 5 s after it ({back})")
        after = load(case, server, "batch", 5, "--rate", capacity / 2, "--size", 2_000)
        case.note(f"first quick answer {back or float('nan'):.1f} s after; then at C/2 p99 {shown_ms(after['ok_p99_ms'])}, "
                  f"{after['codes']}")
        case.expect(set(after["codes"]) == {"0"}, f"at half of the capacity calls ended with {after['codes']}")
