#!/usr/bin/env python3
"""Reload: all or nothing, and what both configurations have keeps its state."""

import copy
import json
import signal
import socket
import unittest

from harness import (
    Case,
    backend_of,
    config_for,
    connect,
    fetch,
    free_port,
    ok,
    render,
    respond_config,
    until,
    weir as command,
)


class Reload(Case):
    def generation(self, weir):
        return weir.admin("/api/v1/config").json()["generation"]

    def test_a_bad_file_changes_nothing_and_says_why(self):
        weir = self.weir(respond_config("one"))
        self.assertEqual(weir.metric("lb_config_last_reload_success"), 1)
        weir.write('{"listeners": [\n {"adress": "x"}], "clusters": [], "routes": [{}]}')
        said = command("check", "-f", weir.path).stderr
        answer = weir.reload()
        self.assertEqual(answer.status, 422)
        self.assertEqual(answer.json(), {"error": said})
        self.assertEqual(fetch(weir.port).text, "one")
        self.assertEqual(weir.metric("lb_config_last_reload_success"), 0)
        self.assertEqual((weir.metric("lb_config_generation"), self.generation(weir)), (1, 1))
        weir.wait_log("not reloaded.*config.yaml:2:")
        answer = weir.reload(respond_config("two", listener={"address": f"127.0.0.1:{weir.port}"}))
        self.assertEqual((answer.status, answer.json()["generation"]), (200, 2))
        self.assertEqual(weir.metric("lb_config_last_reload_success"), 1)
        self.assertEqual(weir.metric("lb_config_generation"), 2)
        self.assertEqual(fetch(weir.port).text, "two")

    def test_a_log_that_cannot_be_opened_changes_nothing(self):
        weir = self.weir(respond_config("one"))
        answer = weir.reload(respond_config("two", log={"path": "/nonexistent/weir.log"}))
        self.assertEqual(answer.status, 422)
        self.assertIn("/nonexistent/weir.log", answer.json()["error"])
        self.assertEqual((fetch(weir.port).text, self.generation(weir)), ("one", 1))
        self.assertEqual(weir.metric("lb_config_last_reload_success"), 0)

    def test_an_address_widens_and_narrows(self):
        weir = self.weir(respond_config("one"))
        for host in ("0.0.0.0", "127.0.0.1", "0.0.0.0"):
            config = respond_config(host, listener={"address": f"{host}:{weir.port}"})
            self.assertEqual(weir.reload(config).status, 200, host)
            self.assertEqual(fetch(weir.port).text, host)

    def test_listeners_may_overlap_from_the_start(self):
        both = free_port()
        for first, second in (("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0")):
            config = respond_config("x")
            for name, host in (("one", first), ("two", second)):
                config["listeners"].append({"name": name, "address": f"{host}:{both}"})
            weir = self.weir(config)
            self.assertEqual(fetch(both).text, "x")
            weir.signal(signal.SIGTERM)
            weir.wait()

    def test_hup_reloads(self):
        weir = self.weir(respond_config("one"))
        weir.write(respond_config("two"))
        weir.signal(signal.SIGHUP)
        until(lambda: self.generation(weir) == 2, "reloaded")
        self.assertEqual(fetch(weir.port).text, "two")

    def test_listeners_come_and_go(self):
        config = respond_config("x")
        weir = self.weir(config)
        more = free_port()
        config["listeners"].append({"name": "more", "address": f"127.0.0.1:{more}"})
        self.assertEqual(weir.reload(config).status, 200)
        self.assertEqual((fetch(weir.port).status, fetch(more).status), (200, 200))
        kept = self.connect(more)
        self.assertEqual(kept.send(render("GET", "/")).final().status, 200)
        config["listeners"].pop()
        self.assertEqual(weir.reload(config).status, 200)
        self.assertTrue(kept.closed())
        with self.assertRaises(OSError):
            connect(more)
        self.assertIsNone(weir.metric("lb_active_connections", listener="more") or None)
        self.assertEqual(fetch(weir.port).status, 200)

    def test_a_removed_listener_serves_what_runs(self):
        go = []
        slow = self.backend(answer=lambda request, wire: until(lambda: go) and ok("late"))
        config = config_for(slow, drain_timeout="1m")
        gone = free_port()
        config["listeners"].append({"name": "gone", "address": f"127.0.0.1:{gone}"})
        weir = self.weir(config)
        wire = self.connect(gone).send(render("GET", "/"))
        until(lambda: slow.count(), "under way")
        config["listeners"].pop()
        self.assertEqual(weir.reload(config).status, 200)
        go.append(True)
        answer = wire.final()
        self.assertEqual((answer.text, answer.get("connection")), ("late", "close"))

    def test_a_removed_listener_is_cut_at_drain_timeout(self):
        slow = self.backend(answer=lambda request, wire: wire.rest())
        config = config_for(slow, drain_timeout="100ms")
        gone = free_port()
        config["listeners"].append({"name": "gone", "address": f"127.0.0.1:{gone}"})
        weir = self.weir(config)
        wire = self.connect(gone).send(render("GET", "/"))
        until(lambda: slow.count(), "under way")
        config["listeners"].pop()
        weir.reload(config)
        self.assertEqual(wire.rest(), b"")

    def test_a_busy_port_is_all_or_nothing(self):
        config = respond_config("one")
        weir = self.weir(config)
        free = free_port()
        with socket.create_server(("127.0.0.1", 0)) as busy:
            next_config = respond_config("two")
            next_config["listeners"] += [
                {"name": "free", "address": f"127.0.0.1:{free}"},
                {"name": "busy", "address": f"127.0.0.1:{busy.getsockname()[1]}"},
            ]
            answer = weir.reload(next_config)
            self.assertEqual(answer.status, 422)
            self.assertIn("in use", answer.json()["error"])
            self.assertIn(str(busy.getsockname()[1]), answer.json()["error"])
        with self.assertRaises(OSError):
            connect(free)
        self.assertEqual((fetch(weir.port).text, self.generation(weir)), ("one", 1))

    def test_workers_and_admin_cannot_change(self):
        config = respond_config("one")
        weir = self.weir(config)
        for change in (
            {"workers": 2},
            {"admin": {"address": "127.0.0.1:0", "token": "some-secret-token"}},
            {"admin": "none"},
        ):
            answer = weir.reload({**config, **change})
            self.assertEqual(answer.status, 422, change)
            self.assertIn(next(iter(change)), answer.json()["error"])
            self.assertIn("restart", answer.json()["error"])
        self.assertEqual(self.generation(weir), 1)

    def test_what_stays_keeps_pools_counters_and_position(self):
        a, b = self.backend("a"), self.backend("b")
        config = config_for(a, b, cluster={"health_check": {"interval": "1h", "type": "tcp"}})
        weir = self.weir(config)
        until(lambda: weir.admin("/readyz").status == 200, "checked")
        wire = self.connect(weir.port)
        texts = [wire.send(render("GET", "/")).final().text for _ in range(3)]
        connections = (a.connections, b.connections)
        config["routes"].insert(0, {"name": "new", "match": {"path": "/new"}, "respond": {"status": 204}})
        self.assertEqual(weir.reload(config).status, 200)
        texts += [wire.send(render("GET", "/")).final().text for _ in range(3)]
        self.assertEqual(texts, texts[:2] * 3)
        self.assertEqual((a.connections, b.connections), connections)
        self.assertEqual(weir.metric("lb_requests_total", route="all"), 6)
        self.assertEqual(weir.admin("/readyz").status, 200)
        self.assertEqual(fetch(weir.port, "/new").status, 204)

    def test_what_stays_keeps_its_health(self):
        good = self.backend("good")
        sick = self.backend("sick", lambda request, wire: ok("no", status="500 No"))
        config = config_for(good, sick, cluster={"health_check": {"interval": "50ms", "unhealthy_after": 1}})
        weir = self.weir(config)
        until(lambda: weir.metric("lb_backend_health_status", backend="sick") == 0, "unhealthy")
        sick.answer = lambda request, wire: wire.rest()  # from now on it only stalls
        config["clusters"][0]["health_check"]["timeout"] = "1m"
        config["clusters"][0]["backends"].append(backend_of(self.backend("third")))
        self.assertEqual(weir.reload(config).status, 200)
        self.assertEqual(weir.metric("lb_backend_health_status", backend="sick"), 0)
        self.assertEqual({fetch(weir.port).text for _ in range(6)}, {"good", "third"})

    def test_a_removed_backend_loses_its_series_and_its_connections(self):
        a, b = self.backend("a"), self.backend("b")
        config = config_for(a, b)
        weir = self.weir(config)
        wire = self.connect(weir.port)
        for _ in range(4):
            wire.send(render("GET", "/")).final()
        config["clusters"][0]["backends"].pop()
        self.assertEqual(weir.reload(config).status, 200)
        until(lambda: not b.open, "its pooled connection is closed")
        self.assertEqual({wire.send(render("GET", "/")).final().text for _ in range(4)}, {"a"})
        until(lambda: weir.metric("lb_backend_health_status", backend="b") is None, "its health is gone")
        self.assertEqual([name for name, labels, _ in weir.metrics() if labels.get("backend") == "b"], [])
        self.assertEqual(weir.metric("lb_total_backends", cluster="app"), 1)

    def test_many_reloads_under_load_lose_nothing(self):
        backends = [self.backend(name) for name in ("a", "b")]
        config = config_for(*backends, workers=2)
        weir = self.weir(config)
        wires = [self.connect(weir.port) for _ in range(8)]
        extra = free_port()
        for round_number in range(25):
            for wire in wires:
                wire.send(render("GET", "/"))
            changed = copy.deepcopy(config)
            if round_number % 2:
                changed["listeners"].append({"name": "extra", "address": f"127.0.0.1:{extra}"})
                changed["clusters"].append({"name": f"c{round_number}", "backends": [backend_of(backends[0])]})
                changed["routes"].insert(
                    0, {"name": f"r{round_number}", "match": {"path": "/r"}, "cluster": f"c{round_number}"}
                )
            self.assertEqual(weir.reload(changed).status, 200)
            for wire in wires:
                self.assertEqual(wire.final().status, 200)
        self.assertEqual(self.generation(weir), 26)

    def test_several_hups_end_with_the_last_file(self):
        weir = self.weir(respond_config("0"))
        for number in range(1, 20):
            weir.write(respond_config(str(number)))
            weir.signal(signal.SIGHUP)
        until(lambda: fetch(weir.port).text == "19", "the last file is in force")
        self.assertLessEqual(self.generation(weir), 20)


class RoundTrip(Case):
    def test_the_configuration_in_force_is_a_configuration(self):
        backend = self.backend()
        weir = self.weir(
            config_for(
                backend, cluster={"health_check": {"path": "/x"}}, listener={"access_log": {"path": "access.log"}}
            )
        )
        shown = weir.admin("/api/v1/config").json()["config"]
        path = self.folder() / "config.yaml"
        path.write_text(json.dumps(shown))
        self.assertEqual(command("check", "-f", path).stderr, "")


if __name__ == "__main__":
    unittest.main()
