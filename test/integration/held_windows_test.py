#!/usr/bin/env python3
"""Clients whose HTTP/2 windows hold responses back, or who don't read their sockets, on a hundred connections at once:
what Weir keeps for them is bounded, and others don't notice."""

import pathlib
import re
import threading
import time
import unittest

from harness import PATIENCE_S, WEIR, connect, fetch, until
from h2_client import H2Client, h2
from real_backend import RealBackend

CONNECTIONS = 100
STREAMS = 100
SANITIZED = b"__asan_init" in WEIR.read_bytes()
HELD_MAX = 2 * (16 << 20)  # the default of limits.http2.held_bytes, for each of two workers
GROWTH_MAX = 16 << 20


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(text):
    return bytes([len(text)]) + text.encode()


def get(stream, path):
    # :method GET and :scheme http are indexed, :authority and :path literals that no table remembers.
    return frame(1, 5, stream, b"\x82\x86\x01" + literal("held.example") + b"\x04" + literal(path))


def opening(window):
    settings = frame(4, 0, 0, b"\0\4" + window.to_bytes(4, "big"))
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + frame(8, 0, 0, (1 << 30).to_bytes(4, "big"))


@unittest.skipUnless(h2, "python3-h2 is not installed")
class HeldWindows(RealBackend):
    def resident(self):
        status = pathlib.Path(f"/proc/{self.running.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def abuse(self):
        metrics = fetch(self.running.admin_port, "/metrics").text
        return sum(int(n) for n in re.findall(r'lb_http2_abuse_total\{[^}]*"held_response"[^}]*\} (\d+)', metrics))

    def others(self, done):
        """Asks on and on, over both versions; returns how many answers were right."""
        right = 0
        client = H2Client(self, self.running.port)
        while not done.is_set():
            self.assertEqual(fetch(self.running.port, "/echo").text, "real\n")
            answer = client.answer(client.ask("/bytes?size=100000"))
            self.assertEqual((answer["status"], len(answer["body"]), answer["end"]), (200, 100_000, "end"))
            right += 2
            self.right = right
        return right

    def attack(self, window, streams):
        wires = []
        for _ in range(CONNECTIONS):
            wire = connect(self.running.port)
            self.addCleanup(wire.close)
            wire.send(opening(window) + b"".join(get(2 * i + 1, "/bytes?size=1000000") for i in range(streams)))
            wires.append(wire)
        return wires

    def assert_bounded(self, window, streams=STREAMS, held=HELD_MAX // (10 << 10), growth_max=GROWTH_MAX, others=0):
        self.right = 0
        # What any load makes it take is not the attack's.
        clients = [H2Client(self, self.running.port) for _ in range(8)]
        asked = [(client, client.ask("/bytes?size=100000")) for client in clients for _ in range(50)]
        for client, stream in asked:
            self.assertEqual(client.answer(stream)["status"], 200)
        before = self.resident()
        done = threading.Event()
        outcome = []
        thread = threading.Thread(target=lambda: outcome.append(self.others(done)))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(done.set)
        wires = self.attack(window, streams)
        most = 0

        def settled():
            nonlocal most
            most = max(most, self.resident())
            return self.abuse() + held >= CONNECTIONS * streams

        until(settled, "streams are cut", 4 * PATIENCE_S)
        deadline = time.monotonic() + 1
        until(lambda: settled() and self.right >= others and time.monotonic() > deadline, "more", 4 * PATIENCE_S)
        done.set()
        thread.join(PATIENCE_S)
        self.assertEqual(len(outcome), 1, "others were harmed")
        self.assertGreater(outcome[0], 10)
        if not SANITIZED:  # that one keeps what is freed
            self.assertLessEqual(most - before, growth_max)
        for wire in wires:
            wire.close()

    def test_windows_of_nothing(self):
        self.assert_bounded(0)

    def test_sockets_that_nobody_reads(self):
        # The kernel takes some megabytes of each connection. Forty requests cost what they cost, answered or not.
        requests = CONNECTIONS * 40 * (16 << 10)
        self.assert_bounded(16 << 20, streams=40, held=CONNECTIONS * 40 - 1, growth_max=HELD_MAX + requests, others=12)

    def test_windows_of_a_byte(self):
        self.assert_bounded(1)


if __name__ == "__main__":
    unittest.main()
