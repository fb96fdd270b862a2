#!/usr/bin/env python3
"""A client that others wrote, weir-backend behind it, and WebSockets."""

import hashlib
import os
import re
import shutil
import struct
import unittest

from harness import WEBSOCKET, Case, config_for, free_port, ok, render, until
from real_backend import RealBackend


def frame(text, mask=b"abcd"):
    """A text frame of a WebSocket client."""
    data = text.encode()
    return b"\x81" + bytes([0x80 | len(data)]) + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))


@unittest.skipUnless(shutil.which("curl"), "curl is not installed")
class Curl(RealBackend):
    def curl(self, *arguments, **options):
        quietly = ["--noproxy", "*", "--silent", "--show-error", "--max-time", "30"]
        return self.call("curl", *quietly, *arguments, **options)

    def test_get_head_and_status(self):
        self.assertEqual(self.curl(f"{self.url}/echo").strip(), b"real")
        head = self.curl("--head", f"{self.url}/bytes?size=1000").decode()
        self.assertRegex(head, r"^HTTP/1\.1 200 OK\r\n")
        self.assertRegex(head.lower(), r"\r\ncontent-length: 1000\r\n")
        self.assertEqual(self.curl("-o", "/dev/null", "-w", "%{http_code}", f"{self.url}/nothing"), b"404")

    def test_post_and_chunked_upload(self):
        self.assertEqual(self.curl("-d", "hello", f"{self.url}/echo"), b"hello")
        self.assertEqual(self.curl("-H", "Transfer-Encoding: chunked", "-d", "hello", f"{self.url}/echo"), b"hello")
        data = os.urandom(3 << 20)
        self.assertEqual(self.curl("-T", "-", "-X", "POST", f"{self.url}/echo", stdin=data), data)

    def test_expect_100_continue(self):
        trace = self.scratch / "trace"
        (self.scratch / "body").write_bytes(b"x" * 5000)
        got = self.curl(
            "-H",
            "Expect: 100-continue",
            "--expect100-timeout",
            "20",
            "--data-binary",
            f"@{self.scratch}/body",
            "--trace-ascii",
            str(trace),
            f"{self.url}/echo",
        )
        self.assertEqual(got, b"x" * 5000)
        self.assertIn("HTTP/1.1 100 Continue", trace.read_text())

    def test_http_1_0(self):
        trace = self.scratch / "trace"
        got = self.curl("--http1.0", "--trace-ascii", str(trace), f"{self.url}/bytes?size=100000")
        self.assertEqual(len(got), 100000)
        self.assertNotIn("transfer-encoding", trace.read_text().lower())
        self.assertEqual(self.curl("--http1.0", "-H", "Connection: keep-alive", "-d", "x", f"{self.url}/echo"), b"x")

    def test_keep_alive_uses_one_connection(self):
        marks = self.curl(
            "-o", "/dev/null", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects} ", *[f"{self.url}/echo"] * 3
        )
        self.assertEqual(marks, b"1 0 0 ")

    def test_big_bodies_arrive_unchanged_both_ways(self):
        size = 20 << 20
        direct = self.curl(f"http://127.0.0.1:{self.backend_port}/bytes?size={size}")
        through = self.curl(f"{self.url}/bytes?size={size}")
        self.assertEqual(len(through), size)
        self.assertEqual(hashlib.sha256(through).digest(), hashlib.sha256(direct).digest())
        path = self.scratch / "body"
        path.write_bytes(os.urandom(size))
        echoed = self.curl("--data-binary", f"@{path}", f"{self.url}/echo")
        self.assertEqual(hashlib.sha256(echoed).digest(), hashlib.sha256(path.read_bytes()).digest())

    def test_hash(self):
        self.assertRegex(self.curl(f"{self.url}/hash?input=a"), re.compile(rb'^\{"hash":"[0-9a-f]{64}",'))

    def test_a_closed_backend_is_a_502(self):
        port = free_port()
        weir = self.weir(config_for({"url": f"http://127.0.0.1:{port}"}))
        got = self.curl("-w", " %{http_code}", f"http://127.0.0.1:{weir.port}/")
        self.assertEqual(got, b"502 connect_failed\n 502")


class WebSocket(Case):
    """Opens, echoes frames, half-closes: the tunnel passes all of it."""

    def accept(self, wire):
        head = wire.head()
        self.heads.append(head)
        wire.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        )
        while True:
            try:
                first, length = wire.exactly(2)
            except EOFError:
                wire.send("bye")  # after the client's half-close
                return
            mask = wire.exactly(4)
            data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(wire.exactly(length & 0x7F)))
            wire.send(struct.pack("BB", first, len(data)) + data)

    def setUp(self):
        self.heads = []
        self.running = self.weir(config_for(self.backend(raw=self.accept)))

    def test_frames_pass_both_ways_and_half_close_works(self):
        # The first frame comes with the head: it waits for the backend's 101.
        wire = self.connect(self.running.port).send(render("GET", "/chat", WEBSOCKET) + frame("early"))
        opened = wire.final()
        self.assertEqual(opened.status, 101)
        self.assertEqual(opened.get("upgrade", "").lower(), "websocket")
        self.assertEqual(opened.get("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        self.assertEqual(wire.exactly(7), b"\x81\x05early")
        for number in range(50):
            wire.send(frame(f"hi {number}"))
            self.assertEqual(wire.exactly(2 + len(f"hi {number}"))[2:].decode(), f"hi {number}")
        wire.shutdown()
        self.assertEqual(wire.rest(), b"bye")
        until(lambda: self.running.metric("lb_active_connections", listener="web") == 0, "the tunnel is gone")
        self.assertEqual(self.running.metric("lb_requests_total", status_code="101"), 1)
        head = self.heads[0]
        self.assertEqual((head.get("upgrade"), head.get("connection").lower()), ("websocket", "upgrade"))

    def test_a_refused_upgrade_is_an_ordinary_answer(self):
        weir = self.weir(config_for(self.backend(answer=lambda request, wire: ok("no", status="403 No"))))
        wire = self.connect(weir.port)
        self.assertEqual(wire.send(render("GET", "/", WEBSOCKET)).final().status, 403)
        self.assertEqual(wire.send(render("GET", "/")).final().status, 403)

    def test_nothing_goes_to_the_backend_before_its_101(self):
        seen = []

        def serve(wire):
            wire.head()
            wire.sock.settimeout(0.3)
            try:
                wire.fill()
            except TimeoutError:
                pass
            seen.append(wire.buffer)
            wire.send(ok("no", status="403 No", fields=[("Connection", "close")]))

        weir = self.weir(config_for(self.backend(raw=serve)))
        smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        wire = self.connect(weir.port).send(render("GET", "/", WEBSOCKET) + smuggled)
        self.assertEqual(wire.final().status, 403)
        self.assertEqual(seen[0], b"")

    def test_tunnels_survive_a_reload(self):
        wire = self.connect(self.running.port).send(render("GET", "/", WEBSOCKET))
        self.assertEqual(wire.final().status, 101)
        config = dict(self.running.config, routes=[{"respond": {"status": 204}}])
        self.assertEqual(self.running.reload(config).status, 200)
        self.assertEqual(wire.send(frame("still")).exactly(7), b"\x81\x05still")


if __name__ == "__main__":
    unittest.main()
