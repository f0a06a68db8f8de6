"""G7 and I: PostgreSQL is restarted, killed, hung, cut off, full of connections or read-only, under load."""

import contextlib
import signal
import subprocess
import threading
import time

import ledger
import traffic
import world
from cases import row
from databases import Proxy, copy_of_business
from programs import Client, MemoryWatch, Server, pb
from traffic import Traffic, shown, wait_until

POSTGRES = ("PostgreSQL",)
CALLS = ["write", "stream", "score"]
END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'soak'"


def under_fault(case, fault, recovery, url=None, allowed=("UNAVAILABLE",), memory=None):
    """Runs traffic, does something to the database, undoes it, and judges what the clients saw.

    `fault(case)` returns when the database should be well again. `recovery` is the longest time until no call fails
    any more, in seconds."""
    database = copy_of_business(case)
    with Server(case, url(database) if url else case.store.url(database), "--http", f"127.0.0.1:{world.free_port()}") as server:
        ready = f"http://{server.command[server.command.index('--http') + 1]}/readyz"
        with Client(server.address) as client:
            traffic.buyers(case, client)
        customers = [f"fault-{n}" for n in range(40)]
        with MemoryWatch(server) as watch, Traffic(case, server.address, "fault", customers, readers=2, pause=0.01) as load:
            time.sleep(1.5)
            before, idle = load.outcomes.codes(), watch.peak
            begin = time.monotonic()
            readiness = threading.Thread(target=case_readiness, args=(case, ready, begin))
            readiness.start()
            fault(case)
            end = time.monotonic()
            wait_until("recovery", lambda: load.outcomes.recovered(end, CALLS) is not None, 30)
            time.sleep(max(2.0, recovery))
            back = load.outcomes.recovered(end, CALLS)
            case.over = True
            readiness.join()
        case.expect(set(before) == {"OK"}, f"calls failed before the fault: {shown(before)}")
        during = load.outcomes.codes(since=begin)
        case.note(f"{end - begin:.1f} s of fault: {shown(during)}")
        failed = set(during) - {"OK"}
        case.expect(failed <= set(allowed), f"calls ended with {', '.join(sorted(failed - set(allowed)))}: "
                    + "; ".join(text[:80] for code in failed - set(allowed) for text in load.outcomes.texts(code)))
        case.expect(back is not None, "calls still fail 30 s after the fault")
        if back is not None:
            case.note(f"no failure later than {back:.2f} s after it")
            case.expect(back <= recovery, f"recovered after {back:.1f} s, more than {recovery:g} s")
        longest = max((one.end - one.begin for one in load.outcomes.all if one.call in ("write", "score")), default=0)
        case.note(f"longest call {longest:.1f} s")
        case.expect(longest <= traffic.TIMEOUT + 0.5, "a call outlived its deadline")
        if memory:
            case.note(f"memory +{watch.peak - idle:.0f} MiB")
            case.expect(watch.peak - idle <= memory, f"memory grew by more than {memory} MiB")
        case.expect(server.running(), "the server has ended")
        if back is None:
            # What is stored must be right all the same.
            server.kill()
            server.start()
        with Client(server.address) as client:
            count = ledger.check(case, client, load.ledger.read(), "fault-")
        case.note(str(count))
        left = case.store.leftovers(database)
        case.expect(left == 0, f"{left} transactions are left open")


def case_readiness(case, url, begin):
    """Follows /readyz; keeps how long after the fault it first said no, and when it last changed to yes."""
    import urllib.error
    import urllib.request

    case.over, case.unready = False, None
    while not case.over:
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except (urllib.error.URLError, OSError):
            case.unready = case.unready or time.monotonic() - begin
        time.sleep(0.05)


def ready_within(case, seconds):
    if case.expect(case.unready is not None, "/readyz never said 503"):
        case.note(f"/readyz 503 after {case.unready:.1f} s")
        case.expect(case.unready <= seconds, f"/readyz took more than {seconds:g} s to say 503")


@row("G7", "kill -9 of PostgreSQL's postmaster under load", stores=POSTGRES)
def postmaster(case):
    def fault(case):
        case.store.kill_postmaster()
        time.sleep(1)
        case.store.start_again()

    under_fault(case, fault, recovery=5)


@row("I1", "PostgreSQL restarted (fast) under load", stores=POSTGRES)
def restart(case):
    def fault(case):
        case.store.pg_ctl("stop", "-m", "fast")
        case.store.start_again()

    under_fault(case, fault, recovery=2)


@row("I2", "PostgreSQL stopped (immediate) and started later", stores=POSTGRES)
def stopped(case):
    def fault(case):
        case.store.pg_ctl("stop", "-m", "immediate")
        time.sleep(max(5, 30 * min(1, case.options.minutes)))
        case.store.start_again()

    under_fault(case, fault, recovery=2)
    ready_within(case, 2.5)


@row("I3", "PostgreSQL hangs (SIGSTOP)", stores=POSTGRES)
def hung(case):
    def fault(case):
        case.store.signal_all(signal.SIGSTOP)
        try:
            time.sleep(max(12, 60 * min(1, case.options.minutes)))
        finally:
            case.store.signal_all(signal.SIGCONT)

    under_fault(case, fault, recovery=2, allowed=("UNAVAILABLE", "DEADLINE_EXCEEDED"), memory=50)
    ready_within(case, 10)


@row("I4", "PostgreSQL cut off: packets vanish", stores=POSTGRES)
def cut_off(case):
    proxy = Proxy(("127.0.0.1", case.store.port))

    def fault(case):
        proxy.swallow()
        time.sleep(15)
        # The connections of that time stay dead, as behind a firewall that has forgotten them.
        proxy.carry_new_ones()

    with contextlib.closing(proxy):
        under_fault(case, fault, recovery=10, url=lambda name: case.store.tcp_url(name, proxy.port),
                    allowed=("UNAVAILABLE", "DEADLINE_EXCEEDED"), memory=50)
    ready_within(case, 10)


@row("I6", "PostgreSQL out of connections (53300)", stores=POSTGRES)
def connections(case):
    # A role that owns what postgres owns. Limits of connections do not bind a superuser.
    case.store.psql("postgres", "DROP ROLE IF EXISTS limited; CREATE ROLE limited LOGIN IN ROLE postgres")

    def fault(case):
        case.store.psql("postgres", "ALTER ROLE limited CONNECTION LIMIT 0")
        case.store.psql("postgres", END_SESSIONS)
        time.sleep(4)
        case.store.psql("postgres", "ALTER ROLE limited CONNECTION LIMIT -1")

    under_fault(case, fault, recovery=2, url=lambda name: case.store.url(name, "limited"))


def interrupt(psql):
    """Ends a psql as Ctrl-C does: the server cancels its statement. Killed, it would leave the statement running."""
    psql.send_signal(signal.SIGINT)
    psql.wait()


@row("I9", "PostgreSQL read-only, as after a failover", stores=POSTGRES)
def read_only(case):
    def fault(case):
        case.store.psql("postgres", "ALTER DATABASE soak SET default_transaction_read_only = on")
        case.store.psql("postgres", END_SESSIONS)
        time.sleep(3)
        case.store.psql("postgres", "ALTER DATABASE soak RESET default_transaction_read_only")
        # Sessions keep the setting that they began with: whoever fails over again ends them.
        case.store.psql("postgres", END_SESSIONS)

    under_fault(case, fault, recovery=2)


@row("F9", "all connections of PostgreSQL busy in locks", stores=POSTGRES)
def locked(case):
    database = copy_of_business(case)
    with Server(case, case.store.url(database), "--cache-mb", "0") as server, Client(server.address) as client:
        buyers = traffic.buyers(case, client)[:100]
        lock = subprocess.Popen(case.store.client("psql", "-d", database, "-c", "BEGIN; LOCK TABLE interactions, "
                                                  "packed_histories, customers; SELECT pg_sleep(8)"),
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        outcomes = traffic.Outcomes()
        calls = [("score", client.scoring.PredictChurn, pb.PredictChurnRequest(customer_id=buyer)) for buyer in buyers]
        for n in range(100):
            items = traffic.batch(case.random, f"lock{n}", [f"locked-{n}"], 5)
            request = pb.RecordInteractionsRequest(interactions=[item.message() for item in items])
            calls.append(("write", client.interaction.RecordInteractions, request))
        threads = [threading.Thread(target=outcomes.call, args=call) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        interrupt(lock)
        for call in ("score", "write"):
            case.note(f"100 calls of {call}: {shown(outcomes.codes(call=call))}")
        refused = [one.end - one.begin for one in outcomes.all if one.code in ("UNAVAILABLE", "RESOURCE_EXHAUSTED")]
        case.expect(set(outcomes.codes()) <= {"OK", "UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"},
                    "calls ended with another code")
        if case.expect(refused, "no call was refused while all connections were busy"):
            case.note(f"refused within {min(refused):.1f} to {max(refused):.1f} s")
            case.expect(min(refused) <= 1.0, f"the first refusal took {min(refused):.1f} s, more than 1 s")
        back = wait_until("scores", lambda: outcomes.call("after", *calls[0][1:]) is not None, 20)
        case.expect(back is not None and back <= 2, "scores did not come back within 2 s")
