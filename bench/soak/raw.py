"""A raw HTTP/2 connection: whatever a hostile client may send, frame by frame."""

import contextlib
import socket
import struct
import threading
import time

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_HEADER_LIST_SIZE = 3, 4, 6
CODES = {"0": "OK", "1": "CANCELLED", "2": "UNKNOWN", "3": "INVALID_ARGUMENT", "4": "DEADLINE_EXCEEDED", "5": "NOT_FOUND",
         "8": "RESOURCE_EXHAUSTED", "9": "FAILED_PRECONDITION", "11": "OUT_OF_RANGE", "12": "UNIMPLEMENTED",
         "13": "INTERNAL", "14": "UNAVAILABLE", "16": "UNAUTHENTICATED"}
REASONS = {0: "NO_ERROR", 1: "PROTOCOL_ERROR", 2: "INTERNAL_ERROR", 3: "FLOW_CONTROL_ERROR", 7: "REFUSED_STREAM",
           8: "CANCEL", 9: "COMPRESSION_ERROR", 11: "ENHANCE_YOUR_CALM"}


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def header_block(path, *more, leave=(), replace=()):
    """The headers of a call, so that the same bytes can begin any number of streams: nothing is indexed."""
    headers = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "soak", "te": "trailers",
               "content-type": "application/grpc", **dict(replace)}
    listed = [(name, value, True) for name, value in headers.items() if name not in leave]
    return hpack.Encoder().encode([*listed, *((name, value, True) for name, value in more)])


def message(payload, compressed=0):
    return struct.pack(">BI", compressed, len(payload)) + payload


class Connection:
    """A connection; a thread reads what the server sends and answers what HTTP/2 demands."""

    def __init__(self, address, settings=(), window=1 << 30, reading=True):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server_settings, self.resets, self.statuses, self.responses = {}, {}, {}, {}
        self.goaway, self.closed, self.received, self.next = None, threading.Event(), 0, 1
        # What may be sent on the connection (0), and beyond the initial window on each stream.
        self.room, self.last_stream = {0: 65_535}, 0
        self.reading, self._decoder, self._changed, self._sending = reading, hpack.Decoder(), threading.Condition(), threading.Lock()
        body = b"".join(struct.pack(">HI", name, value) for name, value in settings)
        first = frame(SETTINGS, 0, 0, body) + (frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", window)) if window else b"")
        self.socket.sendall(PREFACE + first)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        stream = self.socket.makefile("rb")
        with contextlib.suppress(OSError, ValueError, struct.error):
            while head := stream.read(9):
                length = int.from_bytes(head[:3], "big")
                payload = stream.read(length)
                with self._changed:
                    self._take(head[3], head[4], struct.unpack(">I", head[5:])[0], payload)
                    self._changed.notify_all()
        self.closed.set()
        with self._changed:
            self._changed.notify_all()

    def _take(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & ACK:
            for place in range(0, len(payload), 6):
                name, value = struct.unpack_from(">HI", payload, place)
                self.server_settings[name] = value
            self.send(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.send(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            # The last of them has the reason, and the last stream that the server has begun.
            self.last_stream, self.goaway = struct.unpack_from(">II", payload)
        elif kind == RST_STREAM:
            self.resets[stream] = struct.unpack(">I", payload)[0]
        elif kind == HEADERS:
            headers = dict((name, value) for name, value in self._decoder.decode(payload, raw=False))
            self.responses.setdefault(stream, {}).update(headers)
            if "grpc-status" in headers or flags & END_STREAM:
                self.statuses[stream] = headers.get("grpc-status", f"HTTP {headers.get(':status')}")
        elif kind == WINDOW_UPDATE:
            self.room[stream] = self.room.get(stream, 0) + struct.unpack(">I", payload)[0]
        elif kind == DATA:
            self.received += len(payload)
            if self.reading and payload:
                self.send(frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", len(payload))))

    def send(self, data):
        """Sends bytes; returns whether the connection takes any."""
        try:
            with self._sending:
                self.socket.sendall(data)
            return True
        except OSError:
            return False

    def stream(self):
        taken = self.next
        self.next += 2
        return taken

    def call(self, path, body, *more, leave=(), replace=(), end=True):
        """Begins a call with a body as it is; returns its stream."""
        stream = self.stream()
        head = frame(HEADERS, END_HEADERS, stream, header_block(path, *more, leave=leave, replace=replace))
        pieces = [body[place:place + 16_000] for place in range(0, len(body), 16_000)] or [b""]
        for place, piece in enumerate(pieces):
            last = end and place == len(pieces) - 1
            if not self._wait_for_room(stream, len(piece)):
                break
            self.send(head + frame(DATA, END_STREAM if last else 0, stream, piece))
            head = b""
        return stream

    def _wait_for_room(self, stream, length, seconds=5):
        """Waits until flow control allows the bytes; False if the stream or the connection ends before."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                initial = self.server_settings.get(INITIAL_WINDOW_SIZE, 65_535)
                if min(self.room[0], initial + self.room.get(stream, 0)) >= length:
                    self.room[0] -= length
                    self.room[stream] = self.room.get(stream, 0) - length
                    return True
                ended = self.closed.is_set() or stream in self.statuses or stream in self.resets
                if ended or time.monotonic() > deadline:
                    return False
                self._changed.wait(0.1)

    def status(self, stream, seconds):
        """The grpc-status of a stream, "RST …", "GOAWAY …", "closed", or "no answer" after the time."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                if stream in self.statuses:
                    return self.statuses[stream]
                if stream in self.resets:
                    return f"RST {REASONS.get(self.resets[stream], self.resets[stream])}"
                if self.closed.is_set():
                    return "closed" if self.goaway is None else f"GOAWAY {REASONS.get(self.goaway, self.goaway)}"
                if not self._changed.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                    return "no answer"

    def outcome(self):
        """How the connection ended, for the tables."""
        if self.goaway is not None:
            return f"GOAWAY {REASONS.get(self.goaway, self.goaway)}"
        return "closed" if self.closed.is_set() else "open"

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
