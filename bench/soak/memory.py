"""M: memory while streams are long and customers large."""

import os
import pathlib
import statistics
import threading
import time

import traffic
from cases import row
from databases import copy_of_business
from programs import Client, MemoryWatch, Server, now, pb, timestamp

SIZE = 10_000
# Growth of the server's memory that is allowed, in MiB.
GROWTH = 100


def template(customers, size):
    """A serialized request whose ids have marks instead of numbers, so that millions of ids cost no time here."""
    at, items = now() - 86_400_000_000, []
    for n in range(size):
        items.append(pb.Interaction(customer_id=customers[n % len(customers)], interaction_id=f"@@@@@@@@-{n:05}",
                                    kind="visit" if n % 10 else "purchase", occur_time=timestamp(at - n * 1_000_000_000),
                                    amount_minor=None if n % 10 else 1_000, channel="web"))
    return pb.RecordInteractionsRequest(interactions=items, backfill=True).SerializeToString()


def stream_batches(client, packed, batches, most_in_flight=4):
    """Streams batches made of the template; returns recorded + duplicates and the number of acknowledgements."""
    call = client.channel.stream_stream(
        "/tally.v1.InteractionService/StreamInteractions", request_serializer=lambda data: data,
        response_deserializer=pb.RecordInteractionsResponse.FromString)
    room = threading.Semaphore(most_in_flight)

    def requests():
        for n in range(batches):
            room.acquire()
            yield packed.replace(b"@@@@@@@@", b"%08d" % n)

    recorded = acked = 0
    for response in call(requests()):
        recorded += response.recorded + response.duplicates
        acked += 1
        room.release()
    return recorded, acked


@row("M1", "one stream of 10 million events")
def long_stream(case):
    database, batches = copy_of_business(case), 100 if case.options.small else 1_000
    customers = [f"long-{n:05}" for n in range(20_000)]
    with Server(case, case.store.url(database)) as server, Client(server.address) as client:
        client.customer.ListCustomers(pb.ListCustomersRequest())
        idle, begin = server.memory(), time.monotonic()
        # Each batch has the same customers, half of the pool.
        with MemoryWatch(server) as watch:
            recorded, acked = stream_batches(client, template(customers[:SIZE], SIZE), batches)
        seconds = time.monotonic() - begin
        case.note(f"{recorded:,} events in {seconds:.0f} s ({recorded / seconds:,.0f} a second), memory "
                  f"+{watch.peak - idle:.0f} MiB above {idle:.0f}")
        case.expect(acked == batches and recorded == batches * SIZE, f"{recorded:,} of {batches * SIZE:,} recorded")
        case.expect(watch.peak - idle <= GROWTH, f"memory grew by {watch.peak - idle:.0f} MiB, more than {GROWTH}")
        rows = int(case.store.sql(database, "SELECT count(*) FROM interactions WHERE customer_id LIKE 'long-%'"))
        case.expect(rows == batches * SIZE, f"{rows:,} rows are stored")
    case.store.drop(database)


@row("M-large", "a customer with a million interactions")
def large_customer(case):
    database, batches = copy_of_business(case), 10 if case.options.small else 100
    with Server(case, case.store.url(database)) as server, Client(server.address) as client:
        traffic.buyers(case, client)
        stream_batches(client, template(["large"], SIZE), batches)
        request = pb.PredictChurnRequest(customer_id=case.buyers[0])
        client.scoring.PredictChurn(request, timeout=10)
        # A fresh process, so that what the writing took does not hide what the score takes.
        server.kill()
        server.start()
    with server:
        with Client(server.address) as client:
            client.scoring.PredictChurn(request, timeout=10)
            idle, took = server.memory(), []
            with MemoryWatch(server, every=0.005) as watch:
                for _ in range(5):
                    begin = time.monotonic()
                    score = client.scoring.PredictChurn(pb.PredictChurnRequest(customer_id="large", max_reasons=-1), timeout=60)
                    took.append(time.monotonic() - begin)
                alone = watch.peak - idle
                threads = [threading.Thread(target=client.scoring.PredictChurn, args=(
                    pb.PredictChurnRequest(customer_id="large"),)) for _ in range(8)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            counted = {reason.feature: reason.value.number_value for reason in score.reasons}
            case.expect(counted.get("visit.count_ever", batches * SIZE * 0.9) == batches * SIZE * 0.9, "not all are counted")
            case.note(f"scored in {took[0]:.2f} s at first, {min(took):.2f} s at best, memory +{alone:.0f} MiB; "
                      f"eight at once +{watch.peak - idle:.0f} MiB")
            case.expect(took[0] <= 1.0, f"the first score took {took[0]:.1f} s")
            case.expect(alone <= GROWTH, f"memory grew by {alone:.0f} MiB, more than {GROWTH}")
    case.store.drop(database)


@row("M5", "a long time under load: nothing grows")
def long_run(case):
    database, seconds = copy_of_business(case), max(120, 300 * case.options.minutes)
    # The cache of histories is meant to grow, so it is small.
    with Server(case, case.store.url(database), "--cache-mb", "8") as server:
        with Client(server.address) as client:
            traffic.buyers(case, client)
        samples = []
        with traffic.Traffic(case, server.address, "long", [f"long-{n}" for n in range(40)], readers=3, sizes=(1, 20),
                             pause=0.01) as load:
            begin = time.monotonic()
            while time.monotonic() - begin < seconds:
                files = len(list(pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir()))
                samples.append((time.monotonic() - begin, server.memory(), files))
                time.sleep(seconds / 100)
        half = samples[len(samples) // 2:]
        slope = statistics.linear_regression([at for at, _, _ in half], [memory for _, memory, _ in half]).slope * 3_600
        first, last = (quantile(load.outcomes, begin + share * seconds, begin + (share + 0.2) * seconds) for share in (0.1, 0.8))
        growth = half[-1][1] - half[0][1]
        case.note(f"{seconds:.0f} s, {traffic.shown(load.outcomes.codes())}; in the second half memory {growth:+.1f} MiB "
                  f"({slope:+.0f} MiB an hour), files {half[0][2]} to {half[-1][2]}; p99 of scores {first:.1f} ms at first, "
                  f"{last:.1f} ms at last")
        case.expect(set(load.outcomes.codes()) == {"OK"}, "calls failed")
        case.expect(growth <= max(2, seconds / 3_600), f"memory grew by {growth:.1f} MiB")
        case.expect(half[-1][2] <= half[0][2] + 5, "more and more files are open")


def quantile(outcomes, since, until):
    took = sorted(one.end - one.begin for one in outcomes.all if one.call == "score" and since <= one.end < until)
    return took[int((len(took) - 1) * 0.99)] * 1e3


@row("M7", "a log that nobody reads (full pipe)", stores=("SQLite",))
def blocked_log(case):
    database = copy_of_business(case)
    reading, writing = os.pipe()
    server = Server(case, case.store.url(database), log="debug")
    server.stderr = writing
    try:
        with server:
            with Client(server.address) as client:
                traffic.buyers(case, client)
            with traffic.Traffic(case, server.address, "log", ["log-1"], readers=3, pause=0.001) as load:
                time.sleep(10)
            case.note(f"{traffic.shown(load.outcomes.codes())} with a full pipe as the log at debug")
            case.expect(set(load.outcomes.codes()) == {"OK"}, "calls failed")
            case.expect(len(load.outcomes.all) > 2_000, "calls did not go on")
    finally:
        os.close(reading)
        os.close(writing)
