#!/usr/bin/env python3
"""One way to read a request or none: raw requests over real sockets, and what comes of them."""

import unittest

from harness import Case, config_for, render

GET = "GET / HTTP/1.1\r\nHost: a\r\n"
POST = "POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKS = POST + "Transfer-Encoding: chunked\r\n\r\n"
BAD = {
    "length and chunks": POST + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": POST + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "differing lengths": POST + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "listed lengths": POST + "Content-Length: 5, 5\r\n\r\nhello",
    "signed length": POST + "Content-Length: +5\r\n\r\nhello",
    "hexadecimal length": POST + "Content-Length: 0x5\r\n\r\nhello",
    "empty length": POST + "Content-Length: \r\n\r\nhello",
    "length above 2^64": POST + "Content-Length: 18446744073709551621\r\n\r\nhello",
    "coding before chunked": POST + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coding after chunked": POST + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked in two fields": POST + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": POST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "vertical tab in the coding": POST + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare LF after the request line": "GET / HTTP/1.1\nHost: a\r\n\r\n",
    "bare LF after a field": "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    "bare LF at the end": GET + "\n",
    "bare CR in a value": GET + "X: y\rz\r\n\r\n",
    "NUL in a value": GET + "X: y\0z\r\n\r\n",
    "DEL in a value": GET + "X: y\x7fz\r\n\r\n",
    "folded field": GET + "X: y\r\n z\r\n\r\n",
    "space before the colon": GET + "Content-Length : 0\r\n\r\n",
    "space before the first field": "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "no colon": GET + "nonsense\r\n\r\n",
    "empty name": GET + ": x\r\n\r\n",
    "name with a control": GET + "X\x01: y\r\n\r\n",
    "name with a bracket": GET + "X[0]: y\r\n\r\n",
    "no host": "GET / HTTP/1.1\r\n\r\n",
    "two hosts": GET + "Host: a\r\n\r\n",
    "host with a path": "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "host with a user": "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "host with a bad port": "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n",
    "host with a space": "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "two spaces": "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "tab in the request line": "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "space in the target": "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "control in the target": "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
    "fragment in the target": "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
    "target without a slash": "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
    "no version": "GET /\r\nHost: a\r\n\r\n",
    "lower-case version": "GET / http/1.1\r\nHost: a\r\n\r\n",
    "method with a bracket": "GE[T / HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "chunk size with a sign": CHUNKS + "+5\r\nhello\r\n0\r\n\r\n",
    "chunk size 0x": CHUNKS + "0x5\r\nhello\r\n0\r\n\r\n",
    "chunk size overflow": CHUNKS + "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "chunk size missing": CHUNKS + "\r\nhello\r\n0\r\n\r\n",
    "chunk size with a space": CHUNKS + "5 \r\nhello\r\n0\r\n\r\n",
    "bare LF after a chunk size": CHUNKS + "5\nhello\r\n0\r\n\r\n",
    "chunk without its end": CHUNKS + "5\r\nhelloXX0\r\n\r\n",
    "broken trailer": CHUNKS + "0\r\nX : y\r\n\r\n",
}
OTHER = {
    "target too long": ("GET /" + "a" * 20000 + " HTTP/1.1\r\nHost: a\r\n\r\n", 414, "uri_too_long"),
    "target too long, unfinished": ("GET /" + "a" * 20000, 414, "uri_too_long"),
    "fields too long": (GET + "X: " + "y" * 70000 + "\r\n\r\n", 431, "headers_too_large"),
    "fields too long, unfinished": (GET + "X: " + "y" * 70000, 431, "headers_too_large"),
    "too many fields": (GET + "" + "X: y\r\n" * 101 + "\r\n", 431, "headers_too_large"),
    "HTTP/2.0": ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "http_version_unsupported"),
    "HTTP/3.1": ("GET / HTTP/3.1\r\nHost: a\r\n\r\n", 505, "http_version_unsupported"),
}
GOOD = {
    "equal limit of fields": GET + "" + "X: y\r\n" * 99 + "\r\n",
    "empty line before": "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "IPv6 host": "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    "empty value": GET + "X:\r\n\r\n",
    "obs-text value": GET + "X: \xe9\r\n\r\n",
    "absolute form": "GET http://b.example/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "asterisk form": "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "chunk extension": CHUNKS + "5;a=b\r\nhello\r\n0\r\n\r\n",
    "trailers": CHUNKS + "5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
    "HTTP/1.0 without host": "GET / HTTP/1.0\r\n\r\n",
}
SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


class Strictness(Case):
    def setUp(self):
        self.seen = self.backend()
        self.running = self.weir(config_for(self.seen))

    def send(self, raw):
        return self.connect(self.running.port).send(raw.encode("latin-1"))

    def test_what_can_be_read_in_two_ways_is_refused_and_ends_the_connection(self):
        for what, raw in BAD.items():
            with self.subTest(what):
                wire = self.send(raw + SMUGGLED)
                answer = wire.final()
                self.assert_reply(answer, 400, "bad_request")
                self.assertEqual(answer.get("connection"), "close")
                self.assertTrue(answer.get("date") and answer.get("x-request-id"))
                wire.shutdown()
                self.assertTrue(wire.closed(), "the connection ends")
        self.assertEqual(self.seen.count("/smuggled"), 0)
        self.assertEqual(self.running.metric("lb_local_replies_total", reason="bad_request"), len(BAD))

    def test_what_is_too_long_has_its_own_answer(self):
        for what, (raw, status, reason) in OTHER.items():
            with self.subTest(what):
                wire = self.send(raw)
                answer = wire.final()
                self.assert_reply(answer, status, reason)
                self.assertEqual(answer.get("connection"), "close")
                wire.shutdown()
                self.assertTrue(wire.closed())

    def test_what_is_good_passes(self):
        for what, raw in GOOD.items():
            with self.subTest(what):
                self.assertEqual(self.send(raw).final().status, 200)

    def test_good_requests_survive_a_bad_one_behind_them(self):
        wire = self.send(SMUGGLED.replace("smuggled", "first") + BAD["two hosts"])
        self.assertEqual(wire.final().status, 200)
        self.assert_reply(wire.final(), 400, "bad_request")

    def test_pipelined_requests_are_answered_in_order(self):
        self.seen.answer = lambda request, wire: (
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(request.target), request.target.encode())
        )
        wire = self.send("".join(f"GET /{i} HTTP/1.1\r\nHost: a\r\n\r\n" for i in range(50)))
        self.assertEqual([wire.final().text for _ in range(50)], [f"/{i}" for i in range(50)])

    def test_one_byte_at_a_time_is_the_same(self):
        wire = self.connect(self.running.port)
        for byte in "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".encode():
            wire.send(bytes([byte]))
        self.assertEqual(wire.final().status, 200)
        self.assertEqual(self.seen.requests[-1].body, b"hello")


class Forwarding(Case):
    def setUp(self):
        self.seen = self.backend()
        self.running = self.weir(config_for(self.seen))

    def forwarded(self, fields=(), path="/", method="GET", body=None, host="test.example"):
        wire = self.connect(self.running.port).send(render(method, path, fields, body, host))
        self.answer = wire.final(method)
        return self.seen.requests[-1]

    def test_hop_by_hop_fields_stop_here(self):
        request = self.forwarded(
            {
                "Connection": "close, X-Hop",
                "X-Hop": "1",
                "Keep-Alive": "timeout=5",
                "TE": "gzip",
                "Proxy-Connection": "x",
                "Upgrade": "h2c",
                "HTTP2-Settings": "AAMAAABk",
                "X-Kept": "1",
            }
        )
        names = {name for name, _ in request.fields}
        self.assertFalse(
            names & {"connection", "x-hop", "keep-alive", "proxy-connection", "upgrade", "http2-settings"}, names
        )
        self.assertIn("x-kept", names)

    def test_what_clients_may_not_say(self):
        request = self.forwarded(
            {
                "X-Forwarded-For": "1.2.3.4",
                "X_Forwarded_For": "1.2.3.4",
                "X-Real-IP": "1.2.3.4",
                "Forwarded": "for=1.2.3.4",
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Host": "evil",
                "X-Forwarded-Port": "1",
                "Client-Cert": "x",
                "X-Client-Cert-Subject": "x",
            }
        )
        self.assertNotIn("1.2.3.4", str(request.fields))
        self.assertEqual(request.all("x-forwarded-for"), ["127.0.0.1"])
        self.assertEqual(request.all("x-forwarded-proto"), ["http"])
        self.assertEqual(request.all("x-forwarded-host"), ["test.example"])
        self.assertFalse([name for name, _ in request.fields if "cert" in name or "_" in name])

    def test_request_ids(self):
        request = self.forwarded({"X-Request-Id": "mine-1"})
        self.assertEqual((request.all("x-request-id"), self.answer.all("x-request-id")), (["mine-1"], ["mine-1"]))
        for bad in ("x" * 129, "a b"):
            request = self.forwarded({"X-Request-Id": bad})
            self.assertNotEqual(request.get("x-request-id"), bad)
            self.assertEqual(request.all("x-request-id"), self.answer.all("x-request-id"))

    def test_targets_go_on_as_received(self):
        for path in ("/a/../b//c/%2e%2E/%2f?x=/../y", "/%41?%41", "/;p=1"):
            self.assertEqual(self.forwarded(path=path).target, path)
        request = self.forwarded(path="http://other.example:81/x?y")
        self.assertEqual((request.target, request.all("host")), ("/x?y", ["other.example:81"]))

    def test_answers_get_a_date_and_lose_hop_by_hop_fields(self):
        self.seen.answer = lambda request, wire: (
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=3\r\n"
            b"Proxy-Authenticate: Basic\r\nX-Kept: 1\r\n\r\n"
        )
        self.forwarded()
        names = {name for name, _ in self.answer.fields}
        self.assertFalse(names & {"x-hop", "keep-alive"}, names)
        self.assertTrue({"date", "x-kept"} <= names, names)

    def test_connect_is_refused(self):
        wire = self.connect(self.running.port).send("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")
        self.assert_reply(wire.final(), 405, "connect_not_allowed")


if __name__ == "__main__":
    unittest.main()
