"""The ledger of a client: what it sent and what was acknowledged, and the check of what is stored against it.

Every id is in the file, and the file on the disk, before it is sent; and every acknowledgement is before the next step.
So the file is the truth, whatever is killed.
"""

import collections
import dataclasses
import json
import math
import os
import threading

import grpc

import features
from programs import micros, pb, timestamp


@dataclasses.dataclass(frozen=True)
class Item:
    """An interaction."""

    customer_id: str
    interaction_id: str
    kind: str
    occur: int
    amount: int | None
    channel: str

    def message(self):
        money = {} if self.amount is None else {"amount_minor": self.amount}
        return pb.Interaction(customer_id=self.customer_id, interaction_id=self.interaction_id, kind=self.kind,
                              occur_time=timestamp(self.occur), channel=self.channel, **money)

    @staticmethod
    def stored(message):
        amount = message.amount_minor if message.HasField("amount_minor") else None
        return Item(message.customer_id, message.interaction_id, message.kind, micros(message.occur_time), amount,
                    message.channel)


class Ledger:
    """A file of JSON lines. Each line is on the disk when its call returns."""

    def __init__(self, path):
        self.path, self._lock = path, threading.Lock()
        self._file = path.open("a")

    def write(self, **record):
        with self._lock:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
            os.fdatasync(self._file.fileno())

    def sent(self, batch, items, backfill):
        self.write(sent=batch, backfill=backfill, items=[dataclasses.astuple(item) for item in items])

    def acked(self, batch, response):
        self.write(acked=batch, recorded=response.recorded, duplicates=response.duplicates)

    def read(self):
        """All lines, as they are in the file."""
        with self.path.open() as file:
            return [json.loads(line) for line in file]


def customers_of(client):
    """All customer ids that the service lists."""
    ids, token = [], ""
    while True:
        page = client.customer.ListCustomers(pb.ListCustomersRequest(page_size=1000, page_token=token), timeout=20)
        ids += [customer.customer_id for customer in page.customers]
        token = page.next_page_token
        if not token:
            return ids


def stored_of(client, customer):
    """All interactions of a customer that the service lists; None if it does not know the customer."""
    items, token = [], ""
    while True:
        request = pb.ListInteractionsRequest(customer_id=customer, page_size=1000, page_token=token)
        try:
            page = client.interaction.ListInteractions(request, timeout=20)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND and not token:
                return None
            raise
        items += [Item.stored(message) for message in page.interactions]
        token = page.next_page_token
        if not token:
            return items


def settled(client, customers):
    """All interactions of these customers, once two reads have found the same: a transaction that was in flight when
    its client or its server ended may be committed a moment later."""
    found, before = None, {}
    for _ in range(20):
        found = {customer: stored_of(client, customer) for customer in sorted(customers)}
        if found == before:
            return found
        before = found
    raise TimeoutError("what is stored goes on to change though nobody writes")


class Count:
    """What a check has seen."""

    def __init__(self):
        self.batches = self.acked = self.items = self.stored = self.unacked_stored = self.features = self.customers = 0

    def __add__(self, other):
        both = Count()
        for name in vars(both):
            setattr(both, name, getattr(self, name) + getattr(other, name))
        return both

    def __str__(self):
        return (f"{self.acked:,} of {self.batches:,} batches acknowledged, {self.items:,} interactions in them; "
                f"{self.unacked_stored:,} batches stored without an acknowledgement; {self.features:,} features of "
                f"{self.customers:,} customers recomputed")


def check(case, client, lines, prefix):
    """The ledger check: acked ⊆ stored ⊆ sent, every id once, batches whole or absent, contents and features equal.

    `lines` are those of the ledger; `prefix` is what its customer ids begin with."""
    sent = {line["sent"]: [Item(*item) for item in line["items"]] for line in lines if "sent" in line}
    acked = {line["acked"] for line in lines if "acked" in line}
    count = Count()
    count.batches, count.acked = len(sent), len(acked)
    count.items = sum(len(sent[batch]) for batch in acked)
    for line in lines:
        if "acked" in line:
            size = len(sent[line["acked"]])
            case.expect(line["recorded"] + line["duplicates"] == size, "recorded + duplicates is not what was sent")

    by_id = {(item.customer_id, item.interaction_id): (batch, item) for batch, items in sent.items() for item in items}
    customers = {customer for customer, _ in by_id}
    stored = settled(client, customers)
    known = {customer for customer in customers_of(client) if customer.startswith(prefix)}
    case.expect(known <= customers, "a customer is stored that was never sent")

    present, by_customer = collections.Counter(), {}
    for customer, items in stored.items():
        case.expect((items is not None) == (customer in known), "ListCustomers and ListInteractions do not agree")
        by_customer[customer] = items or []
        ids = [item.interaction_id for item in items or []]
        case.expect(len(ids) == len(set(ids)), "an interaction is listed twice")
        for item in items or []:
            batch, original = by_id.get((customer, item.interaction_id), (None, None))
            if case.expect(original is not None, "an interaction is stored that was never sent"):
                case.expect(item == original, "a stored interaction is not what was sent")
                present[batch] += 1
    for batch, items in sent.items():
        if batch in acked:
            case.expect(present[batch] == len(items), "an acknowledged interaction is missing")
        else:
            count.unacked_stored += present[batch] > 0
            case.expect(present[batch] in (0, len(items)), "a batch is stored in part")
    count.stored = sum(present.values())
    if has_models(client):
        recompute(case, client, by_customer, count)
    return count


def has_models(client):
    models = client.model.ListModels(pb.ListModelsRequest(), timeout=20).models
    return len({model.target for model in models if model.champion}) == 2


def recompute(case, client, by_customer, count):
    """Compares the features of all customers, and what their scores add up to."""
    for customer, items in by_customer.items():
        if not items:
            continue
        bought = any(item.kind == "purchase" for item in items)
        score = features.score_of(client, customer, bought)
        as_of = micros(score.as_of_time)
        compared, different = features.compare(score.reasons, items, as_of)
        count.features += compared
        count.customers += 1
        case.expect(compared >= 5, "fewer than five features could be recomputed")
        for text in different:
            case.expect(False, f"a feature differs from the ledger: {text}")
        # Near 0 and 1 the probability itself says less.
        precision = 1e-9 + 4e-16 / (score.probability * (1 - score.probability))
        odds = math.log(score.probability / (1 - score.probability))
        case.expect(abs(odds - features.log_odds(score)) < precision, "the reasons do not add up to the score")
        insight = client.insight.GetCustomerInsight(pb.GetCustomerInsightRequest(customer_id=customer), timeout=10)
        for text in features.facts(insight, items, micros(insight.as_of_time)):
            case.expect(False, f"a fact differs from the ledger: {text}")
