"""The keys of a cluster."""

import json
import socket
import threading
import time

from certificates import Authority
from harness import Backend, backend_of, config_for, connect, fetch, free_port, ok, render, respond_config, until
from harness import weir as command
from keys_table import KeyCase, shows
from namespaces import DnsServer, in_namespace
from proxy_headers import serves_behind_proxy


def dead():
    return {"name": "dead", "url": f"http://127.0.0.1:{free_port()}"}


class ClusterKeys(KeyCase):
    @shows("clusters[].name")
    def test_name(self):
        backend = self.backend()
        for name in ("app", "shop"):
            weir = self.weir(config_for(backend, cluster={"name": name}, route={"cluster": name}))
            self.assertEqual(weir.metric("lb_total_backends", cluster=name), 1)

    @shows("clusters[].balance")
    def test_balance(self):
        def order(weir):
            with connect(weir.port) as wire:
                return [wire.send(render("GET", "/")).final().text for _ in range(200)]

        backends = [self.backend(name) for name in ("a", "b")]
        even, drawn = self.pair(lambda b: config_for(*backends, cluster={"balance": b}), "round_robin", "random")
        self.assertEqual(sum(x == y for x, y in zip(*[iter(order(even))] * 2)), 0)
        self.assertGreater(sum(x == y for x, y in zip(*[iter(order(drawn))] * 2)), 10)

    @shows("clusters[].protocol")
    def test_protocol(self):
        backend = self.backend()
        for value in ("auto", "http1", "http2"):
            weir = self.weir(config_for(backend, cluster={"protocol": value}))
            self.assertEqual(weir.admin("/api/v1/config").json()["config"]["clusters"][0]["protocol"], value)

    @shows("clusters[].proxy_protocol")
    def test_proxy_protocol(self):
        headers = []
        for version, number in (("v1", 1), ("v2", 2)):
            told = self.backend(raw=serves_behind_proxy(headers))
            weir = self.weir(config_for(told, cluster={"proxy_protocol": version, "protocol": "http1"}))
            self.assertEqual(fetch(weir.port).text.split(" ")[:2], [str(number), "127.0.0.1"])

    @shows("clusters[].backends[].name")
    def test_backend_name(self):
        backend = self.backend()
        for name in ("one", "two"):
            weir = self.weir(config_for({"name": name, "url": backend.url}))
            self.assertEqual(weir.metric("lb_backend_health_status", cluster="app", backend=name), 1)

    @shows("clusters[].backends[].url")
    def test_backend_url(self):
        for name in ("one", "two"):
            weir = self.weir(config_for({"url": self.backend(name).url}))
            self.assertEqual(fetch(weir.port).text, name)

    def secure(self, name, names="DNS:localhost,IP:127.0.0.1", **tls):
        """A backend over TLS that answers with `name`: another Weir. Gives it with its URL."""
        files = self.root.issue(name, names)
        server = self.weir(respond_config(body=name, listener={"tls": {"certificates": [files], **tls}}))
        return {"name": name, "url": f"https://127.0.0.1:{server.port}"}

    @shows("clusters[].tls.ca", "clusters[].tls.server_name", "clusters[].tls.verify")
    def test_tls_verification(self):
        self.root = Authority(self.folder())
        stranger = Authority(self.folder(), "stranger")
        here, there = self.secure("here"), self.secure("there", "DNS:there.example")
        for tls, one, other in (
            ({"ca": str(self.root.cert)}, 200, 502),
            ({"ca": str(stranger.cert)}, 502, 502),
            ({"ca": str(self.root.cert), "server_name": "there.example"}, 502, 200),
            ({"verify": False}, 200, 200),
            (None, 502, 502),
        ):
            for backend, status in ((here, one), (there, other)):
                weir = self.weir(config_for(backend, cluster={"tls": tls} if tls else None))
                answer = fetch(weir.port)
                self.assertEqual(answer.status, status, (tls, backend["name"]))
                self.assertEqual(answer.text, backend["name"] if status == 200 else "502 upstream_tls_failed\n")

    @shows("clusters[].tls.cert", "clusters[].tls.key")
    def test_tls_certificate(self):
        self.root = Authority(self.folder())
        staff = Authority(self.folder(), "staff")
        backend = self.secure("strict", client_ca=str(staff.cert))
        shown, nothing = self.pair(
            lambda files: config_for(backend, cluster={"tls": {"ca": str(self.root.cert), **files}}),
            staff.issue("weir", "DNS:weir"),
            {},
        )
        self.assertEqual(fetch(shown.port).status, 200)
        self.assertEqual(fetch(nothing.port).status, 502)

    @shows("clusters[].backends[].weight")
    def test_weight(self):
        a, b = self.backend("a"), self.backend("b")
        for weight, share in ((3, 30), (1, 20), (0, 0)):
            weir = self.weir(config_for(backend_of(a, weight=weight), backend_of(b, weight=1)))
            with connect(weir.port) as wire:
                answers = [wire.send(render("GET", "/")).final().text for _ in range(40)]
            self.assertEqual(answers.count("a"), share)

    @shows("clusters[].backends[].max_connections")
    def test_backend_max_connections(self):
        release = threading.Event()
        self.addCleanup(release.set)
        backend = self.backend(answer=lambda request, wire: release.wait(60) and ok())
        one, two = self.pair(lambda n: config_for(backend_of(backend, max_connections=n)), 1, 2)
        for weir, began in ((one, 1), (two, 2)):
            self.connect(weir.port).send(render("GET", "/"))
            until(lambda: backend.count() == began, "the first is at the backend")
        self.assert_reply(fetch(one.port), 503, "overloaded")
        self.connect(two.port).send(render("GET", "/"))
        until(lambda: backend.count() == 3, "the second is at the backend")

    @shows("clusters[].dns.family")
    def test_dns_family(self):
        # localhost is ::1 and 127.0.0.1 everywhere (RFC 6761), whatever /etc/hosts says.
        port = self.backend("four").port
        Backend(self, "six", address=("::1", port))
        answers = {}
        for family in ("ipv4", "ipv6"):
            weir = self.weir(
                config_for({"name": "local", "url": f"http://localhost:{port}"}, cluster={"dns": {"family": family}})
            )
            until(lambda: weir.metric("lb_healthy_backends", cluster="app") == 1, "the name has an address")
            answers[family] = fetch(weir.port).text
        self.assertEqual(answers, {"ipv4": "four", "ipv6": "six"})

    @shows("clusters[].dns.refresh")
    @in_namespace
    def test_dns_refresh(self):
        server = DnsServer(self, {"app.test": ["127.0.0.1"]})
        backend = self.backend()
        often, seldom = self.pair(
            lambda t: config_for(
                {"url": f"http://app.test:{backend.port}"}, cluster={"dns": {"refresh": t, "family": "ipv4"}}
            ),
            "1s",
            "1h",
        )
        for weir in (often, seldom):
            until(lambda: weir.metric("lb_healthy_backends", cluster="app") == 1, "the name has an address")
        server.addresses["app.test"] = ["127.0.0.1", "127.0.0.2"]
        self.assert_only_first(
            lambda: often.metric("lb_total_backends", cluster="app") == 2,
            lambda: seldom.metric("lb_total_backends", cluster="app") == 2,
            "the new address",
        )

    @shows("clusters[].limits.header_bytes")
    def test_response_header_bytes(self):
        backend = self.backend(answer=lambda request, wire: ok("x", [("X-Long", "x" * 500)]))
        small, large = self.pair(lambda n: config_for(backend, cluster={"limits": {"header_bytes": n}}), 400, "256KiB")
        self.assert_reply(fetch(small.port), 502, "upstream_protocol_error")
        self.assertEqual(fetch(large.port).status, 200)

    @shows("clusters[].limits.headers")
    def test_response_headers(self):
        backend = self.backend(answer=lambda request, wire: ok("x", [(f"X-{i}", "x") for i in range(10)]))
        few, many = self.pair(lambda n: config_for(backend, cluster={"limits": {"headers": n}}), 10, 11)
        self.assert_reply(fetch(few.port), 502, "upstream_protocol_error")
        self.assertEqual(fetch(many.port).status, 200)

    def assert_http2_in_config(self, key, one, two):
        backend = self.backend()
        for value in (one, two):
            weir = self.weir(config_for(backend, cluster={"limits": {"http2": {key: value}}}))
            limits = weir.admin("/api/v1/config").json()["config"]["clusters"][0]["limits"]
            self.assertEqual(limits["http2"][key], value)

    @shows("clusters[].limits.http2.resets")
    def test_http2_resets(self):
        self.assert_http2_in_config("resets", "20/s", "none")

    @shows("clusters[].limits.http2.control_frames")
    def test_http2_control_frames(self):
        self.assert_http2_in_config("control_frames", "7/s", "8/s")

    @shows("clusters[].limits.http2.window_bytes")
    def test_http2_window_bytes(self):
        self.assert_http2_in_config("window_bytes", "1MiB", "8MiB")

    def answers_first(self, make, one, two, reason, what=504):
        """With value `one` the client hears `what`, while with `two` it still waits."""
        wires = []
        for weir in self.pair(make, one, two):
            wires.append(self.connect(weir.port).send(render("GET", "/")))
        self.assert_reply(wires[0].final(), what, reason)
        wires[1].sock.setblocking(False)
        with self.assertRaises(BlockingIOError):
            wires[1].sock.recv(1)

    @shows("clusters[].timeouts.connect")
    def test_connect_timeout(self):
        # A full accept queue: what is sent there is dropped.
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                self.addCleanup(filler.close)
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
            url = f"http://127.0.0.1:{full.getsockname()[1]}"
            self.answers_first(
                lambda t: config_for({"url": url}, cluster={"timeouts": {"connect": t}, "retry": {"attempts": 1}}),
                "100ms",
                "1m",
                "connect_timeout",
            )

    @shows("clusters[].timeouts.request")
    def test_request_timeout(self):
        slow = self.backend(answer=lambda request, wire: wire.rest())
        self.answers_first(
            lambda t: config_for(slow, cluster={"timeouts": {"request": t}}), "100ms", "1m", "upstream_timeout"
        )

    @shows("clusters[].timeouts.total")
    def test_total_timeout(self):
        slow = self.backend(answer=lambda request, wire: wire.rest())
        self.answers_first(
            lambda t: config_for(slow, cluster={"timeouts": {"total": t}}), "100ms", "1m", "upstream_timeout"
        )

    @shows("clusters[].timeouts.stream_idle")
    def test_stream_idle(self):
        def stall(request, wire):
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            wire.rest()

        slow = self.backend(answer=stall)
        wires = [
            self.connect(weir.port).send(render("GET", "/"))
            for weir in self.pair(lambda t: config_for(slow, cluster={"timeouts": {"stream_idle": t}}), "100ms", "1m")
        ]
        cut = wires[0].final()
        self.assertEqual((cut.status, cut.body, cut.complete), (200, b"half", False))
        wires[1].until(b"half")
        wires[1].sock.setblocking(False)
        with self.assertRaises(BlockingIOError):
            wires[1].sock.recv(1)

    @shows("clusters[].timeouts.idle")
    def test_pool_idle(self):
        weirs = []
        for value in ("100ms", "1h"):
            backend = self.backend()
            weirs.append((self.weir(config_for(backend, cluster={"timeouts": {"idle": value}})), backend))
            self.assertEqual(fetch(weirs[-1][0].port).status, 200)
        self.assert_only_first(lambda: not weirs[0][1].open, lambda: not weirs[1][1].open, "the connection closes")


class HealthKeys(KeyCase):
    def check(self, backend, **check):
        check = {"interval": "50ms", "timeout": "2s", **check}
        return config_for(backend, cluster={"health_check": check})

    def healthy(self, weir):
        return weir.metric("lb_healthy_backends", cluster="app") == 1

    def checked(self, weir):
        return weir.admin("/readyz").status == 200

    @shows("clusters[].health_check.type")
    def test_type(self):
        failing = self.backend(answer=lambda request, wire: ok("no", status="500 No"))
        http, tcp = self.pair(lambda t: self.check(failing, type=t, unhealthy_after=1), "http", "tcp")
        self.assert_only_first(lambda: not self.healthy(http), lambda: not self.healthy(tcp), "unhealthy")

    @shows("clusters[].health_check.service")
    def test_service(self):
        for service in ("shop.Cart", "shop.Till"):
            with socket.create_server(("127.0.0.1", 0)) as server:
                server.settimeout(15)
                backend = {"name": "calls", "url": f"http://127.0.0.1:{server.getsockname()[1]}"}
                check = {"type": "grpc", "service": service, "interval": "50ms"}
                self.weir(config_for(backend, cluster={"protocol": "http2", "health_check": check}))
                with server.accept()[0] as asked:
                    asked.settimeout(15)
                    text = b""
                    while service.encode() not in text:
                        piece = asked.recv(4096)
                        self.assertTrue(piece, "it was not asked for")
                        text += piece

    @shows("clusters[].health_check.path", "clusters[].health_check.host")
    def test_path_and_host(self):
        backend = self.backend()
        for path, host in (("/one", "a.example"), ("/two", "b.example:81")):
            self.weir(self.check(backend, path=path, host=host))
            until(lambda: backend.count(path), "the check came")
            self.assertIn(host, [request.get("host") for request in backend.requests if request.target == path])

    @shows("clusters[].health_check.interval")
    def test_interval(self):
        backend = self.backend()
        self.weir(self.check(backend, path="/often", interval="20ms"))
        self.weir(self.check(backend, path="/seldom", interval="1h"))
        self.assert_only_first(lambda: backend.count("/often") > 5, lambda: backend.count("/seldom") > 1, "many checks")

    @shows("clusters[].health_check.timeout")
    def test_timeout(self):
        slow = self.backend(answer=lambda request, wire: wire.rest())
        short, long = self.pair(lambda t: self.check(slow, timeout=t, unhealthy_after=1), "100ms", "1m")
        self.assert_only_first(lambda: not self.healthy(short), lambda: not self.healthy(long), "unhealthy")

    @shows("clusters[].health_check.unhealthy_after")
    def test_unhealthy_after(self):
        failing = self.backend(answer=lambda request, wire: ok("no", status="500 No"))
        first, later = self.pair(lambda n: self.check(failing, unhealthy_after=n, interval="500ms"), 1, 1000)
        self.assert_only_first(lambda: not self.healthy(first), lambda: not self.healthy(later), "unhealthy")

    @shows("clusters[].health_check.healthy_after")
    def test_healthy_after(self):
        state = {"status": "500 No"}
        backend = self.backend(answer=lambda request, wire: ok("x", status=state["status"]))
        soon, never = self.pair(lambda n: self.check(backend, unhealthy_after=1, healthy_after=n), 1, 1000)
        for weir in (soon, never):
            until(lambda: not self.healthy(weir), "unhealthy")
        state["status"] = "200 OK"
        self.assert_only_first(lambda: self.healthy(soon), lambda: self.healthy(never), "healthy again")

    @shows("clusters[].health_check.expect")
    def test_expect(self):
        backend = self.backend(answer=lambda request, wire: ok("x", status="404 No"))
        strict, content = self.pair(
            lambda e: self.check(backend, expect=e, unhealthy_after=1), "200-299", "200-299,404"
        )
        self.assert_only_first(lambda: not self.healthy(strict), lambda: not self.healthy(content), "unhealthy")


class RetryKeys(KeyCase):
    def resetting(self):
        """Reads each request and resets the connection."""

        def answer(request, wire):
            wire.reset()

        return self.backend("resetting", answer)

    def statuses(self, config, method="GET", count=2):
        weir = self.weir(config)
        return sorted(
            fetch(weir.port, method=method, body=b"x" if method == "POST" else None).status for _ in range(count)
        )

    @shows("clusters[].retry.attempts")
    def test_attempts(self):
        for attempts, statuses in ((1, [200, 502]), (2, [200, 200])):
            config = config_for(dead(), self.backend(), cluster={"retry": {"attempts": attempts}})
            self.assertEqual(self.statuses(config), statuses)

    @shows("clusters[].retry.on")
    def test_on(self):
        for on, statuses in ((["connect_failure"], [200, 502]), (["reset"], [200, 200])):
            config = config_for(self.resetting(), self.backend(), cluster={"retry": {"on": on}})
            self.assertEqual(self.statuses(config), statuses)
        for status in (502, 503, 504):
            sorry = lambda request, wire: ok("sorry", status=f"{status} Sorry")
            for on, statuses in ((["reset"], [200, status]), ([str(status)], [200, 200])):
                config = config_for(self.backend("sorry", answer=sorry), self.backend(), cluster={"retry": {"on": on}})
                self.assertEqual(self.statuses(config), statuses)

    @shows("clusters[].retry.methods")
    def test_methods(self):
        for methods, statuses in ((["PATCH"], [200, 502]), (["POST"], [200, 200])):
            config = config_for(self.resetting(), self.backend(), cluster={"retry": {"methods": methods}})
            self.assertEqual(self.statuses(config, "POST"), statuses)

    @shows("clusters[].retry.budget")
    def test_budget(self):
        # A worker may always retry 100 times in 10 s; beyond that the share counts.
        requests = 110
        for budget, limit in (("1%", 100), ("none", requests)):
            backend = self.resetting()
            weir = self.weir(
                config_for(backend, cluster={"retry": {"budget": budget, "backoff": {"base": "0s", "max": "0s"}}})
            )
            for _ in range(requests):
                fetch(weir.port)
            self.assertLessEqual(abs(backend.count() - requests - limit), 2, budget)

    def hears_first(self, first, second):
        wires = []
        for backoff in (first, second):
            weir = self.weir(config_for(self.resetting(), cluster={"retry": {"attempts": 9, "backoff": backoff}}))
            wires.append(self.connect(weir.port).send(render("GET", "/")))
        began = time.monotonic()
        self.assert_reply(wires[0].final(), 502, "upstream_reset")
        self.assert_within(3, began)
        wires[1].sock.setblocking(False)
        with self.assertRaises(BlockingIOError):
            wires[1].sock.recv(1)

    @shows("clusters[].retry.backoff.base")
    def test_backoff_base(self):
        self.hears_first({"base": "1ms", "max": "10s"}, {"base": "10s", "max": "10s"})

    @shows("clusters[].retry.backoff.max")
    def test_backoff_max(self):
        self.hears_first({"base": "40ms", "max": "40ms"}, {"base": "40ms", "max": "1m"})
