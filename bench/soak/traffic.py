"""Clients that write and score while something is done to the server, and what they saw."""

import collections
import queue
import threading
import time

import grpc

import ledger
import programs
from ledger import Item
from programs import Client, pb

KINDS = ["purchase", "purchase", "visit", "visit", "email", "call", "return", "complaint", "resolution"]
CHANNELS = ["web", "shop", "phone", ""]
# Longest time that a call may take before its client gives it up.
TIMEOUT = 10


def batch(random, name, customers, size):
    """Interactions of the last year; their ids begin with the name of the batch."""
    now = programs.now()
    items = []
    for number in range(size):
        kind = random.choice(KINDS)
        money = random.randrange(0, 50_000) if kind in ("purchase", "return") and random.random() < 0.9 else None
        occur = now - random.randrange(1_000_000, 400 * 86_400_000_000)
        items.append(Item(random.choice(customers), f"{name}-{number}", kind, occur, money, random.choice(CHANNELS)))
    return items


class Outcome:
    """How a call ended."""

    def __init__(self, call, code, begin, end, text="", retry=False):
        self.call, self.code, self.begin, self.end, self.text, self.retry = call, code, begin, end, text, retry


class Outcomes:
    """How all calls ended, in the order of their ends."""

    def __init__(self):
        self._lock, self.all = threading.Lock(), []

    def call(self, name, function, request, timeout=TIMEOUT):
        """Makes a call and notes how it ended; returns its response, or None."""
        begin = time.monotonic()
        try:
            response = function(request, timeout=timeout)
            self.note(name, "OK", begin)
            return response
        except grpc.RpcError as error:
            self.note(name, error.code().name, begin, error.details() or "", "RetryInfo" in str(programs.details(error)))
            return None

    def note(self, name, code, begin, text="", retry=False):
        with self._lock:
            self.all.append(Outcome(name, code, begin, time.monotonic(), text, retry))

    def codes(self, since=0.0, until=float("inf"), call=None):
        """The number of calls by code, of those that ended within a time."""
        return collections.Counter(one.code for one in self.all
                                   if since <= one.end < until and call in (None, one.call))

    def texts(self, code):
        return collections.Counter(one.text for one in self.all if one.code == code)

    def recovered(self, since, calls):
        """The seconds from `since` until the last failure of any of these calls; None if one has not succeeded after."""
        latest = 0.0
        for call in calls:
            ended = [one for one in self.all if one.call == call and one.end >= since]
            failed = [one.end for one in ended if one.code != "OK"]
            last = max(failed, default=since)
            if not any(one.code == "OK" and one.end > last for one in ended):
                return None
            latest = max(latest, last - since)
        return latest


def shown(codes):
    return ", ".join(f"{code} {number:,}" for code, number in sorted(codes.items())) or "none"


class Traffic:
    """Writers and readers on a server; they go on after every error, until the block ends."""

    def __init__(self, case, address, name, customers, writers=2, streams=1, readers=0, keep=0.8, sizes=(1, 120),
                 pause=0.0):
        self.case, self.address, self.customers = case, address, customers
        self.name, self.keep, self.sizes, self.pause = name, keep, sizes, pause
        self.ledger = ledger.Ledger(case.folder / f"ledger-{name}.jsonl")
        self.outcomes = Outcomes()
        self.over, self.calls = threading.Event(), {}
        self.threads = [threading.Thread(target=self._write, args=(n,)) for n in range(writers)]
        self.threads += [threading.Thread(target=self._stream, args=(n,)) for n in range(streams)]
        self.threads += [threading.Thread(target=self._read, args=(n,)) for n in range(readers)]

    def _batches(self, worker):
        """Batches of one worker, each with whether it is backfilled, in the order of its seed."""
        import random

        own = random.Random(f"{self.case.options.seed} {self.case.name} {self.name} {worker}")
        number = 0
        while not self.over.is_set():
            name = f"{worker}-{number}"
            items = batch(own, name, self.customers, own.randint(*self.sizes))
            yield name, items, own.random() < 0.5, own
            number += 1

    def _write(self, n):
        """Sends batch after batch. One that fails is mostly sent again until it is acknowledged, as clients do."""
        with Client(self.address) as client:
            for name, items, backfill, own in self._batches(f"w{n}"):
                self.ledger.sent(name, items, backfill)
                request = pb.RecordInteractionsRequest(interactions=[i.message() for i in items], backfill=backfill)
                again = own.random() < self.keep
                while True:
                    response = self.outcomes.call("write", client.interaction.RecordInteractions, request)
                    if response is not None:
                        self.ledger.acked(name, response)
                        break
                    self.over.wait(0.02)
                    if not again or self.over.is_set():
                        break
                self.over.wait(self.pause)

    def _stream(self, n):
        """Keeps a stream with four batches in flight. When it breaks, what was in flight is sent again on a new one."""
        with Client(self.address) as client:
            source, waiting = self._batches(f"s{n}"), collections.deque()
            while not self.over.is_set():
                outbox, begin = queue.Queue(), time.monotonic()
                responses = self.calls[n] = client.interaction.StreamInteractions(requests(outbox))
                for entry in waiting:
                    outbox.put(entry)
                try:
                    while len(waiting) < 4:
                        self._enqueue(source, waiting, outbox)
                    for response in responses:
                        name, *_ = waiting.popleft()
                        self.ledger.acked(name, response)
                        self.outcomes.note("stream", "OK", begin)
                        begin = time.monotonic()
                        self.over.wait(self.pause)
                        if self.over.is_set():
                            break
                        self._enqueue(source, waiting, outbox)
                except grpc.RpcError as error:
                    if not self.over.is_set():
                        self.outcomes.note("stream", error.code().name, begin, error.details() or "")
                    self.over.wait(0.02)
                except StopIteration:
                    pass
                finally:
                    outbox.put(None)

    def _enqueue(self, source, waiting, outbox):
        name, items, backfill, _ = next(source)
        self.ledger.sent(name, items, backfill)
        request = pb.RecordInteractionsRequest(interactions=[item.message() for item in items], backfill=backfill)
        waiting.append((name, request))
        outbox.put((name, request))

    def _read(self, n):
        """Scores customers of the business, one by one."""
        import random

        own = random.Random(f"{self.case.options.seed} {self.name} reader {n}")
        with Client(self.address) as client:
            while not self.over.is_set():
                customer = own.choice(self.case.buyers)
                request = pb.PredictChurnRequest(customer_id=customer)
                if self.outcomes.call("score", client.scoring.PredictChurn, request) is None:
                    self.over.wait(0.02)
                self.over.wait(self.pause or 0.002)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for call in self.calls.values():
            call.cancel()
        for thread in self.threads:
            thread.join(30)
            self.case.expect(not thread.is_alive(), "a call did not end within 30 s")


def requests(outbox):
    while (entry := outbox.get()) is not None:
        yield entry[1]


def buyers(case, client, most=200):
    """Customers of the business that churn scores are about; kept in `case.buyers`."""
    request = pb.ListPredictionsRequest(target=pb.TARGET_CHURN, page_size=most)
    case.buyers = [score.customer_id for score in client.prediction.ListPredictions(request, timeout=20).predictions]
    return case.buyers


def wait_until(what, holds, seconds):
    """Waits until it holds; returns the seconds it took, or None after the time."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        if holds():
            return time.monotonic() - begin
        time.sleep(0.01)
    return None
