#!/usr/bin/env python3
"""The admin port: what it shows, what it changes and for whom, and what that does to traffic."""

import collections
import unittest

from harness import Case, backend_of, config_for, connect, fetch, ok, readable, render, respond_config, until


class Reading(Case):
    def test_livez_and_readyz(self):
        go = []
        backend = self.backend(answer=lambda request, wire: until(lambda: go) and ok("no", status="500 No"))
        weir = self.weir(config_for(backend, cluster={"health_check": {"interval": "50ms"}}))
        self.assertEqual(weir.admin("/livez").status, 200)
        self.assertEqual(weir.admin("/readyz").status, 503)
        go.append(True)
        until(lambda: weir.admin("/readyz").status == 200, "ready once each check has answered, whatever it said")

    def test_config_routes_clusters(self):
        backend = self.backend()
        config = config_for(backend_of(backend, weight=3), route={"match": {"path_prefix": "/api", "methods": ["GET"]}})
        weir = self.weir(config)
        fetch(weir.port, "/api")
        shown = weir.admin("/api/v1/config")
        self.assertEqual(shown.get("content-type"), "application/json")
        self.assertEqual(shown.json()["generation"], 1)
        self.assertEqual(shown.json()["config"]["drain_timeout"], "30s")  # the defaults are filled in
        self.assertEqual(
            weir.admin("/api/v1/routes").json()["routes"],
            [{"name": "all", "match": {"path_prefix": "/api", "methods": ["GET"]}, "cluster": "app"}],
        )
        cluster = weir.admin("/api/v1/clusters").json()["clusters"][0]
        self.assertEqual((cluster["name"], cluster["balance"]), ("app", "round_robin"))
        self.assertEqual(
            cluster["backends"][0],
            {
                **cluster["backends"][0],
                "name": "backend",
                "url": backend.url,
                "weight": 3,
                "state": "active",
                "healthy": True,
                "active_connections": 0,
                "requests_total": 1,
            },
        )

    def test_metrics_by_accept(self):
        weir = self.weir(respond_config())
        fetch(weir.port)
        text = weir.admin("/metrics")
        self.assertTrue(text.get("content-type").startswith("text/plain; version=0.0.4"), text.get("content-type"))
        self.assertNotIn("# EOF", text.text)
        for accept in ("application/openmetrics-text", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"):
            metrics = weir.admin("/metrics", fields={"Accept": accept})
            self.assertTrue(metrics.get("content-type").startswith("application/openmetrics-text; version=1.0.0"))
            self.assertTrue(metrics.text.endswith("# EOF\n"))
            self.assertIn("# TYPE lb_requests counter\n", metrics.text)
            self.assertIn("lb_requests_total{", metrics.text)

    def test_metrics_of_traffic(self):
        backend = self.backend(answer=lambda request, wire: ok("12345"))
        weir = self.weir(config_for(backend))
        fetch(weir.port, method="POST", body=b"abc")
        fetch(weir.port, method="BREW")
        self.assertEqual(
            weir.metric("lb_requests_total", method="POST", status_code="200", listener="web", route="all"), 1
        )
        self.assertEqual(weir.metric("lb_requests_total", method="OTHER"), 1)
        self.assertEqual(weir.metric("lb_request_size_bytes_sum"), 3)
        self.assertEqual(weir.metric("lb_response_size_bytes_sum"), 10)
        self.assertEqual(
            weir.metric("lb_backend_requests_total", cluster="app", backend="backend", status_code="200"), 2
        )
        self.assertEqual(weir.metric("lb_total_backends", cluster="app"), 1)
        self.assertEqual(weir.metric("lb_config_generation"), 1)
        self.assertGreater(weir.metric("lb_bytes_total", direction="received"), 50)
        self.assertGreater(weir.metric("process_resident_memory_bytes"), 1 << 20)
        self.assertEqual(weir.metric("lb_build_info"), 1)
        until(lambda: weir.metric("lb_active_connections", listener="web") == 0, "no connection is left")
        self.assertEqual(weir.metric("lb_pool_connections", state="active", protocol="http1"), 0)
        for name, _, _ in weir.metrics():
            self.assertRegex(name, "^(lb|process)_")

    def test_unknown_paths_and_methods(self):
        weir = self.weir(respond_config())
        self.assertEqual(weir.admin("/api/v1/nothing").status, 404)
        for path, method in (
            ("/metrics", "POST"),
            ("/api/v1/reload", "GET"),
            ("/api/v1/config", "DELETE"),
            ("/api/v1/clusters/app/backends", "PUT"),
        ):
            answer = weir.admin(path, method)
            self.assertEqual(answer.status, 405)
            self.assertIn("error", answer.json())
            self.assertTrue(answer.get("allow"))

    def test_head_has_no_body(self):
        weir = self.weir(respond_config())
        with connect(weir.admin_port) as wire:
            for _ in range(2):
                wire.send(render("HEAD", "/livez", host=f"127.0.0.1:{weir.admin_port}"))
                head = wire.response("HEAD")
                self.assertEqual((head.status, head.body), (200, b""))


class Security(Case):
    def change(self, weir, fields=(), host=None):
        return weir.admin("/api/v1/reload", "POST", fields, host=host)

    def test_a_change_needs_the_admin_address_as_host_and_origin(self):
        weir = self.weir(respond_config())
        port = weir.admin_port
        for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
            self.assertEqual(self.change(weir, host=host).status, 200, host)
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", "127.0.0.1:1"):
            self.assertEqual(self.change(weir, host=host).status, 403, host)
        self.assertEqual(self.change(weir, {"Origin": f"http://127.0.0.1:{port}"}).status, 200)
        for origin in ("http://evil.example", "null", f"https://127.0.0.1:{port}", "http://127.0.0.1:1"):
            self.assertEqual(self.change(weir, {"Origin": origin}).status, 403, origin)
        self.assertEqual(fetch(port, "/metrics", host="any.example").status, 200)  # reading is free

    def test_a_body_needs_its_content_type(self):
        weir = self.weir(config_for(self.backend()))
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx"):
            answer = weir.admin(
                "/api/v1/clusters/app/backends", "POST", {"Content-Type": kind}, b'{"url":"http://a:1"}'
            )
            self.assertGreaterEqual(answer.status, 400, kind)
        self.assertEqual(len(weir.backends()), 1)

    def test_a_token_is_asked_for(self):
        weir = self.weir(respond_config(admin={"address": "127.0.0.1:0", "token": "long-secret-token"}))
        self.assertEqual(self.change(weir, {"Authorization": "Bearer long-secret-token"}).status, 200)
        for given in ("Bearer wrong", "Bearer", "Basic long-secret-token", "Bearer long-secret-token2"):
            self.assertEqual(self.change(weir, {"Authorization": given}).status, 401, given)
        self.assertNotIn("long-secret-token", weir.admin("/api/v1/config").text)


class Backends(Case):
    def setUp(self):
        self.one, self.two = self.backend("one"), self.backend("two")
        self.running = self.weir(config_for(self.one))

    def add(self, **body):
        return self.running.admin("/api/v1/clusters/app/backends", "POST", body=body)

    def patch(self, name, **body):
        return self.running.admin(f"/api/v1/clusters/app/backends/{name}", "PATCH", body=body)

    def remove(self, name):
        return self.running.admin(f"/api/v1/clusters/app/backends/{name}", "DELETE")

    def answers(self, count=12):
        with connect(self.running.port) as wire:
            return dict(collections.Counter(wire.send(render("GET", "/")).final().text for _ in range(count)))

    def reach(self, backend):
        """A connection whose request is at that backend, which does not answer."""
        while True:
            wire = self.connect(self.running.port).send(render("GET", "/"))
            until(lambda: backend.count() or readable(wire.sock, 0), "an answer, or at the backend")
            if not readable(wire.sock, 0):
                return wire

    def test_added_patched_and_removed(self):
        added = self.add(name="two", url=self.two.url, weight=2)
        self.assertEqual(added.status, 201)
        self.assertEqual((added.json()["name"], added.json()["weight"], added.json()["url"]), ("two", 2, self.two.url))
        self.assertEqual(self.answers(), {"one": 4, "two": 8})
        patched = self.patch("two", weight=1)
        self.assertEqual((patched.status, patched.json()["weight"]), (200, 1))
        self.assertEqual(self.answers(), {"one": 6, "two": 6})
        self.assertEqual(self.running.metric("lb_total_backends", cluster="app"), 2)
        self.assertEqual(self.remove("two").status, 204)
        self.assertEqual(self.answers(), {"one": 12})
        self.assertEqual(list(self.running.backends()), ["one"])
        until(lambda: not self.two.open, "its connections are closed")

    def test_states(self):
        self.add(name="two", url=self.two.url)
        for state, share in (("draining", {"one": 12}), ("active", {"one": 6, "two": 6}), ("disabled", {"one": 12})):
            patched = self.patch("two", state=state)
            self.assertEqual((patched.status, patched.json()["state"]), (200, state))
            self.assertEqual(self.answers(), share)
            self.assertEqual(self.running.backends()["two"]["state"], state)
        self.patch("one", state="draining")
        self.assert_reply(fetch(self.running.port), 503, "no_healthy_backend")

    def test_weight_0_takes_no_new_traffic(self):
        self.add(name="two", url=self.two.url)
        self.assertEqual(self.patch("one", weight=0).status, 200)
        self.assertEqual(self.answers(), {"two": 12})

    def test_what_runs_on_a_removed_backend_ends_well(self):
        go = []
        slow = self.backend("slow", lambda request, wire: until(lambda: go) and ok("late"))
        self.add(name="slow", url=slow.url, weight=1000)
        wire = self.reach(slow)
        self.assertEqual(self.running.backends()["slow"]["active_connections"], 1)
        self.assertEqual(self.remove("slow").status, 204)
        self.assertEqual(self.answers(), {"one": 12})
        go.append(True)
        self.assertEqual(wire.final().text, "late")

    def test_errors(self):
        def post(body):
            return self.running.admin(
                "/api/v1/clusters/app/backends", "POST", {"Content-Type": "application/json"}, body
            ).status

        for body in (b"{", b"", b"[]x", b'{"url":"http://a:1"}}'):
            self.assertEqual(post(body), 400, body)
        for body in (
            b"{}",
            b'{"url":"nonsense"}',
            b'{"url":"http://a:1/path"}',
            b'{"url":"http://a:1","weight":-1}',
            b'{"url":"http://a:1","extra":1}',
            b'{"url":7}',
            b"[]",
        ):
            self.assertEqual(post(body), 422, body)
        nowhere = self.running.admin("/api/v1/clusters/none/backends", "POST", body={"url": "http://a:1"})
        self.assertEqual(nowhere.status, 404)
        self.assertEqual(self.patch("none", weight=1).status, 404)
        self.assertEqual(self.remove("none").status, 404)
        self.assertEqual(self.add(name="one", url=self.two.url).status, 409)
        for change in ({"state": "asleep"}, {"weight": "x"}, {"colour": 1}):
            self.assertEqual(self.patch("one", **change).status, 422, change)
        self.assertEqual(list(self.running.backends()), ["one"])

    def test_names_are_percent_decoded_and_default_to_host_and_port(self):
        added = self.add(url=self.two.url)
        name = f"127.0.0.1:{self.two.port}"
        self.assertEqual((added.status, added.json()["name"]), (201, name))
        self.assertEqual(self.patch(name.replace(":", "%3A"), weight=5).json()["weight"], 5)
        self.assertEqual(self.remove("127%2e0%2E0.1%3a" + str(self.two.port)).status, 204)

    def test_changes_last_until_the_next_reload_and_raise_no_generation(self):
        self.add(name="two", url=self.two.url)
        self.patch("one", weight=7)
        self.assertEqual(self.running.admin("/api/v1/config").json()["generation"], 1)
        self.assertEqual(self.running.reload().json()["generation"], 2)
        self.assertEqual({name: one["weight"] for name, one in self.running.backends().items()}, {"one": 1})
        self.assertEqual(self.answers(), {"one": 12})

    def test_max_connections_of_an_added_backend(self):
        stall = self.backend("stall", lambda request, wire: wire.rest())
        self.add(name="stall", url=stall.url, max_connections=1)
        self.patch("one", state="disabled")
        self.reach(stall)
        self.assert_reply(fetch(self.running.port), 503, "overloaded")


if __name__ == "__main__":
    unittest.main()
