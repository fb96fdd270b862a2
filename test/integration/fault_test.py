#!/usr/bin/env python3
"""Faults: descriptors run out, disks are full, clients and backends misbehave."""

import json
import os
import resource
import signal
import threading
import time
import unittest

from harness import Case, config_for, fetch, ok, render, respond_config, until


class Descriptors(Case):
    def test_accepting_pauses_and_resumes_and_what_runs_goes_on(self):
        limit = 256

        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

        backend = self.backend()
        weir = self.weir(config_for(backend), preexec=few)
        kept = self.connect(weir.port)
        self.assertEqual(kept.send(render("GET", "/")).final().status, 200)
        wires = [self.connect(weir.port) for _ in range(limit)]
        until(lambda: weir.metric("lb_accept_paused_total", listener="web"), "accepting pauses")
        for _ in range(20):
            self.assertEqual(kept.send(render("GET", "/")).final().text, "backend")
        paused = [line for line in weir.log.splitlines() if "paus" in line]
        self.assertEqual(len(paused), 1, weir.log)
        for wire in wires[:200]:
            wire.close()
        for wire in wires[200:]:  # those that waited are served
            self.assertEqual(wire.send(render("GET", "/")).final().status, 200)
        self.assertEqual(weir.backends()["backend"]["healthy"], True)


class Logs(Case):
    def test_an_access_log_on_a_full_disk_is_counted_and_never_fatal(self):
        weir = self.weir(respond_config(listener={"access_log": {"path": "/dev/full"}}))
        for _ in range(20):
            self.assertEqual(fetch(weir.port).status, 200)
        weir.until_metric("lb_access_log_lost_total", 20, listener="web")
        self.assertEqual(fetch(weir.port).status, 200)

    def test_an_access_log_on_a_closed_pipe(self):
        read_end, write_end = os.pipe()
        weir = self.weir(respond_config(listener={"access_log": {"path": "-"}}), stdout=write_end)
        os.close(write_end)
        fetch(weir.port, "/first")
        self.assertEqual(json.loads(os.read(read_end, 65536))["path"], "/first")
        os.close(read_end)
        for _ in range(10):
            self.assertEqual(fetch(weir.port).status, 200)
        weir.until_metric("lb_access_log_lost_total", 10, listener="web")

    def test_a_stalled_pipe_stalls_nothing(self):
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, read_end)
        weir = self.weir(respond_config(listener={"access_log": {"path": "-"}}), stdout=write_end)
        os.close(write_end)
        wire = self.connect(weir.port)
        pause = "/" + "x" * 8000
        for _ in range(100):
            self.assertEqual(wire.send(render("GET", pause)).final().status, 200)
        weir.signal(signal.SIGTERM)
        self.assertEqual(weir.wait(), 0)

    def test_access_log_fields(self):
        backend = self.backend(answer=lambda request, wire: ok("12345"))
        weir = self.weir(config_for(backend, listener={"access_log": {"path": "access.log"}}))
        fields = {"User-Agent": 'test"agent', "Referer": "http://r/", "X-Request-Id": "id-1"}
        fetch(weir.port, "/p?q=%22x", "POST", fields, b"abc")
        self.connect(weir.port).send("BAD\r\n\r\n").final()
        log = weir.folder / "access.log"
        until(lambda: log.exists() and log.read_text().count("\n") == 2, "two lines")
        first, second = map(json.loads, log.read_text().splitlines())
        wanted = {
            "listener": "web",
            "route": "all",
            "cluster": "app",
            "backend": "backend",
            "client": "127.0.0.1",
            "method": "POST",
            "host": "test.example",
            "path": "/p?q=%22x",
            "protocol": "HTTP/1.1",
            "status": 200,
            "reason": "",
            "request_bytes": 3,
            "response_bytes": 5,
            "attempts": 1,
            "request_id": "id-1",
            "worker": 0,
            "user_agent": 'test"agent',
            "referer": "http://r/",
        }
        self.assertEqual({key: first.get(key) for key in wanted}, wanted)
        self.assertRegex(first["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        self.assertLessEqual(first["upstream_us"], first["duration_us"])
        self.assertEqual((second["status"], second["reason"], second["route"]), (400, "bad_request", ""))
        self.assertEqual(second["client"], "127.0.0.1")


class SlowClients(Case):
    def test_slow_heads_and_bodies_get_408(self):
        limits = {"header_timeout": "200ms", "body_timeout": "200ms"}
        weir = self.weir(config_for(self.backend(), listener={"limits": limits}))
        for sent in (
            "GET / HT",
            "GET / HTTP/1.1\r\nHost: a\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        ):
            wire = self.connect(weir.port).send(sent)
            self.assert_reply(wire.final(), 408, "request_timeout")
            self.assertTrue(wire.closed())

    def test_a_dripping_head_does_not_move_its_deadline(self):
        weir = self.weir(respond_config(listener={"limits": {"header_timeout": "300ms"}}))
        wire = self.connect(weir.port)
        deadline = time.monotonic() + 5
        head = iter(b"GET / HTTP/1.1\r\nX-Slow: " + b"x" * 2000)
        wire.sock.settimeout(0.02)
        while time.monotonic() < deadline:
            try:
                wire.send(bytes([next(head)]))
                if wire.fill():
                    break
            except TimeoutError:
                pass
        self.assertTrue(wire.buffer.startswith(b"HTTP/1.1 408"), wire.buffer)

    def test_connections_beyond_the_limit_are_refused_with_503(self):
        weir = self.weir(respond_config(listener={"limits": {"max_connections": 3}}, workers=2))
        wires = [self.connect(weir.port) for _ in range(3)]
        for wire in wires:
            self.assertEqual(wire.send(render("GET", "/")).final().status, 200)
        for _ in range(100):
            self.assert_reply(fetch(weir.port), 503, "overloaded")
        self.assertEqual(weir.metric("lb_connections_refused_total", listener="web", reason="overloaded"), 100)
        wires[0].close()
        until(lambda: fetch(weir.port).status == 200, "a place is free again")

    def test_a_413_is_read_whole_by_a_client_that_keeps_sending(self):
        backend = self.backend()
        weir = self.weir(config_for(backend, listener={"limits": {"body_bytes": 1000}}))
        size = 8 << 20
        for head, body in (
            (f"Content-Length: {size}", b"x" * size),
            ("Transfer-Encoding: chunked", b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"),
        ):
            for _ in range(3):
                wire = self.connect(weir.port)
                # The whole body goes out before the first byte of the answer is read.
                times = 8 if len(body) < size else 1
                wire.send(f"POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n".encode() + body * times)
                answer = wire.final()
                self.assert_reply(answer, 413, "body_too_large")
                self.assertEqual(answer.get("connection"), "close")
                wire.shutdown()
                self.assertTrue(wire.closed())

    def test_a_client_that_resets_in_a_big_download_ends_nothing_else(self):
        blob = b"x" * (4 << 20)
        backend = self.backend(answer=lambda request, wire: ok(blob))
        weir = self.weir(config_for(backend))
        for _ in range(10):
            wire = self.connect(weir.port).send(render("GET", "/"))
            wire.until(b"\r\n\r\n")
            wire.exactly(100000)
            wire.reset()
        self.assertEqual(len(fetch(weir.port).body), len(blob))
        until(lambda: weir.metric("lb_active_connections", listener="web") == 0, "all are gone")

    def test_a_client_that_leaves_stops_the_backend(self):
        gone = threading.Event()

        def stall(request, wire):
            wire.rest()
            gone.set()

        weir = self.weir(config_for(self.backend(answer=stall)))
        backend_busy = self.connect(weir.port).send(render("GET", "/"))
        until(lambda: weir.metric("lb_pool_connections", state="active"), "under way")
        backend_busy.reset()
        self.assertTrue(gone.wait(10))
        self.assertEqual(weir.until_metric("lb_requests_total", 1, status_code="0"), True)

    def test_a_half_closed_client_still_gets_its_answer(self):
        weir = self.weir(config_for(self.backend()))
        wire = self.connect(weir.port).send(render("GET", "/")).shutdown()
        self.assertEqual(wire.final().text, "backend")
        self.assertTrue(wire.closed())


class BadBackends(Case):
    GARBAGE = (
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 600 + b"Content-Length: 0\r\n\r\n",
    )

    def test_garbage_is_a_502_and_leaks_nowhere(self):
        answer = {"bytes": b""}

        def serve(wire):
            wire.head()
            wire.send(answer["bytes"] + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nLEAKED")
            wire.rest()

        bad = self.backend("bad", raw=serve)
        weir = self.weir(config_for(bad))
        for garbage in self.GARBAGE:
            answer["bytes"] = garbage
            with self.subTest(garbage=garbage[:60]):
                wire = self.connect(weir.port)
                for _ in range(2):
                    self.assert_reply(wire.send(render("GET", "/")).final(), 502, "upstream_protocol_error")
                self.assertEqual(wire.buffer, b"")
        self.assertEqual(bad.connections, 2 * len(self.GARBAGE))  # none was used again

    def test_what_follows_a_response_unasked_reaches_nobody(self):
        def serve(wire):
            while wire.request():
                wire.send(ok("mine") + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nLEAKED")

        weir = self.weir(config_for(self.backend(raw=serve)))
        wire = self.connect(weir.port)
        for _ in range(10):
            self.assertEqual(wire.send(render("GET", "/")).final().text, "mine")

    def test_a_backend_that_closes_at_every_byte(self):
        whole = b"HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
        head = whole.index(b"\r\n\r\n") + 4
        cut = {"at": 0}

        def serve(wire):
            wire.head()
            wire.send(whole[: cut["at"]])

        weir = self.weir(config_for(self.backend(raw=serve), cluster={"retry": {"attempts": 1}}))
        for at in range(len(whole) + 1):
            cut["at"] = at
            answer = fetch(weir.port)
            if at < head:
                self.assertEqual(answer.status, 502, at)
                self.assertIn(answer.text, ("502 upstream_reset\n", "502 upstream_protocol_error\n"))
            else:
                self.assertEqual((answer.status, answer.complete), (200, at == len(whole)), at)
                self.assertTrue(b"hello world".startswith(answer.body))

    def test_a_content_length_that_is_cut_short_looks_broken(self):
        def serve(wire):
            wire.head()
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf!")

        weir = self.weir(config_for(self.backend(raw=serve)))
        answer = fetch(weir.port)
        self.assertEqual((answer.status, answer.body, answer.complete), (200, b"half!", False))

    def test_a_kept_connection_that_the_backend_closed_is_not_noticed(self):
        closing = {"next": False}

        def serve(wire):
            while wire.request():
                wire.send(ok("fine"))
                if closing["next"]:
                    wire.close()
                    return

        backend = self.backend(raw=serve)
        weir = self.weir(config_for(backend))
        closing["next"] = True
        wire = self.connect(weir.port)
        for _ in range(30):
            self.assertEqual(wire.send(render("GET", "/")).final().text, "fine")
        for _ in range(30):  # what may not be sent twice is sound once the close has come
            until(lambda: not backend.open, "the backend has closed")
            self.assertEqual(wire.send(render("POST", "/", body=b"x")).final().text, "fine")

    def test_no_post_is_sent_twice(self):
        def answer(request, wire):
            if request.method == "POST":
                wire.reset()
            return ok("fine")

        backends = [self.backend(name, answer) for name in ("one", "two")]
        weir = self.weir(config_for(*backends))
        for number in range(10):
            fetch(weir.port, "/get")
            self.assert_reply(fetch(weir.port, f"/post{number}", "POST", body=b"x"), 502, "upstream_reset")
        targets = [request.target for one in backends for request in one.requests if request.method == "POST"]
        self.assertEqual(len(targets), len(set(targets)))

    def test_a_backend_killed_under_load_costs_no_idempotent_request(self):
        one, two = self.backend("one"), self.backend("two")
        weir = self.weir(config_for(one, two, workers=2, cluster={"health_check": {"interval": "1h"}}))
        wires = [self.connect(weir.port) for _ in range(8)]
        for round_number in range(30):
            for wire in wires:
                wire.send(render("GET", "/"))
            if round_number == 10:
                two.stop()
            for wire in wires:
                self.assertEqual(wire.final().status, 200)

    def test_early_answers_while_a_body_is_sent(self):
        def serve(wire):
            wire.head()
            wire.send(ok("no", status="403 Forbidden", fields=[("Connection", "close")]))
            wire.rest()

        weir = self.weir(config_for(self.backend(raw=serve)))
        wire = self.connect(weir.port)
        wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
        answer = wire.final()
        self.assertEqual((answer.status, answer.text), (403, "no"))


if __name__ == "__main__":
    unittest.main()
