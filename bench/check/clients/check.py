"""Starts a demo server, and runs each client against it through a proxy that keeps what is sent.

A client makes the main calls (health, upsert, record, list, scores and their errors, streams, reflection), asserts what
comes back, and exits with 0. That messages were compressed is seen in the bytes, since clients hide it.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
PROTO = HERE.parents[2] / "proto"
GZIP = b"\x1f\x8b\x08"

# How to run a client, and whether it can compress its requests.
CLIENTS = {
    "grpcio": ([sys.executable, "-B", HERE / "grpcio_client.py"], True),
    "grpc-js": (["node", HERE / "grpc_js_client.js"], True),
    "buf": (["bash", HERE / "buf_client.sh"], False),
    "reflection": ([sys.executable, "-B", HERE / "reflection_client.py"], True),
}


class Proxy:
    """Passes connections on to the server and keeps the bytes of each direction."""

    def __init__(self, port):
        self.target = ("127.0.0.1", port)
        self.sent, self.received = bytearray(), bytearray()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.target)
                for source, sink, kept in [(client, server, self.sent), (server, client, self.received)]:
                    threading.Thread(target=copy, args=(source, sink, kept), daemon=True).start()


def copy(source, sink, kept):
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            kept += data
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def server():
    """A demo server; yields its port."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith("TALLY_")}
    command = [pathlib.Path(os.environ["TALLY_BIN"]) / "tally-serve", "--demo", "--demo-customers", "800"]
    command += ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    process = subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield port_of(process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def port_of(process):
    """The port that the server listens on, once the demo is complete."""
    said = []
    for line in process.stdout:
        said.append(line)
        if "listens on 127.0.0.1:" in line:
            # What it says later must not fill the pipe.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return int(line.rsplit(":", 1)[1])
    raise SystemExit("the server did not start:\n" + "".join(said))


def check(name, port):
    """Runs a client; returns what is wrong with it, if anything."""
    command, compresses = CLIENTS[name]
    if not shutil.which(str(command[0])):
        return f"needs {command[0]}, which is not installed"
    proxy = Proxy(port)
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "ADDRESS": proxy.address, "PROTO": str(PROTO), "FOLDER": folder}
        run = subprocess.run([str(part) for part in command], env=environment, timeout=300)
    if run.returncode != 0:
        return f"ended with {run.returncode}"
    if GZIP not in proxy.received:
        return "received nothing compressed"
    if compresses and GZIP not in proxy.sent:
        return "sent nothing compressed"
    return None


def main():
    names = sys.argv[1:] or list(CLIENTS)
    if unknown := set(names) - set(CLIENTS):
        raise SystemExit(f"unknown: {', '.join(unknown)}; allowed are {', '.join(CLIENTS)}")
    with server() as port:
        problems = {name: check(name, port) for name in names}
    for name, problem in problems.items():
        print(f"{name}: {problem or 'passed'}")
    sys.exit(any(problems.values()))


main()
