"""The programs under test and the client of the tests."""

import os
import pathlib
import queue
import signal
import subprocess
import sys
import threading
import time

import cases
import world

# TALLY_BIN names programs that were built elsewhere.
PROGRAMS = pathlib.Path(os.environ.get("TALLY_BIN", world.TALLY))
# Longest time that a start may take, before the test gives up.
PATIENCE = 60


class Server:
    """A tally-serve that can be killed and started again at the same address."""

    def __init__(self, case, url, *options, port=None, name="server", log="warn"):
        self.port = port or world.free_port()
        self.address = f"127.0.0.1:{self.port}"
        http = [] if "--http" in options else ["--http", ""]
        command = [PROGRAMS / "tally-serve", "--database", url, "--listen", self.address, "--log", log, *http, *options]
        self.command = [str(part) for part in command]
        self.log = case.folder / f"{name}.log"
        self.process = None
        # A prefix, such as `prlimit --fsize=…`, and where the log goes, if not into the file.
        self.wrapper, self.stderr = [], None

    def begin(self):
        """Starts it, without waiting."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*self.wrapper, *self.command], stdout=subprocess.PIPE,
                                            stderr=self.stderr or log, text=True)
        return self

    def start(self):
        """Starts it; returns the seconds until it listens."""
        begin = time.monotonic()
        self.begin().wait_until_it_listens()
        return time.monotonic() - begin

    def wait_until_it_listens(self, patience=PATIENCE):
        lines = queue.Queue()
        threading.Thread(target=follow, args=(self.process.stdout, lines), daemon=True).start()
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            try:
                line = lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                break
            if line is None:
                raise cases.Broken(f"the server ended at its start: {self.last_words()}")
            if line.startswith("tally-serve listens on"):
                return
        raise cases.Broken(f"the server did not listen within {patience} s: {self.last_words()}")

    def last_words(self):
        lines = self.log.read_text(errors="replace").splitlines()
        return lines[-1][:200] if lines else "no log line"

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9"""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, patience=60):
        """SIGTERM; returns the seconds until it has ended."""
        begin = time.monotonic()
        self.process.terminate()
        self.process.wait(patience)
        return time.monotonic() - begin

    def memory(self):
        """Its resident memory in MiB."""
        return world.Process(self.process, self.address).memory("VmRSS") / 2**20

    def cpu_seconds(self):
        return world.Process(self.process, self.address).cpu_seconds()

    def __enter__(self):
        if not self.running():
            self.start()
        return self

    def __exit__(self, *_):
        if self.running():
            self.process.kill()
            self.process.wait()


def follow(stream, lines):
    for line in stream:
        lines.put(line)
    lines.put(None)


class MemoryWatch(threading.Thread):
    """Follows the resident memory of a server; `peak` in MiB."""

    def __init__(self, server, every=0.05):
        super().__init__(daemon=True)
        self.server, self.every, self.peak, self._over = server, every, 0.0, threading.Event()

    def run(self):
        while not self._over.wait(self.every):
            try:
                self.peak = max(self.peak, self.server.memory())
            except (FileNotFoundError, IndexError, ProcessLookupError):
                pass

    def __enter__(self):
        self.peak = self.server.memory()
        self.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self.join()


# -- the client ------------------------------------------------------------------------------------------


def generate_stubs(folder):
    """Generates the classes of the contract, so that the tests know no other than the present one."""
    import grpc_tools
    from grpc_tools import protoc

    proto, health = world.ROOT / "proto", world.ROOT / "bench/check/clients"
    folder.mkdir(parents=True, exist_ok=True)
    sources = [*sorted((proto / "tally/v1").glob("*.proto")), *sorted((proto / "google/rpc").glob("*.proto")),
               health / "health.proto"]
    well_known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    options = [f"-I{proto}", f"-I{health}", f"-I{well_known}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main(["protoc", *options, *map(str, sources)]) != 0:
        raise SystemExit("protoc refused the contract")
    sys.path.insert(0, str(folder))
    for service in ("customer", "interaction", "scoring", "prediction", "model", "insight"):
        module = __import__(f"tally.v1.{service}_pb2_grpc", fromlist=["_"])
        STUBS[service] = getattr(module, f"{service.capitalize()}ServiceStub")
    for file in sources:
        if file.parent.name == "v1":
            exported(__import__(f"tally.v1.{file.stem}_pb2", fromlist=["_"]))
    exported(__import__("health_pb2"))
    exported(__import__("google.rpc.error_details_pb2", fromlist=["_"]))
    exported(__import__("google.rpc.status_pb2", fromlist=["_"]))
    STUBS["health"] = __import__("health_pb2_grpc").HealthStub


class Messages:
    """The messages and enum values of the contract, by name."""


pb = Messages()
STUBS = {}


def exported(module):
    for name in dir(module):
        if not name.startswith("_"):
            setattr(pb, name, getattr(module, name))


class Client:
    """A connection of its own to a server."""

    def __init__(self, address, *options):
        import grpc

        # `min_reconnect_backoff_ms` is also the time that an attempt to connect has.
        usual = {"grpc.initial_reconnect_backoff_ms": 20, "grpc.min_reconnect_backoff_ms": 5_000,
                 "grpc.max_reconnect_backoff_ms": 100, "grpc.max_receive_message_length": 64 << 20,
                 "grpc.use_local_subchannel_pool": 1, "grpc.enable_retries": 0}
        self.channel = grpc.insecure_channel(address, options=list({**usual, **dict(options)}.items()))
        for service, stub in STUBS.items():
            setattr(self, service, stub(self.channel))

    def close(self):
        self.channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def tally(address, *arguments):
    """Runs the `tally` command; returns its output."""
    return world.run(PROGRAMS / "tally", "--json", "--server", f"http://{address}", *arguments)


def details(error):
    """The `google.rpc` details of an error, by the name of their type."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = pb.Status.FromString(value)
            return {detail.type_url.rpartition(".")[2]: detail for detail in status.details}
    return {}


def timestamp(micros):
    from google.protobuf.timestamp_pb2 import Timestamp

    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1_000)


def micros(time):
    return time.seconds * 1_000_000 + time.nanos // 1_000


def now():
    return time.time_ns() // 1_000
