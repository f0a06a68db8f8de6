"""Kills during the insight pass, the publication of the worklist, and erasure."""

import threading
import time

import grpc

import ledger as ledgers
import programs
import traffic
from cases import row
from databases import copy_of_business
from ledger import Ledger
from programs import Client, Server, micros, pb, timestamp


@row("G-pass", "kill -9 during the pass of insight")
def insight_pass(case):
    store, database = case.store, copy_of_business(case)
    complete = 0
    with Server(case, store.url(database)) as server:
        with Client(server.address) as client:
            customers = len(ledgers.customers_of(client))
            for _ in range(2):
                begin = time.monotonic()
                refresh(server.address, programs.now(), Ledger(case.folder / "ledger.jsonl"))
                # The first one also computes what later ones find.
                whole = time.monotonic() - begin
            last = last_pass(client)
        for kill in range(case.options.kills):
            as_of, ledger = programs.now(), Ledger(case.folder / f"ledger-{kill}.jsonl")
            thread = threading.Thread(target=refresh, args=(server.address, as_of, ledger))
            thread.start()
            # The pass of a server that has just started takes longer.
            time.sleep(case.random.uniform(0.0, 2.0) * whole)
            server.kill()
            thread.join()
            server.start()
            acked = any("acked" in line for line in ledger.read())
            with Client(server.address) as client:
                found, total = last_pass(client)
                if acked:
                    case.expect(found == as_of, "a pass that was acknowledged is not the latest")
                case.expect(found in (as_of, last[0]), "the latest pass is neither the new nor the old one")
                case.expect(total == customers, f"the latest pass has {total} customers of {customers}")
                complete += found == as_of
                last = (found, total)
    case.note(f"{case.options.kills} kills in a pass of {whole:.2f} s over {customers:,} customers; {complete} passes were "
              "complete before, the others left the earlier one in place, whole")


def refresh(address, as_of, ledger):
    with Client(address) as client:
        ledger.write(sent=as_of)
        try:
            for _ in client.insight.RefreshInsights(pb.RefreshInsightsRequest(as_of_time=timestamp(as_of)), timeout=60):
                pass
            ledger.write(acked=as_of)
        except grpc.RpcError as error:
            ledger.write(failed=error.code().name)


def last_pass(client):
    """The moment of the latest pass and the number of its customers."""
    response = client.insight.ListSegments(pb.ListSegmentsRequest(segmentation="life_cycle"), timeout=20)
    return micros(response.as_of_time), sum(segment.customers for segment in response.segments)


@row("G-worklist", "kill -9 during the publication of the worklist")
def worklist(case):
    store = case.store
    whole, absent = 0, 0
    for kill in range(max(6, case.options.kills // 3)):
        database, ledger = copy_of_business(case), Ledger(case.folder / f"ledger-{kill}.jsonl")
        with Server(case, store.url(database)) as server:
            with Client(server.address) as client:
                items = client.insight.ListWorklist(pb.ListWorklistRequest(include_held_out=True), timeout=20).total_size
            thread = threading.Thread(target=publish, args=(server.address, ledger))
            thread.start()
            time.sleep(case.random.uniform(0.0, 0.06))
            server.kill()
            thread.join()
            server.start()
            acked = [line for line in ledger.read() if "acked" in line]
            with Client(server.address) as client:
                again = client.insight.PublishWorklist(pb.PublishWorklistRequest(), timeout=20)
                third = client.insight.PublishWorklist(pb.PublishWorklistRequest(), timeout=20)
            case.expect(third.published == 0, "an item is published twice")
            case.expect(again.published + again.still_open == items, f"{again.published} published and "
                        f"{again.still_open} open of {items} items")
            # What was open before the first publication is open in any case.
            before = acked[0]["open"] if acked else None
            if acked:
                case.expect(again.published == 0, "an acknowledged publication is missing")
            case.expect(again.published in (0, items - (before or again.still_open)), "a worklist is published in part")
            whole, absent = whole + (again.published == 0), absent + (again.published > 0)
    case.note(f"{whole + absent} kills of a list of {items} items: {whole} lists published whole, {absent} not at all")


def publish(address, ledger):
    with Client(address) as client:
        ledger.write(sent="worklist")
        try:
            response = client.insight.PublishWorklist(pb.PublishWorklistRequest(), timeout=20)
            ledger.write(acked="worklist", published=response.published, open=response.still_open)
        except grpc.RpcError as error:
            ledger.write(failed=error.code().name)


@row("G-erase", "kill -9 during erasure")
def erasure(case):
    store, database = case.store, copy_of_business(case)
    gone = kept = acknowledged = 0
    erased = []
    with Server(case, store.url(database)) as server:
        for kill in range(case.options.kills):
            customers = [f"erase{kill}-{n}" for n in range(8)]
            ledger = Ledger(case.folder / f"ledger-{kill}.jsonl")
            with Client(server.address) as client:
                sizes = fill(case, client, customers)
            thread = threading.Thread(target=erase, args=(server.address, customers, ledger))
            thread.start()
            time.sleep(case.random.uniform(0.0, 0.06))
            server.kill()
            thread.join()
            server.start()
            acked = {line["acked"] for line in ledger.read() if "acked" in line}
            acknowledged += len(acked)
            with Client(server.address) as client:
                for customer in customers:
                    items = ledgers.stored_of(client, customer)
                    if items is None:
                        gone += 1
                        erased.append(customer)
                    else:
                        kept += 1
                        case.expect(customer not in acked, "an erased customer is still there")
                        case.expect(len(items) == sizes[customer], "a customer is erased in part")
        left = rows_about(store, database, erased)
        case.expect(not left, f"rows of erased customers are left in {left}")
        server.stop()
        store.settle(database)
        content = store.content(database)
        traces = [customer for customer in erased if customer.encode() in content]
        case.expect(not traces, f"the ids of {len(traces)} of {len(erased)} erased customers are found in the "
                    "database's files")
    case.note(f"{case.options.kills} kills: {acknowledged} erasures acknowledged, {gone} customers gone, {kept} whole")


def fill(case, client, customers):
    items = traffic.batch(case.random, "i", customers, 400)
    request = pb.RecordInteractionsRequest(interactions=[item.message() for item in items], backfill=True)
    client.interaction.RecordInteractions(request, timeout=20)
    client.scoring.BatchPredictChurn(pb.BatchPredictChurnRequest(customer_ids=customers, persist=True), timeout=20)
    return {customer: sum(item.customer_id == customer for item in items) for customer in customers}


def erase(address, customers, ledger):
    with Client(address) as client:
        for customer in customers:
            ledger.write(sent=customer)
            try:
                client.customer.DeleteCustomer(pb.DeleteCustomerRequest(customer_id=customer), timeout=20)
                ledger.write(acked=customer)
            except grpc.RpcError as error:
                ledger.write(failed=error.code().name)
                return


def rows_about(store, database, customers):
    """The tables with rows of any of these customers."""
    listed, found = ", ".join(f"'{customer}'" for customer in customers), []
    for table in store.tables(database):
        column = ("SELECT count(*) FROM pragma_table_info('{}') WHERE name = 'customer_id'" if store.NAME == "SQLite" else
                  "SELECT count(*) FROM information_schema.columns WHERE table_name = '{}' AND column_name = 'customer_id'")
        if listed and int(store.sql(database, column.format(table))):
            if int(store.sql(database, f"SELECT count(*) FROM {table} WHERE customer_id IN ({listed})")):
                found.append(table)
    return found
