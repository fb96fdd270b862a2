#!/usr/bin/env python3
"""PROXY headers: taken from curl and by hand, and sent to backends that read them by the specification."""

import shutil
import socket
import subprocess
import unittest

from certificates import Authority
from harness import Case, config_for, fetch, ok, render, until
from proxy_headers import V2_SIGNATURE, serves_behind_proxy, v2_header


class Accepting(Case):
    def start(self, **listener):
        self.behind = self.backend(answer=lambda request, wire: ok(request.get("x-forwarded-for", "none")))
        self.running = self.weir(config_for(self.behind, listener={"proxy_protocol": True, **listener}))

    def refused(self, reason):
        return self.running.metric("lb_connections_refused_total", listener="web", reason=reason) or 0

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_curl(self):
        self.start()
        done = subprocess.run(
            [
                *("curl", "--noproxy", "*", "--silent", "--show-error", "--max-time", "30", "--haproxy-protocol"),
                *("--interface", "127.0.0.9", f"http://127.0.0.1:{self.running.port}/"),
            ],
            capture_output=True,
            timeout=60,
        )
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"127.0.0.9", b""))

    def test_both_versions_and_families(self):
        self.start()
        for header, seen in (
            (b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 80\r\n", "192.0.2.7"),
            (b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 80\r\n", "2001:db8::7"),
            (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "127.0.0.1"),
            (v2_header("192.0.2.7", "192.0.2.1", 40000, 80), "192.0.2.7"),
            (v2_header("2001:db8::7", "2001:db8::1", 40000, 80), "2001:db8::7"),
            (v2_header("192.0.2.7", "192.0.2.1", 1, 2, b"\x04\x00\x03abc"), "192.0.2.7"),
            (v2_header(), "127.0.0.1"),
            (v2_header(extensions=b"\x04\x00\x01x"), "127.0.0.1"),
        ):
            with self.subTest(header=header):
                wire = self.connect(self.running.port).send(header + render("GET", "/"))
                self.assertEqual(wire.final().text, seen)
                # It holds for the connection.
                self.assertEqual(wire.send(render("GET", "/")).final().text, seen)

    def test_in_pieces(self):
        self.start()
        wire = self.connect(self.running.port)
        wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in v2_header("192.0.2.7", "192.0.2.1", 40000, 80) + render("GET", "/"):
            wire.send(bytes([byte]))
        self.assertEqual(wire.final().text, "192.0.2.7")

    def test_what_is_no_header_is_cut_off(self):
        self.start()
        broken = (
            render("GET", "/"),
            b"PROXY TCP4 192.0.2.7 192.0.2.1 40000\r\n",
            b"PROXY TCP4 192.0.2.777 192.0.2.1 40000 80\r\n",
            b"PROXY TCP4 2001:db8::7 192.0.2.1 40000 80\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 99999\r\n",
            b"PROXY  TCP4 192.0.2.7 192.0.2.1 40000 80\r\n",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 80\n" + b"x" * 80,
            b"proxy TCP4 192.0.2.7 192.0.2.1 40000 80\r\n",
            b"PROXY UNKNOWN " + b"x" * 100,
            V2_SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12),  # version 3
            V2_SIGNATURE + b"\x22\x11\x00\x0c" + bytes(12),  # no such command
            V2_SIGNATURE + b"\x21\x11\x00\x04" + bytes(4),  # too short for its family
            V2_SIGNATURE + b"\x21\x11\xff\xff" + bytes(64),  # longer than any
            V2_SIGNATURE[:-1] + b"x",
        )
        for count, header in enumerate(broken, 1):
            with self.subTest(header=header):
                wire = self.connect(self.running.port)
                self.assertEqual(wire.send(header).rest(), b"")
                until(lambda: self.refused("proxy_header_broken") == count, "it was counted")
        self.assertEqual(self.behind.count(), 0)

    def test_an_end_inside_the_header(self):
        self.start()
        wire = self.connect(self.running.port).send(b"PROXY TCP4 192")
        wire.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(wire.rest(), b"")
        until(lambda: self.refused("proxy_header_broken") == 1, "it was counted")

    def test_who_says_nothing_is_cut_off_in_time(self):
        self.start(limits={"header_timeout": "200ms"})
        self.assertEqual(self.connect(self.running.port).send(b"PROXY ").rest(), b"")
        until(lambda: self.refused("proxy_header_timeout") == 1, "it was counted")

    def test_only_those_named_may_send_one(self):
        self.start(trusted_proxies=["127.0.0.9/32"])
        request = b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 80\r\n" + render("GET", "/")
        try:
            answer = self.connect(self.running.port).send(request).rest()
        except ConnectionError:
            answer = b""
        self.assertEqual(answer, b"")
        until(lambda: self.refused("proxy_not_trusted") == 1, "it was counted")
        wire = self.connect(self.running.port, source=("127.0.0.9", 0))
        self.assertEqual(wire.send(request).final().text, "192.0.2.7")

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_http2_behind_a_header(self):
        self.start()
        done = subprocess.run(
            [
                *("curl", "--noproxy", "*", "--silent", "--show-error", "--max-time", "30", "--haproxy-protocol"),
                *("--http2-prior-knowledge", "--write-out", " %{http_version}", "--interface", "127.0.0.9"),
                f"http://127.0.0.1:{self.running.port}/",
            ],
            capture_output=True,
            timeout=60,
        )
        self.assertEqual((done.returncode, done.stdout), (0, b"127.0.0.9 2"), done.stderr)


class Sending(Case):
    def start(self, version, protocol="http1", listener=None, **cluster):
        self.headers = []
        self.behind = self.backend(raw=serves_behind_proxy(self.headers))
        self.running = self.weir(
            config_for(
                self.behind, listener=listener, cluster={"proxy_protocol": version, "protocol": protocol, **cluster}
            )
        )

    def test_the_backend_is_told_of_the_clients_connection(self):
        for version, number in (("v1", 1), ("v2", 2)):
            with self.subTest(version=version):
                self.start(version)
                wire = self.connect(self.running.port)
                port = wire.sock.getsockname()[1]
                told = f"{number} 127.0.0.1 {port} 127.0.0.1 {self.running.port}"
                for _ in range(3):
                    self.assertEqual(wire.send(render("GET", "/")).final().text, told)
                self.assertEqual(len(self.headers), 1)

    def test_over_ipv6(self):
        for version, number in (("v1", 1), ("v2", 2)):
            with self.subTest(version=version):
                self.start(version, listener={"address": "[::1]:0"})
                wire = self.connect(("::1", self.running.port))
                port = wire.sock.getsockname()[1]
                told = f"{number} ::1 {port} ::1 {self.running.port}"
                self.assertEqual(wire.send(render("GET", "/")).final().text, told)

    def test_each_client_has_its_own_connection(self):
        self.start("v2")
        wires = [self.connect(self.running.port) for _ in range(3)]
        for _ in range(3):
            for wire in wires:
                told = wire.send(render("GET", "/")).final().text.split(" ")
                self.assertEqual(int(told[2]), wire.sock.getsockname()[1])
        self.assertEqual(self.behind.connections, 3)
        wires[1].close()
        until(lambda: len(self.behind.open) == 2, "that of the client that left is closed")

    def test_checks_and_the_probe_speak_for_nobody(self):
        self.start("v1", protocol="auto", health_check={"type": "http", "path": "/", "interval": "100ms"})
        until(lambda: len(self.headers) >= 4, "the probe and some checks came")
        self.assertEqual(set(self.headers), {(1, None, None, None, None)})
        self.assertTrue(self.running.backends()["backend"]["healthy"])
        until(lambda: self.running.backends()["backend"]["protocol"] == "http1", "it was found out")

    def test_a_tcp_check_says_so_too(self):
        self.start("v2", health_check={"type": "tcp", "interval": "100ms"})
        until(lambda: len(self.headers) >= 2, "some checks came")
        self.assertEqual(set(self.headers), {(2, None, None, None, None)})

    def test_through_two_of_them(self):
        """What one sends the other takes: the client's address comes through both."""
        self.behind = self.backend(answer=lambda request, wire: ok(request.get("x-forwarded-for", "none")))
        inner = self.weir(config_for(self.behind, listener={"proxy_protocol": True}))
        for version in ("v1", "v2"):
            outer = self.weir(
                config_for(
                    {"name": "inner", "url": f"http://127.0.0.1:{inner.port}"},
                    cluster={"proxy_protocol": version, "protocol": "http1"},
                )
            )
            wire = self.connect(outer.port, source=("127.0.0.9", 0))
            self.assertEqual(wire.send(render("GET", "/")).final().text, "127.0.0.9")

    def test_over_http2(self):
        self.behind = self.backend(answer=lambda request, wire: ok(request.get("x-forwarded-for", "none")))
        inner = self.weir(config_for(self.behind, listener={"proxy_protocol": True, "protocol": "http2"}))
        outer = self.weir(
            config_for(
                {"name": "inner", "url": f"http://127.0.0.1:{inner.port}"},
                cluster={"proxy_protocol": "v2", "protocol": "auto"},
            )
        )
        until(lambda: outer.backends()["inner"]["protocol"] == "http2", "the probe has found HTTP/2")
        for source in ("127.0.0.8", "127.0.0.9"):
            wire = self.connect(outer.port, source=(source, 0))
            for _ in range(2):
                self.assertEqual(wire.send(render("GET", "/")).final().text, source)
        self.assertEqual(outer.metric("lb_pool_connections_created_total", protocol="http2"), 2)

    def test_over_tls(self):
        """The header goes in the clear, before the handshake."""
        root = Authority(self.folder())
        self.behind = self.backend(answer=lambda request, wire: ok(request.get("x-forwarded-for", "none")))
        for protocol in ("http1", "http2"):
            inner = self.weir(
                config_for(
                    self.behind,
                    listener={
                        "proxy_protocol": True,
                        "protocol": protocol,
                        "tls": {"certificates": [root.issue("site", "DNS:localhost,IP:127.0.0.1")]},
                    },
                )
            )
            outer = self.weir(
                config_for(
                    {"name": "inner", "url": f"https://127.0.0.1:{inner.port}"},
                    cluster={
                        "proxy_protocol": "v2",
                        "tls": {"ca": str(root.cert)},
                        "health_check": {"path": "/", "interval": "100ms"},
                    },
                )
            )
            for source in ("127.0.0.8", "127.0.0.9"):
                wire = self.connect(outer.port, source=(source, 0))
                for _ in range(2):
                    self.assertEqual(wire.send(render("GET", "/")).final().text, source)
            self.assertEqual(outer.metric("lb_pool_connections_created_total", protocol=protocol), 2)
            until(lambda: outer.admin("/readyz").status == 200, "its check has answered")
            self.assertEqual(outer.metric("lb_healthy_backends", cluster="app"), 1)

    def test_a_client_that_leaves_frees_its_place(self):
        self.start("v2")
        self.running.reload(
            config_for(
                {"name": "backend", "url": self.behind.url, "max_connections": 1},
                cluster={"proxy_protocol": "v2", "protocol": "http1"},
            )
        )
        self.connect(self.running.port).send(render("GET", "/")).final()
        self.assertEqual(fetch(self.running.port).status, 200)


if __name__ == "__main__":
    unittest.main()
