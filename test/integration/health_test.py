#!/usr/bin/env python3
"""Health checks, what a dead backend does to traffic, shares over two workers, and names."""

import collections
import threading
import time
import unittest

from harness import Backend, Case, backend_of, config_for, connect, fetch, free_port, ok, render, until
from namespaces import DnsServer, in_namespace


def share_of(port, count, connections=16):
    """How often each answer came, over several connections at once."""
    counts = collections.Counter()
    wires = [connect(port) for _ in range(connections)]
    for _ in range(count // connections):
        for wire in wires:
            wire.send(render("GET", "/"))
        for wire in wires:
            counts[wire.final().text] += 1
    for wire in wires:
        wire.close()
    return counts


class Checks(Case):
    def test_rise_and_fall_of_http_checks(self):
        status = {"now": "200 OK"}
        backend = self.backend(answer=lambda request, wire: ok("x", status=status["now"]))
        weir = self.weir(
            config_for(
                backend,
                cluster={
                    "health_check": {"interval": "40ms", "unhealthy_after": 3, "healthy_after": 2, "path": "/health"}
                },
            )
        )
        until(lambda: weir.admin("/readyz").status == 200, "ready")
        status["now"] = "503 No"
        before = backend.count("/health")
        until(lambda: weir.metric("lb_backend_health_status", backend="backend") == 0, "unhealthy")
        self.assertGreaterEqual(backend.count("/health") - before, 3)
        until(lambda: fetch(weir.port).text == "503 no_healthy_backend\n", "the workers know")
        self.assertFalse(weir.backends()["backend"]["healthy"])
        status["now"] = "200 OK"
        until(lambda: fetch(weir.port).status == 200, "back")
        weir.wait_log("backend is unhealthy.*503")
        weir.wait_log("backend is healthy")

    def test_tcp_checks(self):
        backend = self.backend(raw=lambda wire: wire.rest())
        weir = self.weir(config_for(backend, cluster={"health_check": {"type": "tcp", "interval": "40ms"}}))
        until(lambda: backend.connections > 3, "several checks")
        self.assertEqual(weir.metric("lb_healthy_backends", cluster="app"), 1)
        backend.stop()
        until(lambda: weir.metric("lb_healthy_backends", cluster="app") == 0, "unhealthy")

    def test_checks_are_not_counted_as_traffic(self):
        backend = self.backend()
        weir = self.weir(config_for(backend, cluster={"health_check": {"interval": "20ms"}}))
        until(lambda: backend.count() > 4, "checks")
        self.assertIsNone(weir.metric("lb_backend_requests_total"))
        self.assertIsNone(weir.metric("lb_requests_total"))

    def test_refused_is_out_at_once_and_back_within_a_second(self):
        one, two = self.backend("one"), self.backend("two")
        weir = self.weir(config_for(one, two, cluster={"health_check": {"interval": "1h", "unhealthy_after": 100}}))
        until(lambda: weir.admin("/readyz").status == 200, "ready")
        two.stop()
        answers = [fetch(weir.port) for _ in range(6)]
        self.assertEqual({(answer.status, answer.text) for answer in answers}, {(200, "one")})
        until(lambda: weir.metric("lb_backend_health_status", backend="two") == 0, "unhealthy")
        two.start()
        began = time.monotonic()
        until(lambda: weir.metric("lb_backend_health_status", backend="two") == 1, "back after one success")
        self.assertLess(time.monotonic() - began, 2)
        until(lambda: fetch(weir.port).text == "two", "traffic again")

    def test_no_backend_at_all_is_an_immediate_503(self):
        port = free_port()
        weir = self.weir(
            config_for(
                {"url": f"http://127.0.0.1:{port}"},
                cluster={"health_check": {"interval": "1h"}, "retry": {"backoff": {"base": "5s", "max": "5s"}}},
            )
        )
        until(lambda: weir.metric("lb_healthy_backends", cluster="app") == 0, "unhealthy")
        began = time.monotonic()
        self.assert_reply(fetch(weir.port), 503, "no_healthy_backend")
        self.assertLess(time.monotonic() - began, 1)

    def test_without_health_check_only_the_attempt_fails(self):
        port = free_port()
        weir = self.weir(
            config_for({"name": "gone", "url": f"http://127.0.0.1:{port}"}, cluster={"retry": {"attempts": 1}})
        )
        for _ in range(3):
            self.assert_reply(fetch(weir.port), 502, "connect_failed")
        self.assertEqual(weir.metric("lb_backend_health_status", backend="gone"), 1)
        back = Backend(self, "back", address=("127.0.0.1", port))
        self.assertEqual(fetch(weir.port).text, back.name)


class Shares(Case):
    def test_weights_hold_over_two_workers_after_a_backend_left_and_returned(self):
        backends = [self.backend(name) for name in ("a", "b", "c")]
        weights = {"a": 2, "b": 1, "c": 1}
        weir = self.weir(
            config_for(
                *(backend_of(one, weight=weights[one.name]) for one in backends),
                workers=2,
                cluster={"health_check": {"interval": "100ms", "healthy_after": 1}},
            )
        )
        until(lambda: weir.admin("/readyz").status == 200, "ready")

        def assert_shares(expected):
            counts = share_of(weir.port, 4000)
            total = sum(expected.values())
            self.assertEqual(sum(counts.values()), 4000)
            for name, weight in expected.items():
                self.assertLess(abs(counts[name] / 4000 - weight / total), 0.02, counts)

        assert_shares(weights)
        backends[1].stop()
        until(lambda: weir.metric("lb_backend_health_status", backend="b") == 0, "b is out")
        assert_shares({"a": 2, "c": 1})
        backends[1].start()
        until(lambda: weir.metric("lb_backend_health_status", backend="b") == 1, "b is back")
        assert_shares(weights)
        for worker in ("0", "1"):
            self.assertGreater(weir.metric("lb_worker_requests_total", worker=worker), 2000)

    def test_least_connections_avoids_the_busy_one(self):
        go = threading.Event()
        self.addCleanup(go.set)
        busy = self.backend("busy", lambda request, wire: go.wait(60) and ok("busy"))
        quick = self.backend("quick")
        weir = self.weir(config_for(busy, quick, cluster={"balance": "least_connections"}))
        wires = [self.connect(weir.port).send(render("GET", "/")) for _ in range(2)]
        until(lambda: busy.count(), "one hangs")
        counts = share_of(weir.port, 40, 1)
        self.assertEqual(counts, {"quick": 40})
        go.set()
        self.assertEqual(sorted(wire.final().text for wire in wires)[0], "busy")


class Names(Case):
    def test_localhost(self):
        backend = self.backend("here")
        weir = self.weir(config_for({"url": f"http://localhost:{backend.port}"}))
        until(lambda: weir.metric("lb_healthy_backends", cluster="app") == 1, "resolved")
        self.assertEqual(fetch(weir.port).text, "here")
        self.assertEqual(list(weir.backends()), [f"localhost:{backend.port}"])

    def test_a_name_that_does_not_resolve_never_prevents_the_start(self):
        weir = self.weir(
            config_for(
                {"name": "nowhere", "url": "http://no-such-name.invalid:80"},
                self.backend("good"),
                cluster={"health_check": {"interval": "100ms"}},
            )
        )
        self.assertEqual({fetch(weir.port).text for _ in range(4)}, {"good"})
        weir.wait_log("no-such-name.invalid", 30)
        until(lambda: weir.admin("/readyz").status == 200, "ready", 30)
        self.assertEqual(weir.metric("lb_backend_health_status", backend="nowhere"), 0)

    @in_namespace
    def test_addresses_follow_the_name_server(self):
        server = DnsServer(self, {"app.test": ["127.0.0.1"]})
        one = self.backend("one")
        Backend(self, "two", address=("127.0.0.2", one.port))
        weir = self.weir(config_for({"url": f"http://app.test:{one.port}"}, cluster={"dns": {"refresh": "1s"}}))
        until(lambda: fetch(weir.port).text == "one", "resolved")
        server.addresses["app.test"] = ["127.0.0.1", "127.0.0.2"]
        until(lambda: len(weir.backends()) == 2, "two addresses")
        self.assertEqual(sorted(weir.backends()), [f"app.test:{one.port}@127.0.0.{i}" for i in (1, 2)])
        self.assertEqual({fetch(weir.port).text for _ in range(4)}, {"one", "two"})
        server.addresses["app.test"] = []  # an empty answer keeps the last addresses
        asked = len(server.questions)
        until(lambda: len(server.questions) > asked + 2, "asked again")
        self.assertEqual({fetch(weir.port).text for _ in range(4)}, {"one", "two"})
        del server.addresses["app.test"]  # so does a failed one
        asked = len(server.questions)
        until(lambda: len(server.questions) > asked + 2, "asked again")
        self.assertEqual({fetch(weir.port).text for _ in range(4)}, {"one", "two"})
        server.addresses["app.test"] = ["127.0.0.2"]
        until(lambda: list(weir.backends()) == [f"app.test:{one.port}"], "one address")
        until(lambda: {fetch(weir.port).text for _ in range(3)} == {"two"}, "the old address gets nothing")

    @in_namespace
    def test_a_name_that_resolves_later_is_used(self):
        server = DnsServer(self, {})
        backend = self.backend("late")
        weir = self.weir(config_for({"url": f"http://later.test:{backend.port}"}, cluster={"dns": {"refresh": "1s"}}))
        self.assert_reply(fetch(weir.port), 503, "no_healthy_backend")
        server.addresses["later.test"] = ["127.0.0.1"]
        until(lambda: fetch(weir.port).text == "late", "used")


if __name__ == "__main__":
    unittest.main()
