#!/usr/bin/env python3
"""HTTP/2 towards clients that others wrote: nghttp, curl, h2load, Python's h2 and Go's net/http."""

import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import threading
import unittest

from certificates import Authority
from h2_client import H2Client, h2
from harness import PATIENCE_S, Backend, Case, Wire, config_for, connect, ok, until
from real_backend import RealBackend

GO_CLIENT = pathlib.Path(__file__).resolve().parent / "go" / "http2_client.go"


FRAME_DATA, FRAME_HEADERS, FRAME_SETTINGS, FRAME_PING, FRAME_GOAWAY = 0, 1, 4, 6, 7


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


@unittest.skipUnless(shutil.which("curl"), "curl is not installed")
class Curl(RealBackend):
    def curl(self, *arguments, stdin=None):
        options = ["--noproxy", "*", "--silent", "--show-error", "--max-time", "30", "--http2-prior-knowledge"]
        return self.call("curl", *options, *arguments, stdin=stdin)

    def test_get_head_and_status(self):
        self.assertEqual(self.curl("-w", "%{http_version}", f"{self.url}/echo"), b"real\n2")
        head = self.curl("--head", f"{self.url}/bytes?size=1000").decode()
        self.assertRegex(head, r"^HTTP/2 200 \r\n")
        self.assertIn("\r\ncontent-length: 1000\r\n", head)
        self.assertEqual(self.curl("-o", "/dev/null", "-w", "%{http_code}", f"{self.url}/nothing"), b"404")

    def test_bodies_both_ways(self):
        self.assertEqual(self.curl("-d", "hello", f"{self.url}/echo"), b"hello")
        data = os.urandom(5 << 20)
        self.assertEqual(self.curl("--data-binary", f"@{self.write('body', data)}", f"{self.url}/echo"), data)
        self.assertEqual(self.curl("-T", "-", "-X", "POST", f"{self.url}/echo", stdin=data), data)
        self.assertEqual(len(self.curl(f"{self.url}/bytes?size=20000000")), 20_000_000)

    def test_expect_100_continue(self):
        body = self.write("body", b"x" * 5000)
        arguments = ["-H", "Expect: 100-continue", "--expect100-timeout", "20", "--data-binary", f"@{body}"]
        self.assertEqual(self.curl(*arguments, f"{self.url}/echo"), b"x" * 5000)


@unittest.skipUnless(shutil.which("nghttp") and shutil.which("h2load"), "nghttp2-client is not installed")
class Nghttp(RealBackend):
    def test_get_and_head(self):
        self.assertEqual(self.call("nghttp", f"{self.url}/echo"), b"real\n")
        text = self.call("nghttp", "--verbose", "-H", ":method: HEAD", f"{self.url}/bytes?size=1000").decode()
        self.assertRegex(text, r":status: 200\n(.|\n)*content-length: 1000\n")
        self.assertNotRegex(text, r"recv DATA frame <length=[1-9]")

    def test_large_bodies_in_small_windows(self):
        data = os.urandom(3 << 20)
        windows = ["--window-bits=10", "--connection-window-bits=12"]
        sent = self.call("nghttp", *windows, "-d", self.write("body", data), f"{self.url}/echo")
        self.assertEqual(hashlib.sha256(sent).hexdigest(), hashlib.sha256(data).hexdigest())
        self.assertEqual(len(self.call("nghttp", *windows, f"{self.url}/bytes?size=3000000")), 3_000_000)

    def test_padding_continuations_and_trailers(self):
        data = os.urandom(100_000)
        large = ["-H", f"x-large: {'v' * 20_000}"]
        options = ["--padding=200", "--no-content-length", "--trailer", "x-sum: 1"]
        echoed = self.call("nghttp", *options, *large, "-d", self.write("body", data), f"{self.url}/echo")
        self.assertEqual(echoed, data)

    def test_load_of_many_streams(self):
        for path in ("/echo", "/bytes?size=50000"):
            text = self.call("h2load", "-n", "3000", "-c", "8", "-m", "50", "-t", "1", self.url + path).decode()
            self.assertRegex(text, r"3000 succeeded, 0 failed, 0 errored, 0 timeout", text)
            self.assertRegex(text, r"status codes: 3000 2xx", text)
        data = self.write("body", os.urandom(70_000))
        text = self.call("h2load", "-n", "500", "-c", "4", "-m", "30", "-d", data, f"{self.url}/echo").decode()
        self.assertRegex(text, r"500 succeeded, 0 failed, 0 errored, 0 timeout", text)


    def test_load_over_tls(self):
        site = Authority(self.scratch).issue("site", "DNS:localhost,IP:127.0.0.1")
        real = {"name": "real", "url": f"http://127.0.0.1:{self.backend_port}"}
        running = self.weir(config_for(real, listener={"tls": {"certificates": [site]}}))
        url = f"https://127.0.0.1:{running.port}"
        text = self.call("h2load", "-n", "2000", "-c", "8", "-m", "50", f"{url}/bytes?size=30000").decode()
        self.assertRegex(text, r"2000 succeeded, 0 failed, 0 errored, 0 timeout", text)
        data = os.urandom(1 << 20)
        sent = self.call("nghttp", "-d", self.write("body", data), f"{url}/echo")
        self.assertEqual(sent, data)


@unittest.skipUnless(shutil.which("go"), "Go is not installed")
class Go(RealBackend):
    def test_its_client_gets_all_it_asks_for(self):
        env = {**os.environ, "GOFLAGS": "", "GO111MODULE": "off", "GOCACHE": os.environ.get("GOCACHE", "")}
        if not env["GOCACHE"]:
            caches = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
            env["GOCACHE"] = str(caches / "go-build")
        program = self.scratch / "client"
        command = ["go", "build", "-o", str(program), str(GO_CLIENT)]
        built = subprocess.run(command, capture_output=True, text=True, timeout=110, env=env)
        if "has no field or method" in built.stderr or "undefined: http" in built.stderr:
            self.skipTest("this Go has no HTTP/2 in the clear")
        self.assertEqual(built.returncode, 0, built.stderr)
        self.assertEqual(self.call(program, self.url), b"ok\n")


@unittest.skipUnless(h2, "python3-h2 is not installed")
class PythonH2(Case):
    def client(self, running):
        return H2Client(self, running.port)

    def test_heads_trailers_and_interim_responses(self):
        def answer(request, wire):
            if request.target == "/early":
                wire.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
                return ok("late")
            if request.target == "/trailers":
                return (
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n"
                    b"3\r\nabc\r\n0\r\nX-Sum: 6\r\nContent-Length: 9\r\n\r\n"
                )
            return ok("ok")

        backend = self.backend(answer=answer)
        client = self.client(self.weir(config_for(backend)))
        early = client.answer(client.ask("/early"))
        self.assertEqual(early["interim"][0][:2], [(":status", "103"), ("link", "</a>")])
        self.assertEqual((early["status"], early["body"]), (200, b"late"))
        trailers = client.answer(client.ask("/trailers"))
        self.assertEqual((trailers["body"], trailers["trailers"]), (b"abc", [("x-sum", "6")]))
        self.assertFalse({"connection", "x-hop", "transfer-encoding"} & {name for name, _ in trailers["fields"]})
        client.answer(client.ask("/up", "POST", body=b"body", trailers=[("x-sum", "5"), ("authorization", "no")]))
        seen = backend.requests[-1]
        self.assertEqual((seen.method, seen.body, seen.trailers), ("POST", b"body", [("x-sum", "5")]))
        self.assertEqual((seen.get("host"), seen.get("transfer-encoding")), ("test.example", "chunked"))
        client.answer(client.ask("/crumbs", fields=[("cookie", "a=b"), ("cookie", "c=d"), ("x-empty", "")]))
        self.assertEqual(backend.requests[-1].all("cookie"), ["a=b; c=d"])
        self.assertEqual(backend.requests[-1].get("x-empty"), "")

    def test_a_hundred_streams_of_one_connection_run_at_once(self):
        together = threading.Barrier(100, timeout=PATIENCE_S)

        def answer(request, wire):
            together.wait()
            return ok(request.target)

        client = self.client(self.weir(config_for(self.backend(answer=answer))))
        until(lambda: client.read() and client.session.remote_settings.max_concurrent_streams == 100, "100 allowed")
        streams = {client.ask(f"/{n}"): f"/{n}" for n in range(100)}
        for stream, path in streams.items():
            self.assertEqual(client.answer(stream)["body"].decode(), path)

    def test_what_is_malformed_is_answered_and_goes_nowhere(self):
        backend = self.backend()
        running = self.weir(config_for(backend))
        for fields in ([("Connection", "close")], [("transfer-encoding", "chunked")], [("x", "a\r\nb: c")]):
            client = self.client(running)
            client.session.config.validate_outbound_headers = False
            client.session.config.normalize_outbound_headers = False
            answer = client.answer(client.ask("/", fields=fields))
            self.assertEqual((answer["status"], answer["body"]), (400, b"400 bad_request\n"), fields)
        self.assertEqual(backend.count(), 0)

    def begin_slow(self, **root):
        """A client with one stream whose answer waits for the event that is returned."""
        go_on = threading.Event()
        arrived = threading.Event()

        def answer(request, wire):
            if request.target == "/slow":
                arrived.set()
                go_on.wait(PATIENCE_S)
            return ok("slowly" * 1000)

        running = self.weir(config_for(self.backend(answer=answer), **root))
        client = self.client(running)
        client.answer(client.ask("/"))
        stream = client.ask("/slow")
        self.assertTrue(arrived.wait(PATIENCE_S))
        return running, client, stream, go_on

    def check_goodbye(self, client, stream, go_on):
        """Two GOAWAYs around what still runs. Frame by frame: h2 takes the first for the connection's end."""
        going_away, body, ended = [], b"", False
        while client.wire.buffer or client.wire.fill():
            header = client.wire.exactly(9)
            payload = client.wire.exactly(int.from_bytes(header[:3], "big"))
            kind, flags, of = header[3], header[4], int.from_bytes(header[5:9], "big")
            if kind == FRAME_GOAWAY:
                going_away.append((int.from_bytes(payload[4:8], "big"), int.from_bytes(payload[:4], "big")))
                go_on.set()
            elif kind == FRAME_PING and not flags:
                client.wire.send(frame(FRAME_PING, 1, 0, payload))
            elif kind == FRAME_DATA and of == stream:
                body += payload
                ended = bool(flags & 1)
        # The first leaves out nothing that is on its way.
        self.assertEqual(going_away, [(0, 2**31 - 1), (0, stream)])
        self.assertEqual((body, ended), (b"slowly" * 1000, True))

    def test_a_drain_finishes_what_runs(self):
        running, client, stream, go_on = self.begin_slow()
        running.signal(signal.SIGTERM)
        self.check_goodbye(client, stream, go_on)
        self.assertEqual(running.wait(), 0)

    def test_a_reload_without_the_listener_finishes_what_runs(self):
        running, client, stream, go_on = self.begin_slow()
        running.config["listeners"] = [{"name": "other", "address": "127.0.0.1:0"}]
        self.assertEqual(running.reload(running.config).status, 200)
        self.check_goodbye(client, stream, go_on)

    def test_a_reload_that_keeps_the_listener_keeps_its_connections(self):
        running, client, stream, go_on = self.begin_slow()
        running.config["routes"][0]["name"] = "renamed"
        self.assertEqual(running.reload(running.config).status, 200)
        self.assertEqual(client.answer(client.ask("/"))["status"], 200)
        go_on.set()
        self.assertEqual(client.answer(stream)["status"], 200)
        self.assertEqual(client.going_away, [])


class Http2Backend(Backend):
    def probed(self, wire):
        return False


class Http1Clients(Case):
    def test_bug_029_an_answer_that_ends_with_its_head_ends_for_http1_too(self):
        """A backend of HTTP/2 needs no Content-Length to say that there is no body; a client of HTTP/1.1 does."""

        def raw(wire: Wire):
            wire.exactly(24)
            wire.send(frame(FRAME_SETTINGS, 0, 0))
            while True:
                head = wire.exactly(9)
                payload = wire.exactly(int.from_bytes(head[:3], "big"))
                if head[3] == FRAME_SETTINGS and head[4] == 0:
                    wire.send(frame(FRAME_SETTINGS, 1, 0))
                elif head[3] == FRAME_PING and head[4] == 0:
                    wire.send(frame(FRAME_PING, 1, 0, payload))
                elif head[3] == FRAME_HEADERS:
                    wire.send(frame(FRAME_HEADERS, 5, int.from_bytes(head[5:9], "big"), b"\x88"))

        running = self.weir(config_for(Http2Backend(self, raw=raw), cluster={"protocol": "http2"}))
        with connect(running.port) as wire:
            for _ in range(2):  # on one connection
                wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                answer = wire.response()
                self.assertEqual((answer.status, answer.get("content-length"), answer.body), (200, "0", b""))
            wire.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertIsNone(wire.response("HEAD").get("content-length"))


if __name__ == "__main__":
    unittest.main()
