"""The keys of a listener."""

import json
import socket
import ssl
import time

from certificates import Authority
from harness import WEBSOCKET, config_for, fetch, free_port, readable, render, respond_config, until, weir as command
from keys_table import KeyCase, shows


PROXY_V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([192, 0, 2, 7, 192, 0, 2, 80, 156, 64, 0, 80])


def with_limits(**limits):
    return respond_config(listener={"limits": limits})


class ListenerKeys(KeyCase):
    @shows("listeners[].name")
    def test_name(self):
        names = ("web", "front")
        for weir, name in zip(self.pair(lambda n: respond_config(listener={"name": n}), *names), names):
            self.assertEqual(weir.metric("lb_active_connections", listener=name), 0)

    @shows("listeners[].address")
    def test_address(self):
        for port in (free_port(), free_port()):
            self.weir(respond_config(listener={"address": f"127.0.0.1:{port}"}))
            self.assertEqual(fetch(port).status, 200)

    @shows("listeners[].protocol")
    def test_protocol(self):
        for value in ("auto", "http1", "http2"):
            weir = self.weir(respond_config(listener={"protocol": value}))
            self.assertEqual(weir.admin("/api/v1/config").json()["config"]["listeners"][0]["protocol"], value)
        path = self.folder() / "config.yaml"
        path.write_text(json.dumps(respond_config(listener={"protocol": "tcp"})))
        self.assertIn("not supported yet", command("check", "-f", path).stderr)

    def tls(self, port, name="localhost", **options):
        context = ssl.create_default_context(cafile=self.root.cert)
        for key, value in options.items():
            setattr(context, key, value)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
            with context.wrap_socket(raw, server_hostname=name) as wrapped:
                wrapped.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                return dict(part[0] for part in wrapped.getpeercert()["subject"])["commonName"], wrapped.recv(100)

    @shows("listeners[].tls.certificates[].cert", "listeners[].tls.certificates[].key")
    def test_certificates(self):
        self.root = Authority(self.folder())
        for name in ("one", "two"):
            files = self.root.issue(name, "DNS:localhost")
            weir = self.weir(respond_config(listener={"tls": {"certificates": [files]}}))
            self.assertEqual(self.tls(weir.port)[0], name)

    @shows("listeners[].tls.min_version", "listeners[].tls.client_ca")
    def test_tls(self):
        self.root = Authority(self.folder())
        files = [self.root.issue("site", "DNS:localhost")]
        low, high, strict = self.pair(
            lambda tls: respond_config(listener={"tls": {"certificates": files, **tls}}),
            {"min_version": "1.2"},
            {"min_version": "1.3"},
            {"client_ca": str(self.root.cert)},
        )
        old = {"maximum_version": ssl.TLSVersion.TLSv1_2}
        self.assertIn(b"200 OK", self.tls(low.port, **old)[1])
        for port in (high.port, strict.port):
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                self.tls(port, **old)

    @shows("listeners[].trusted_proxies")
    def test_trusted_proxies(self):
        backend = self.backend()
        for trusted, seen in (([], "127.0.0.1"), (["127.0.0.0/8"], "192.0.2.7, 127.0.0.1")):
            weir = self.weir(config_for(backend, listener={"trusted_proxies": trusted}))
            fetch(weir.port, fields={"X-Forwarded-For": "192.0.2.7"})
            self.assertEqual(backend.requests[-1].get("x-forwarded-for"), seen)

    @shows("listeners[].proxy_protocol")
    def test_proxy_protocol(self):
        backend = self.backend()
        without, with_header = self.pair(
            lambda on: config_for(backend, listener={"proxy_protocol": on}), False, True
        )
        for header in (b"PROXY TCP4 192.0.2.7 192.0.2.80 40000 80\r\n", PROXY_V2):
            request = header + render("GET", "/")
            wire = self.connect(with_header.port).send(request)
            self.assertEqual(wire.final().status, 200)
            self.assertEqual(backend.requests[-1].get("x-forwarded-for"), "192.0.2.7")
            self.assertEqual(self.connect(without.port).send(request).final().status, 400)
        self.connect(with_header.port).send(render("GET", "/")).rest()
        refused = {"listener": "web", "reason": "proxy_header_broken"}
        until(lambda: with_header.metric("lb_connections_refused_total", **refused) == 1, "it was counted")

    @shows("listeners[].limits.header_bytes")
    def test_header_bytes(self):
        small, large = self.pair(lambda n: with_limits(header_bytes=n), 300, "64KiB")
        fields = {"X-Long": "x" * 400}
        self.assert_reply(fetch(small.port, fields=fields), 431, "headers_too_large")
        self.assertEqual(fetch(large.port, fields=fields).status, 200)

    @shows("listeners[].limits.headers")
    def test_headers(self):
        few, many = self.pair(lambda n: with_limits(headers=n), 4, 100)
        fields = {f"X-{i}": "x" for i in range(5)}
        self.assert_reply(fetch(few.port, fields=fields), 431, "headers_too_large")
        self.assertEqual(fetch(many.port, fields=fields).status, 200)

    @shows("listeners[].limits.uri_bytes")
    def test_uri_bytes(self):
        short, long = self.pair(lambda n: with_limits(uri_bytes=n), 64, "16KiB")
        path = "/" + "a" * 64
        self.assert_reply(fetch(short.port, path), 414, "uri_too_long")
        self.assertEqual(fetch(short.port, path[:64]).status, 200)
        self.assertEqual(fetch(long.port, path).status, 200)

    @shows("listeners[].limits.body_bytes")
    def test_body_bytes(self):
        backend = self.backend()
        small, large = self.pair(lambda n: config_for(backend, listener={"limits": {"body_bytes": n}}), 10, "none")
        self.assert_reply(fetch(small.port, method="POST", body=b"x" * 11), 413, "body_too_large")
        self.assertEqual(fetch(small.port, method="POST", body=b"x" * 10).status, 200)
        self.assertEqual(fetch(large.port, method="POST", body=b"x" * 11).status, 200)

    @shows("listeners[].limits.max_connections")
    def test_max_connections(self):
        one, many = self.pair(lambda n: with_limits(max_connections=n), 1, 100)
        for weir in (one, many):
            self.connect(weir.port).send(render("GET", "/")).final()
        self.assert_reply(fetch(one.port), 503, "overloaded")
        self.assertEqual(fetch(many.port).status, 200)
        self.assertEqual(one.metric("lb_connections_refused_total", listener="web", reason="overloaded"), 1)

    def assert_in_config(self, key, one, two):
        # Without TLS and HTTP/2 nothing else can show these.
        for value in (one, two):
            limits = self.weir(with_limits(**{key: value})).admin("/api/v1/config").json()["config"]["listeners"][0]
            self.assertEqual(limits["limits"][key], value)
        path = self.folder() / "config.yaml"
        path.write_text(json.dumps(with_limits(**{key: "some"})))
        self.assertEqual(command("check", "-f", path).returncode, 1)

    @shows("listeners[].limits.concurrent_streams")
    def test_concurrent_streams(self):
        self.assert_in_config("concurrent_streams", 7, 8)

    @shows("listeners[].limits.handshake_timeout")
    def test_handshake_timeout(self):
        files = [Authority(self.folder()).issue("site", "DNS:localhost")]
        short, long = self.pair(
            lambda n: respond_config(
                listener={"tls": {"certificates": files}, "limits": {"handshake_timeout": n}}
            ),
            "100ms",
            "1m",
        )
        begun = [self.connect(weir.port) for weir in (short, long)]
        for wire in begun:
            wire.send(b"\x16\x03\x01\x02\x00")
        self.assert_only_first(lambda: readable(begun[0].sock, 0), lambda: readable(begun[1].sock, 0), "closed")

    def assert_http2_in_config(self, key, one, two, wrong):
        for value in (one, two):
            config = self.weir(with_limits(http2={key: value})).admin("/api/v1/config").json()["config"]
            self.assertEqual(config["listeners"][0]["limits"]["http2"][key], value)
        path = self.folder() / "config.yaml"
        path.write_text(json.dumps(with_limits(http2={key: wrong})))
        self.assertEqual(command("check", "-f", path).returncode, 1)

    @shows("listeners[].limits.http2.resets")
    def test_http2_resets(self):
        self.assert_http2_in_config("resets", "20/s", "none", "20")

    @shows("listeners[].limits.http2.control_frames")
    def test_http2_control_frames(self):
        self.assert_http2_in_config("control_frames", "7/s", "8/s", "0/s")

    @shows("listeners[].limits.http2.window_bytes")
    def test_http2_window_bytes(self):
        self.assert_http2_in_config("window_bytes", "1MiB", "8MiB", "8/s")

    @shows("listeners[].limits.http2.held_bytes")
    def test_http2_held_bytes(self):
        self.assert_http2_in_config("held_bytes", "1MiB", "none", "8/s")

    def two_clients(self, make, one, two, sent):
        wires = [self.connect(weir.port).send(sent) for weir in self.pair(make, one, two)]
        for wire in wires:
            wire.sock.setblocking(False)
        return wires

    def arrived(self, wire):
        """What has come so far, None if the connection was closed or reset without a byte."""
        try:
            data = wire.sock.recv(1 << 16, 2)  # MSG_PEEK
        except BlockingIOError:
            return b""
        except ConnectionResetError:
            return None
        return data or None

    def assert_first_hears(self, wires, check):
        first, second = wires
        self.assert_only_first(lambda: check(self.arrived(first)), lambda: check(self.arrived(second)), "an answer")

    @shows("listeners[].limits.header_timeout")
    def test_header_timeout(self):
        wires = self.two_clients(lambda t: with_limits(header_timeout=t), "100ms", "1m", "GET / HTTP/1.1\r\nHost:")
        self.assert_first_hears(wires, lambda got: got and got.startswith(b"HTTP/1.1 408"))

    @shows("listeners[].limits.body_timeout")
    def test_body_timeout(self):
        backend = self.backend()
        wires = self.two_clients(
            lambda t: config_for(backend, listener={"limits": {"body_timeout": t}}),
            "100ms",
            "1m",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
        )
        self.assert_first_hears(wires, lambda got: got and got.startswith(b"HTTP/1.1 408"))

    @shows("listeners[].limits.body_min_rate")
    def test_body_min_rate(self):
        # The rate is an average over 30 s, so this takes as long.
        backend = self.backend()
        wires = self.two_clients(
            lambda r: config_for(backend, listener={"limits": {"body_min_rate": r}}),
            "1000B/s",
            "none",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
        )
        deadline = time.monotonic() + 45
        while not self.arrived(wires[0]) and time.monotonic() < deadline:
            for wire in wires:
                wire.sock.sendall(b"0123456789")
            time.sleep(0.25)  # the slow sender
        self.assertTrue((self.arrived(wires[0]) or b"").startswith(b"HTTP/1.1 408"), self.arrived(wires[0]))
        self.assertEqual(self.arrived(wires[1]), b"")

    @shows("listeners[].limits.idle_timeout")
    def test_idle_timeout(self):
        wires = self.two_clients(lambda t: with_limits(idle_timeout=t), "100ms", "1m", b"")
        self.assert_first_hears(wires, lambda got: got is None)

    @shows("listeners[].limits.tunnel_idle_timeout")
    def test_tunnel_idle_timeout(self):
        switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"

        def tunnel(wire):
            wire.head()
            wire.send(switch)
            wire.rest()

        backend = self.backend(raw=tunnel)
        wires = []
        for weir in self.pair(
            lambda t: config_for(backend, listener={"limits": {"tunnel_idle_timeout": t}}), "100ms", "1h"
        ):
            wire = self.connect(weir.port).send(render("GET", "/", WEBSOCKET))
            self.assertEqual(wire.final().status, 101)
            wire.sock.setblocking(False)
            wires.append(wire)
        self.assert_first_hears(wires, lambda got: got is None)

    @shows("listeners[].access_log.path")
    def test_access_log_path(self):
        folder = self.folder()
        for name in ("one.log", "two.log"):
            weir = self.weir(respond_config(listener={"access_log": {"path": str(folder / name)}}))
            fetch(weir.port, "/" + name)
            until(lambda: (folder / name).exists() and f"/{name}" in (folder / name).read_text(), "the line is there")

    @shows("listeners[].access_log.format")
    def test_access_log_format(self):
        lines = {}
        for form in ("json", "combined"):
            weir = self.weir(respond_config(listener={"access_log": {"path": "access.log", "format": form}}))
            fetch(weir.port)
            log = weir.folder / "access.log"
            lines[form] = until(lambda: log.exists() and log.read_text(), "a line")
        self.assertEqual(json.loads(lines["json"])["status"], 200)
        self.assertRegex(lines["combined"], r'^127\.0\.0\.1 - - \[.*\] "GET / HTTP/1\.1" 200 \d+ "[^"]*" "[^"]*"')

    @shows("listeners[].via")
    def test_via(self):
        backend = self.backend()
        without, with_via = self.pair(lambda on: config_for(backend, listener={"via": on}), False, True)
        answers = [fetch(weir.port).get("via") for weir in (without, with_via)]
        self.assertEqual([request.get("via") for request in backend.requests], [None, "1.1 weir"])
        self.assertEqual(answers, [None, "1.1 weir"])
