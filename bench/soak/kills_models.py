"""G3 to G6: kills during batch scoring, training, promotion and migration."""

import hashlib
import subprocess
import threading
import time

import grpc

import databases
import programs
import traffic
import world
from cases import NotRun, row
from databases import copy_of_business
from ledger import Ledger
from programs import Client, Server, pb, timestamp


def predictions_about(client, as_of, latest):
    """All churn predictions about a moment."""
    found, token = [], ""
    while True:
        request = pb.ListPredictionsRequest(target=pb.TARGET_CHURN, as_of_time=timestamp(as_of), latest_only=latest,
                                            page_size=1000, page_token=token)
        try:
            page = client.prediction.ListPredictions(request, timeout=20)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return []
            raise
        found += page.predictions
        token = page.next_page_token
        if not token:
            return found


def score_until_killed(server, as_of, ids, ledger):
    """Runs ScorePopulation and stores batches of scores; what was acknowledged goes into the ledger."""

    def population():
        with Client(server.address) as client:
            try:
                request = pb.ScorePopulationRequest(target=pb.TARGET_CHURN, as_of_time=timestamp(as_of))
                for step in client.prediction.ScorePopulation(request, timeout=60):
                    ledger.write(stored=step.stored, done=step.done, total=step.total)
            except grpc.RpcError as error:
                ledger.write(failed=error.code().name, call="ScorePopulation")

    def batches():
        with Client(server.address) as client:
            try:
                for start in range(0, 10_000, 50):
                    chosen = [ids[(start + n) % len(ids)] for n in range(50)]
                    request = pb.BatchPredictChurnRequest(customer_ids=chosen, persist=True)
                    response = client.scoring.BatchPredictChurn(request, timeout=60)
                    ledger.write(predictions=[result.score.prediction_id for result in response.results])
            except grpc.RpcError as error:
                ledger.write(failed=error.code().name, call="BatchPredictChurn")

    threads = [threading.Thread(target=target) for target in (population, batches)]
    for thread in threads:
        thread.start()
    return threads


@row("G3", "kill -9 during batch scoring that stores")
def scoring(case):
    store, database = case.store, copy_of_business(case)
    acked, replayed, codes, twice, ended = 0, 0, set(), 0, 0
    with Server(case, store.url(database)) as server:
        with Client(server.address) as client:
            ids = traffic.buyers(case, client)
        for kill in range(case.options.kills):
            ledger = Ledger(case.folder / f"ledger-{kill}.jsonl")
            as_of = programs.now()
            threads = score_until_killed(server, as_of, ids, ledger)
            time.sleep(case.random.uniform(0.0, 0.15))
            server.kill()
            for thread in threads:
                thread.join()
            server.start()
            lines = ledger.read()
            stored = [line["stored"] for line in lines if "stored" in line]
            known = [one for line in lines for one in line.get("predictions", [])]
            codes |= {line["failed"] for line in lines if "failed" in line}
            acked += len(known)
            with Client(server.address) as client:
                case.expect(len(predictions_about(client, as_of, True)) >= max(stored, default=0),
                            "fewer predictions are stored than the run had reported")
                for prediction in case.random.sample(known, min(5, len(known))):
                    replayed += 1
                    case.expect(replays(client, prediction), "an acknowledged prediction is missing or does not replay")
                # The run is repeated, as its caller would.
                request = pb.ScorePopulationRequest(target=pb.TARGET_CHURN, as_of_time=timestamp(as_of))
                last = list(client.prediction.ScorePopulation(request, timeout=60))[-1]
                listed = [score.customer_id for score in predictions_about(client, as_of, True)]
                case.expect(len(listed) == len(set(listed)) == last.stored, "the repeated run is not complete, or a "
                            "customer is listed twice")
                others = len(predictions_about(client, as_of, False)) - last.stored
                # A run that had ended before the kill is no interrupted one: its predictions stay, all of them.
                ended += others == last.stored
                twice += others if others != last.stored else 0
    case.note(f"{case.options.kills} kills, {acked:,} predictions acknowledged, {replayed} of them replayed bit for bit; "
              f"{ended} runs had ended before; every repeated run complete, each customer listed once")
    case.expect(twice == 0, f"{twice} predictions of the killed runs stay beside those of their repetition (latest_only = "
                "false shows both)")
    case.expect(codes <= {"UNAVAILABLE"}, f"calls ended with {sorted(codes)}")


def replays(client, prediction):
    try:
        return client.prediction.ReplayPrediction(pb.ReplayPredictionRequest(prediction_id=prediction), timeout=20).identical
    except grpc.RpcError:
        return False


def registry(case, client):
    """Checks the list of churn models; returns the versions and the champion."""
    models = client.model.ListModels(pb.ListModelsRequest(target=pb.TARGET_CHURN, page_size=1000), timeout=20).models
    versions = [model.version for model in models]
    case.expect(len(versions) == len(set(versions)), "two models have one version")
    for model in models:
        case.expect(not model.problem, f"a model is damaged: {model.problem}")
    champions = [model.name for model in models if model.champion]
    case.expect(len(champions) == 1, f"{len(champions)} champions")
    return versions, champions[0] if champions else None


@row("G4", "kill -9 of the trainer")
def training(case):
    store, database = case.store, copy_of_business(case)
    stored = 0
    with Server(case, store.url(database)) as server, Client(server.address) as client:
        customer = traffic.buyers(case, client)[0]
        command = [programs.PROGRAMS / "tally-train", "churn", "--database", store.url(database), "--log", "error"]
        begin = time.monotonic()
        subprocess.run([*command, "--promote", "always"], stdout=subprocess.DEVNULL, check=True)
        whole = time.monotonic() - begin
        before, _ = registry(case, client)
        # Half of the kills fall into the last fifth, where the artifact is written.
        for kill in range(max(4, case.options.kills // 5)):
            share = case.random.uniform(0.8, 1.05) if kill % 2 else case.random.uniform(0.0, 1.0)
            trainer = subprocess.Popen([*command, "--promote", "always", "--seed", str(kill)], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            time.sleep(whole * share)
            trainer.kill()
            trainer.wait()
            versions, champion = registry(case, client)
            case.expect(set(before) <= set(versions), "a stored model is gone")
            stored += len(versions) - len(before)
            before = versions
            score = client.scoring.PredictChurn(pb.PredictChurnRequest(customer_id=customer), timeout=10)
            case.expect(score.model in {f"churn/{version}" for version in versions}, "an unknown model scores")
        server.kill()
        server.start()
        _, champion = registry(case, client)
        score = client.scoring.PredictChurn(pb.PredictChurnRequest(customer_id=customer), timeout=10)
        case.expect(score.model == champion, "the champion does not serve after a restart")
        left = store.leftovers(database)
        case.expect(left == 0, f"{left} transactions are left open")
    case.note(f"{max(4, case.options.kills // 5)} kills in a training of {whole:.1f} s; {stored} had stored their model "
              "before, all of them whole; the champion served all along")


@row("G5", "kill -9 during promotion and rollback")
def promotion(case):
    store, database = case.store, copy_of_business(case)
    acked_all = 0
    with Server(case, store.url(database)) as server:
        for kill in range(case.options.kills):
            ledger = Ledger(case.folder / f"ledger-{kill}.jsonl")
            thread = threading.Thread(target=promote_until_killed, args=(server, ledger, kill))
            thread.start()
            time.sleep(case.random.uniform(0.02, 1.5))
            server.kill()
            thread.join()
            server.start()
            lines = ledger.read()
            acked = [line for line in lines if "acked" in line]
            sent = [line for line in lines if "sent" in line]
            acked_all += len(acked)
            with Client(server.address) as client:
                _, champion = registry(case, client)
                request = pb.ListPromotionsRequest(target=pb.TARGET_CHURN, page_size=1000)
                audit = client.model.ListPromotions(request, timeout=20).promotions
                case.expect(audit[0].to_model == champion, "the champion is not that of the latest record")
                mine = [record for record in audit if record.reason.startswith(f"kill {kill} ")]
                reasons = [record.reason for record in mine]
                case.expect(len(reasons) == len(set(reasons)), "a promotion is recorded twice")
                case.expect({line["acked"] for line in acked} <= set(reasons), "an acknowledged promotion is missing")
                case.expect(set(reasons) <= {line["sent"] for line in sent}, "a promotion is recorded that was not sent")
                wanted = {line["acked"]: line["model"] for line in acked}
                case.expect(all(wanted.get(record.reason, record.to_model) == record.to_model for record in mine),
                            "a record names another model than its acknowledgement")
    case.note(f"{case.options.kills} kills, {acked_all:,} changes acknowledged, all recorded once; one champion after "
              "each, that of the latest record")


def promote_until_killed(server, ledger, kill):
    with Client(server.address) as client:
        number = 0
        while True:
            reason = f"kill {kill} change {number}"
            ledger.write(sent=reason)
            try:
                if number % 2:
                    request = pb.RollbackModelRequest(target=pb.TARGET_CHURN, reason=reason)
                    made = client.model.RollbackModel(request, timeout=10).promotion
                else:
                    model = champion_and_other(client)[1]
                    request = pb.PromoteModelRequest(model=model, force=True, reason=reason)
                    made = client.model.PromoteModel(request, timeout=10).promotion
                ledger.write(acked=reason, model=made.to_model)
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.UNAVAILABLE:
                    return
                ledger.write(failed=reason, code=error.code().name)
            number += 1


def champion_and_other(client):
    """The names of the churn champion and of another churn model."""
    models = client.model.ListModels(pb.ListModelsRequest(target=pb.TARGET_CHURN), timeout=10).models
    champion = next(model.name for model in models if model.champion)
    others = [model.name for model in models if not model.champion]
    if not others:
        raise NotRun("the business has only one churn model")
    return champion, others[0]


@row("G6", "kill -9 during migration")
def migration(case):
    store = case.store
    (wanted, whole), number_of = reference(case), len(migrations(store))
    rounds, ended = max(6, case.options.kills // 3), 0
    for kill in range(rounds):
        # From nothing, or from the schema of any older version.
        older = 0 if kill % 3 == 0 else case.random.randrange(1, number_of)
        store.create("soak")
        migrate_by_hand(store, "soak", older)
        server = Server(case, store.url("soak"))
        server.begin()
        time.sleep(case.random.uniform(0.0, 1.1) * whole)
        ended += server.process.poll() is not None
        server.kill()
        server.start()
        with server, Client(server.address) as client:
            request = pb.RecordInteractionsRequest(interactions=[
                item.message() for item in traffic.batch(case.random, "b", ["c"], 10)])
            case.expect(client.interaction.RecordInteractions(request, timeout=10).recorded == 10, "writing fails")
        server.stop()
        found = store.schema("soak")
        case.expect(found == wanted, f"the schema after a kill on the way from version {older} is another")
        case.expect(store.integrity("soak") == "ok", "the database is damaged")
    case.note(f"{rounds} kills within {whole:.2f} s on the way from versions 0 to {number_of - 1}: each time the next start has completed it, "
              "with the same schema as without a kill")
    case.expect(ended == 0, f"{ended} servers had ended before they were killed")


@row("L4", "two servers start at once on a database without tables")
def two_migrators(case):
    (wanted, _), starts = reference(case), []
    for _ in range(5):
        case.store.create("soak")
        servers = [Server(case, case.store.url("soak"), name=f"server{n}") for n in range(2)]
        begin = time.monotonic()
        for server in servers:
            server.begin()
        try:
            for server in servers:
                server.wait_until_it_listens()
            starts.append(time.monotonic() - begin)
        finally:
            for server in servers:
                server.kill()
        case.expect(case.store.schema("soak") == wanted, "the schema is another")
    case.note(f"5 times both listen within {max(starts):.2f} s, with one schema")


def migrations(store):
    return sorted((world.ROOT / "migrations" / store.NAME.lower().replace("postgresql", "postgres")).glob("*.sql"))


def reference(case):
    """The schema that a start without a kill makes, and how long that takes."""
    case.store.create("soak")
    server = Server(case, case.store.url("soak"))
    whole = server.start()
    server.stop()
    return case.store.schema("soak"), whole


def migrate_by_hand(store, database, number):
    """Applies the first migrations as sqlx does, so that the database looks as if an older version had made it."""
    if number == 0:
        return
    blob = "BYTEA" if isinstance(store, databases.Postgres) else "BLOB"
    bytes_of = (lambda digest: f"'\\x{digest}'") if isinstance(store, databases.Postgres) else (lambda digest: f"x'{digest}'")
    store.sql(database, f"""CREATE TABLE _sqlx_migrations (
        version BIGINT PRIMARY KEY, description TEXT NOT NULL,
        installed_on TIMESTAMP{"TZ" if isinstance(store, databases.Postgres) else ""} NOT NULL DEFAULT
        {"now()" if isinstance(store, databases.Postgres) else "CURRENT_TIMESTAMP"},
        success BOOLEAN NOT NULL, checksum {blob} NOT NULL, execution_time BIGINT NOT NULL)""")
    for file in migrations(store)[:number]:
        version, description = file.stem.split("_", 1)
        text = file.read_text()
        store.sql(database, text)
        store.sql(database, "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) "
                  f"VALUES ({int(version)}, '{description.replace('_', ' ')}', TRUE, "
                  f"{bytes_of(hashlib.sha384(text.encode()).hexdigest())}, 1)")
