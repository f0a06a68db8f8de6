"""A: what clients send twice, at once, or not to the end."""

import threading
import time

import grpc

import ledger as ledgers
import traffic
from cases import row
from databases import Proxy, copy_of_business
from ledger import Ledger
from programs import Client, Server, pb
from traffic import shown


@row("A16", "the same batch eight times at once")
def repeated(case):
    with Server(case, case.store.url(copy_of_business(case))) as server:
        send_to_all(case, [server.address] * 8)


@row("L1", "the same batches to two servers at once")
def two_servers(case):
    url = case.store.url(copy_of_business(case))
    with Server(case, url) as one, Server(case, url, name="other") as two:
        send_to_all(case, [one.address, two.address] * 4)


def send_to_all(case, addresses):
    """Sends each of many batches to all addresses at once."""
    rounds, sent, recorded = max(10, case.options.kills), 0, 0
    ledger, clients = Ledger(case.folder / "ledger.jsonl"), [Client(address) for address in addresses]
    try:
        outcomes = traffic.Outcomes()
        for number in range(rounds):
            items = traffic.batch(case.random, f"a{number}", [f"twice-{n}" for n in range(5)], case.random.randint(1, 500))
            ledger.sent(f"a{number}", items, False)
            request = pb.RecordInteractionsRequest(interactions=[item.message() for item in items])
            responses = []
            threads = [threading.Thread(target=lambda client=client: responses.append(
                outcomes.call("write", client.interaction.RecordInteractions, request))) for client in clients]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            answered = [response for response in responses if response is not None]
            if answered:
                ledger.acked(f"a{number}", answered[0])
            sent += len(items)
            recorded += sum(response.recorded for response in answered)
            case.expect(all(one.recorded + one.duplicates == len(items) for one in answered),
                        "recorded + duplicates is not what was sent")
        case.expect(set(outcomes.codes()) == {"OK"}, f"calls ended with {shown(outcomes.codes())}")
        case.expect(recorded == sent, f"{recorded} were counted as recorded of {sent}")
        case.note(f"{rounds} batches of {sent:,} interactions, each sent 8 times: {recorded:,} recorded")
        case.note(str(ledgers.check(case, clients[0], ledger.read(), "twice-")))
    finally:
        for client in clients:
            client.close()


@row("A21", "a stream of writes that is cut half-way")
def cut(case):
    database = copy_of_business(case)
    with Server(case, case.store.url(database)) as server, Client(server.address) as client:
        proxy = Proxy(("127.0.0.1", server.port))
        with traffic.Traffic(case, f"127.0.0.1:{proxy.port}", "cut", [f"cut-{n}" for n in range(30)], writers=1,
                             streams=3) as load:
            for _ in range(case.options.kills):
                time.sleep(case.random.uniform(0.02, 0.2))
                proxy.cut()
        proxy.close()
        case.note(f"{case.options.kills} cuts: {shown(load.outcomes.codes())}")
        # What had been begun ends by itself.
        left = traffic.wait_until("ended transactions", lambda: case.store.leftovers(database) == 0, 5)
        case.expect(left is not None, "a transaction stays open")
        case.note(str(ledgers.check(case, client, load.ledger.read(), "cut-")))


@row("A20", "messages above the limit, and a length of 2 GiB")
def too_large(case):
    database = copy_of_business(case)
    with Server(case, case.store.url(database)) as server, Client(server.address) as client:
        idle = server.memory()
        text = "x" * 1_000
        items = [pb.Interaction(customer_id="large", interaction_id=f"{n}", kind="visit", properties={"p": text})
                 for n in range(4_100)]
        try:
            client.interaction.RecordInteractions(pb.RecordInteractionsRequest(interactions=items), timeout=20)
            case.expect(False, "a message above the limit was taken")
        except grpc.RpcError as error:
            case.note(f"4.2 MB: {error.code().name} ({error.details()})")
            case.expect(error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, f"4.2 MB: {error.code().name}")
        import raw

        with raw.Connection(server.address) as connection:
            stream = connection.call("/tally.v1.InteractionService/RecordInteractions", b"\0\x7f\xff\xff\xff" + b"\0" * 1_000)
            status = connection.status(stream, 5)
            case.note(f"2 GiB: {raw.CODES.get(status, status)}")
            case.expect(status == "8", f"a length of 2 GiB: status {raw.CODES.get(status, status)}")
        case.expect(server.memory() - idle < 20, f"memory grew by {server.memory() - idle:.0f} MiB")
        case.expect(ledgers.stored_of(client, "large") is None, "something was stored")
