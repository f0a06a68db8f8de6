"""L and J5: servers that end, start and change their model while clients call."""

import contextlib
import json
import threading
import time

import grpc

import kills_models
import ledger
import traffic
from cases import row
from databases import copy_of_business
from programs import Client, Server, pb
from traffic import Traffic, shown, wait_until

# gRPC's usual client settings for a service of several servers: round robin, and one retry of what was not processed.
ROUND_ROBIN = json.dumps({
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 2, "initialBackoff": "0.05s", "maxBackoff": "0.2s",
                                                    "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}],
})


@row("L7", "rolling restart of two servers under load")
def rolling_restart(case):
    database, rounds = copy_of_business(case), 4 if case.options.small else 20
    servers = [Server(case, case.store.url(database), name=f"server{n}") for n in range(2)]
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.enter_context(server)
        with Client(servers[0].address) as client:
            traffic.buyers(case, client)
        # A list of addresses is no name that HTTP/2 allows, so the clients get one.
        both = "ipv4:" + ",".join(server.address for server in servers)
        options = [("grpc.default_authority", "soak"), ("grpc.service_config", ROUND_ROBIN), ("grpc.enable_retries", 1),
                   ("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200)]
        with balanced(options):
            load = Traffic(case, both, "rolling", [f"rolling-{n}" for n in range(40)], readers=2, streams=1, pause=0.004)
            stops = []
            with load:
                time.sleep(1)
                for _ in range(rounds):
                    for server in servers:
                        stops.append(server.stop())
                        server.start()
                        # Clients find the new one before the other goes.
                        time.sleep(0.5)
        codes = {call: load.outcomes.codes(call=call) for call in ("score", "write", "stream")}
        case.note(f"{rounds} rounds, {2 * rounds} restarts: " + "; ".join(f"{call}: {shown(found)}" for call, found in codes.items()))
        case.note(f"the slowest stop took {max(stops):.1f} s")
        case.expect(max(stops) <= 20, "a stop took more than 20 s")
        # A stream has no end of its own: the server ends it, once for each that goes, and the client begins another.
        ended = codes["stream"].pop("UNAVAILABLE", 0)
        case.expect(ended <= len(stops), f"streams were ended {ended} times")
        for call, found in codes.items():
            failed = sum(number for code, number in found.items() if code != "OK")
            case.expect(failed == 0, f"{failed} calls of {call} failed: " + "; ".join(
                text[:90] for code in found if code != "OK" for text in list(load.outcomes.texts(code))[:2]))
        with Client(servers[0].address) as client:
            case.note(str(ledger.check(case, client, load.ledger.read(), "rolling-")))


@contextlib.contextmanager
def balanced(options):
    """Clients of the traffic use these options of the channel."""
    plain = traffic.Client
    traffic.Client = lambda address: plain(address, *options)
    try:
        yield
    finally:
        traffic.Client = plain


@row("L10", "connections that are asked to go (--max-connection-age) under load", stores=("SQLite",))
def connection_age(case):
    database = copy_of_business(case)
    with Server(case, case.store.url(database), "--max-connection-age", "2") as server:
        with Client(server.address) as client:
            traffic.buyers(case, client)
        seconds = max(10, 60 * case.options.minutes)
        load = Traffic(case, server.address, "age", [f"age-{n}" for n in range(40)], readers=3, streams=0, pause=0.004)
        # As clients are by default: a call that the server has not begun is sent again on another connection.
        with balanced([("grpc.enable_retries", 1)]), load:
            time.sleep(seconds)
        case.note(f"{seconds:.0f} s, asked to go every 2 s: {shown(load.outcomes.codes())}")
        case.expect(set(load.outcomes.codes()) == {"OK"}, "calls failed: " + "; ".join(
            text[:90] for code in load.outcomes.codes() if code != "OK" for text in list(load.outcomes.texts(code))[:2]))
        with Client(server.address) as client:
            ledger.check(case, client, load.ledger.read(), "age-")


@row("L8", "SIGTERM while clients hold on", stores=("SQLite",))
def held_on(case):
    import raw

    database = copy_of_business(case)
    health = "/grpc.health.v1.Health/Watch"

    def watch(connection):
        connection.call(health, raw.message(b""))

    def stream(connection):
        connection.call("/tally.v1.InteractionService/StreamInteractions", b"", end=False)

    def body(connection):
        connection.call("/tally.v1.ScoringService/PredictChurn", b"\0\0\0\1\0abc", end=False)

    for name, hold in (("an idle connection", lambda connection: None), ("a health Watch", watch), ("an open stream", stream),
                       ("a body that never ends", body), ("a silent TCP connection", None)):
        with Server(case, case.store.url(database)) as server:
            if hold is None:
                import socket

                held = socket.create_connection(("127.0.0.1", server.port))
            else:
                held = raw.Connection(server.address)
                hold(held)
            time.sleep(0.5)
            took = server.stop(40)
            case.note(f"{name}: {took:.1f} s")
            # What is idle holds up nobody; what is open may drain.
            limit = 20 if name in ("an open stream", "a body that never ends") else 2
            case.expect(took <= limit, f"the stop took {took:.1f} s with {name}, more than {limit} s")
            case.expect(server.process.returncode == 0, f"exit code {server.process.returncode}")
            if name == "a health Watch":
                case.expect(held.closed.wait(1), "the connection with the Watch is not closed")
            held.close()


@row("J5", "1,000 changes of the model under load")
def hot_reloads(case):
    database, changes = copy_of_business(case), 100 if case.options.small else 1_000
    with Server(case, case.store.url(database)) as server, Client(server.address) as client:
        ids = traffic.buyers(case, client)
        history, replies, stop, failures = [(0.0, 0.0, kills_models.champion_and_other(client)[0])], [], threading.Event(), []

        def score(n):
            with Client(server.address) as own:
                request = pb.BatchPredictChurnRequest(customer_ids=ids[:20])
                while not stop.is_set():
                    begin = time.monotonic()
                    try:
                        if n % 2:
                            names = {own.scoring.PredictChurn(pb.PredictChurnRequest(customer_id=ids[n]), timeout=10).model}
                        else:
                            results = own.scoring.BatchPredictChurn(request, timeout=10).results
                            names = {result.score.model for result in results}
                        replies.append((begin, time.monotonic(), names))
                        # The server also needs time for its gate, which compares both models on their holdouts.
                        stop.wait(0.005)
                    except grpc.RpcError as error:
                        failures.append(f"{error.code().name}: {error.details()}")

        threads = [threading.Thread(target=score, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        both = kills_models.champion_and_other(client)
        begun, refused = time.monotonic(), []
        for change in range(changes):
            begin = time.monotonic()
            try:
                if change % 2:
                    made = client.model.RollbackModel(pb.RollbackModelRequest(target=pb.TARGET_CHURN), timeout=10)
                else:
                    target = both[1] if history[-1][2] == both[0] else both[0]
                    made = client.model.PromoteModel(pb.PromoteModelRequest(model=target, force=True), timeout=10)
                history.append((begin, time.monotonic(), made.promotion.to_model))
            except grpc.RpcError as error:
                refused.append(f"{error.code().name}: {error.details()}")
        seconds = time.monotonic() - begun
        stop.set()
        for thread in threads:
            thread.join()
        case.note(f"{len(history) - 1:,} changes in {seconds:.1f} s beside {len(replies):,} calls, {len(failures)} of them failed")
        case.expect(not failures, f"calls failed: {'; '.join(sorted(set(failures))[:2])}")
        case.expect(not refused, f"{len(refused)} changes were refused: {'; '.join(sorted(set(refused))[:2])}")
        case.expect(all(len(names) == 1 for *_, names in replies), "one batch has scores of two models")
        wrong = sum(not names <= alive(history, begin, end) for begin, end, names in replies)
        case.expect(wrong == 0, f"{wrong} replies by a model that was not the champion between their begin and end")


def alive(history, begin, end):
    """The models that may have been the champion at a moment between begin and end."""
    found = set()
    for place, (_, _, model) in enumerate(history):
        since = history[place][0]
        until = history[place + 1][1] if place + 1 < len(history) else float("inf")
        if since <= end and begin <= until:
            found.add(model)
    return found


@row("J1", "a bit of a stored model is flipped")
def flipped(case):
    database, flips = copy_of_business(case), 100 if case.options.small else 1_000
    with Server(case, case.store.url(database)) as server, Client(server.address) as client:
        ids = traffic.buyers(case, client)
        champion, candidate = kills_models.champion_and_other(client)
        where = f"target = 'churn' AND version = {candidate.partition('/')[2]}"
        whole = bytes.fromhex(case.store.sql(database, f"SELECT {in_hex(case)} FROM models WHERE {where}").strip())
        answers = {}
        for _ in range(flips):
            damaged = bytearray(whole)
            damaged[case.random.randrange(len(whole))] ^= 1 << case.random.randrange(8)
            store_artifact(case, database, where, damaged)
            code = promoted(client, candidate)
            answers[code] = answers.get(code, 0) + 1
        score = client.scoring.PredictChurn(pb.PredictChurnRequest(customer_id=ids[0]), timeout=10)
        case.expect(score.model == champion, "another model serves")
        store_artifact(case, database, where, whole)
        case.expect(promoted(client, candidate) == "OK", "the whole model is refused")
    case.note(f"{flips} flips of one bit in {len(whole):,} bytes: {shown(answers)}; the champion served all along")
    case.expect(set(answers) == {"FAILED_PRECONDITION"}, f"promotions of a damaged model ended with {shown(answers)}")


def in_hex(case):
    return "hex(artifact)" if case.store.NAME == "SQLite" else "encode(artifact, 'hex')"


def store_artifact(case, database, where, content):
    literal = f"x'{content.hex()}'" if case.store.NAME == "SQLite" else f"'\\x{content.hex()}'"
    case.store.sql(database, f"UPDATE models SET artifact = {literal} WHERE {where}")


def promoted(client, model):
    """The code that promoting a model ends with."""
    try:
        client.model.PromoteModel(pb.PromoteModelRequest(model=model, force=True), timeout=10)
        return "OK"
    except grpc.RpcError as error:
        return error.code().name


@row("J6", "a promotion on one server, seen by another", stores=("PostgreSQL",))
def second_server(case):
    database, slowest = copy_of_business(case), 0.0
    with Server(case, case.store.url(database)) as one, Server(case, case.store.url(database), name="other") as two:
        with Client(one.address) as first, Client(two.address) as second:
            customer = traffic.buyers(case, first)[0]
            request = pb.PredictChurnRequest(customer_id=customer)
            for _ in range(10):
                other = kills_models.champion_and_other(first)[1]
                first.model.PromoteModel(pb.PromoteModelRequest(model=other, force=True), timeout=10)
                seen = wait_until("the other champion", lambda: second.scoring.PredictChurn(request).model == other, 10)
                if not case.expect(seen is not None, "the other server did not see a promotion within 10 s"):
                    return
                slowest = max(slowest, seen)
    case.note(f"10 promotions, seen within {slowest:.1f} s")
    case.expect(slowest <= 5, f"seen only after {slowest:.1f} s")
