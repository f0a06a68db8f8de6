"""D: hostile clients, beside an honest one."""

import gzip
import json
import resource
import sys
import time

import attacks
import ledger
import raw
import traffic
import world
from cases import row
from databases import copy_of_business
from programs import Client, MemoryWatch, Server, pb
from traffic import Traffic, shown

SQLITE = ("SQLite",)
UNARY = "/tally.v1.ScoringService/PredictChurn"
RECORD = "/tally.v1.InteractionService/RecordInteractions"


def p99(outcomes, since, until):
    took = sorted(one.end - one.begin for one in outcomes.all if one.call == "score" and since <= one.end < until)
    return took[int((len(took) - 1) * 0.99)] * 1e3 if took else float("inf")


def attacked(case, attack, seconds=5.0, memory=50, prepare=None):
    """Runs an attack beside an honest client; returns what the attacker saw. `memory`: growth allowed in MiB."""
    database = copy_of_business(case)
    server = Server(case, case.store.url(database))
    # As many files as this machine allows; usual are 1,024.
    server.wrapper = ["prlimit", f"--nofile={resource.getrlimit(resource.RLIMIT_NOFILE)[1]}"]
    with server:
        with Client(server.address) as client:
            traffic.buyers(case, client)
            if prepare:
                prepare(client)
        with Traffic(case, server.address, "honest", [f"honest-{n}" for n in range(20)], writers=1, streams=0, readers=2,
                     sizes=(1, 20), pause=0.003) as load:
            time.sleep(3)
            begin = time.monotonic()
            idle = server.memory()
            with MemoryWatch(server) as watch:
                command = [sys.executable, "-B", attacks.__file__, attack.__name__, server.address, str(seconds)]
                seen = json.loads(world.run(*command))
                end = time.monotonic()
            time.sleep(3)
            during = p99(load.outcomes, begin, end)
            # Others use the machine, too: the slower of before and after is what there is without the attack.
            before = max(p99(load.outcomes, begin - 2.5, begin), p99(load.outcomes, end + 0.5, end + 3))
        codes = load.outcomes.codes()
        case.expect(set(codes) == {"OK"}, f"honest calls ended with {shown(codes)}")
        case.note(", ".join(f"{name} {shape(value)}" for name, value in seen.items()))
        case.note(f"honest p99 {before:.1f} ms alone, {during:.1f} ms during; memory +{watch.peak - idle:.0f} MiB")
        case.expect(during <= 2 * before, f"the honest p99 is {during / before:.1f}× that alone")
        case.expect(watch.peak - idle <= memory, f"memory grew by {watch.peak - idle:.0f} MiB, more than {memory}")
        with Client(server.address) as client:
            ledger.check(case, client, load.ledger.read(), "honest-")
    return seen


def shape(value):
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


@row("D1", "Rapid Reset", stores=SQLITE)
def rapid_reset(case):
    seen = attacked(case, attacks.rapid_reset)
    case.expect(seen["outcomes"] == ["GOAWAY ENHANCE_YOUR_CALM"], f"a connection is {seen['outcomes']}")


@row("D2", "MadeYouReset", stores=SQLITE)
def made_you_reset(case):
    seen = attacked(case, attacks.made_you_reset)
    case.expect(all(one.startswith("GOAWAY") for one in seen["outcomes"]), f"a connection is {seen['outcomes']}")
    case.expect(seen["streams begun"] <= 2_400, f"GOAWAY only after {seen['streams begun']:,} streams")


@row("D3", "10,000 streams on one connection", stores=SQLITE)
def idle_streams(case):
    seen = attacked(case, attacks.idle_streams)
    case.expect(seen["most"] is not None and seen["most"] <= 200, f"MAX_CONCURRENT_STREAMS is {seen['most']}")


@row("D4", "headers that never end (CONTINUATION)", stores=SQLITE)
def continuation(case):
    seen = attacked(case, attacks.continuation)
    case.expect("open" not in seen["outcomes"], "a connection stays open")
    case.expect(seen["most on one"] < 64 << 20, f"{seen['most on one']:,} bytes of headers were taken")


@row("D5", "header list of 16 MB by compression", stores=SQLITE)
def header_bomb(case):
    seen = attacked(case, attacks.header_bomb)
    case.expect(not {"0", "no answer"} & set(seen["answers"]), f"answered by {seen['answers']}")


@row("D7", "5,000 connections that say nothing", stores=SQLITE)
def silent(case):
    seen = attacked(case, attacks.silent, seconds=12)
    case.expect(seen["closed"] == seen["opened"], f"{seen['opened'] - seen['closed']:,} of {seen['opened']:,} are open "
                "after 12 s")


@row("D9", "200 slow readers of all predictions", stores=SQLITE)
def slow_readers(case):
    def prepare(client):
        for _ in range(20):
            list(client.prediction.ScorePopulation(pb.ScorePopulationRequest(target=pb.TARGET_CHURN), timeout=60))

    attacked(case, attacks.slow_readers, seconds=10, memory=300, prepare=prepare)


def answers(case, rows):
    """Sends raw calls, each (name, statuses allowed, call), on one connection as long as it lives, and notes the answers."""
    database = copy_of_business(case)
    with Server(case, case.store.url(database)) as server:
        idle, shown_answers = server.memory(), []
        for name, allowed, call in rows:
            with raw.Connection(server.address) as connection:
                status = connection.status(call(connection), 8)
                code = raw.CODES.get(status, status)
                shown_answers.append(f"{name}: {code}")
                case.expect(code in allowed, f"{name} is answered by {code}")
                neighbour = connection.call(UNARY, raw.message(b"\x0a\x04none"))
                after = raw.CODES.get(connection.status(neighbour, 5), "no answer")
                case.expect(after == "NOT_FOUND", f"after {name}, another stream is answered by {after}")
        case.note("; ".join(shown_answers))
        grown = max(0.0, server.memory() - idle)
        case.note(f"memory +{grown:.0f} MiB")
        case.expect(grown <= 50, "memory grew by more than 50 MiB")
        with Client(server.address) as client:
            case.expect("raw" not in ledger.customers_of(client), "something was stored")


def field(number, payload):
    return bytes([number << 3 | 2]) + attacks.varint(len(payload)) + payload


def interaction(*fields):
    return raw.message(field(1, field(1, b"raw") + field(2, b"1") + b"".join(fields)))


@row("A5", "bytes that are no message", stores=SQLITE)
def malformed(case):
    invalid = {"INVALID_ARGUMENT"}
    nested = b""
    for _ in range(200):
        nested = field(1, field(1, b"k") + field(2, field(5, nested)))
    answers(case, [
        ("invalid UTF-8", invalid, lambda c: c.call(UNARY, raw.message(field(1, b"\xff\xfe")))),
        ("a truncated varint", invalid, lambda c: c.call(UNARY, raw.message(b"\x0a\xff"))),
        ("another wire type", invalid, lambda c: c.call(UNARY, raw.message(b"\x08\x01"))),
        ("random bytes", invalid, lambda c: c.call(UNARY, raw.message(case.random.randbytes(500)))),
        ("a kind that is no enum value", invalid, lambda c: c.call("/tally.v1.PredictionService/ListPredictions",
                                                                 raw.message(b"\x08\x63"))),
        ("no enum value", invalid, lambda c: c.call("/tally.v1.PredictionService/ListPredictions", raw.message(b""))),
        ("no message at all", invalid, lambda c: c.call(UNARY, b"")),
        ("half a message", invalid, lambda c: c.call(UNARY, raw.message(b"\x0a\x01x")[:-1])),
        ("attributes nested 200 deep", invalid, lambda c: c.call("/tally.v1.CustomerService/UpsertCustomers", raw.message(
            field(1, field(1, b"raw") + field(3, nested))))),
        ("an interaction of 1969", invalid, lambda c: c.call(RECORD, interaction(field(3, b"visit"), field(4, b"\x08"
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")))),
    ])


@row("B11", "unknown methods, other content types, compression that is not what it says", stores=SQLITE)
def protocol(case):
    body = raw.message(b"\x0a\x04none")
    answers(case, [
        ("unknown method", {"UNIMPLEMENTED"}, lambda c: c.call("/tally.v1.ScoringService/Guess", body)),
        ("unknown service", {"UNIMPLEMENTED"}, lambda c: c.call("/tally.v1.Other/PredictChurn", body)),
        ("JSON", {"HTTP 415", "INVALID_ARGUMENT", "UNIMPLEMENTED"}, lambda c: c.call(
            UNARY, b"{}", replace=[("content-type", "application/json")])),
        ("no te", {"NOT_FOUND", "INVALID_ARGUMENT", "HTTP 400"}, lambda c: c.call(UNARY, body, leave=["te"])),
        ("unknown compression", {"UNIMPLEMENTED"}, lambda c: c.call(UNARY, body, ("grpc-encoding", "snappy"))),
        ("compressed without a name", {"INTERNAL", "INVALID_ARGUMENT"}, lambda c: c.call(UNARY, raw.message(b"x", 1))),
        ("gzip of 1 MB that is 1 GB", {"RESOURCE_EXHAUSTED"}, lambda c: c.call(
            UNARY, raw.message(bomb(), 1), ("grpc-encoding", "gzip"))),
    ])


def bomb():
    """1 GB of zeros, compressed."""
    import io

    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9) as file:
        for _ in range(1 << 10):
            file.write(bytes(1 << 20))
    return packed.getvalue()


@row("D13", "grpc-timeout: garbage, 0, enormous", stores=SQLITE)
def timeouts(case):
    body = raw.message(b"\x0a\x04none")
    usual = {"NOT_FOUND", "INVALID_ARGUMENT"}

    def call(value):
        return lambda c: c.call(UNARY, body, ("grpc-timeout", value))

    answers(case, [("garbage", usual, call("soon")), ("negative", usual, call("-5S")), ("no unit", usual, call("5")),
                   ("enormous", usual, call("99999999H")), ("nine digits", usual, call("999999999S")),
                   ("0n", usual | {"DEADLINE_EXCEEDED"}, call("0n"))])
