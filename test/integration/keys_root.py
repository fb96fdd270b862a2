"""The keys of the root: workers, drain times, log, metrics, admin."""

import json
import signal

from harness import config_for, fetch, free_port, render, respond_config, until
from keys_table import KeyCase, shows


class RootKeys(KeyCase):
    @shows("workers")
    def test_workers(self):
        def count(weir):
            return len([1 for name, _, _ in weir.metrics() if name == "lb_worker_connections"])

        one, two = self.pair(lambda n: respond_config(workers=n), 1, 2)
        self.assertEqual((count(one), count(two)), (1, 2))

    @shows("drain_delay")
    def test_drain_delay(self):
        at_once, later = self.pair(lambda d: respond_config(drain_delay=d), "0s", "1m")
        for weir in (later, at_once):
            weir.signal(signal.SIGTERM)
        self.assertEqual(at_once.wait(), 0)
        self.assertEqual(fetch(later.port).status, 200)
        self.assertEqual(later.admin("/readyz").status, 503)

    @shows("drain_timeout")
    def test_drain_timeout(self):
        slow = self.backend(answer=lambda request, wire: wire.rest())
        bounded, patient = self.pair(lambda d: config_for(slow, drain_timeout=d), "100ms", "1m")
        for weir in (bounded, patient):
            self.connect(weir.port).send(render("GET", "/"))
        until(lambda: slow.count() == 2, "both requests are under way")
        for weir in (patient, bounded):
            weir.signal(signal.SIGTERM)
        self.assertEqual(bounded.wait(), 0)
        self.assertIsNone(patient.process.poll())

    @shows("log.path")
    def test_log_path(self):
        folder = self.folder()
        for name in ("one.log", "two.log"):
            self.weir(respond_config(log={"path": str(folder / name)}), wait=False)
            until(lambda: (folder / name).exists() and "listening" in (folder / name).read_text(), "the log is there")

    @shows("log.level")
    def test_log_level(self):
        port = free_port()
        quiet = self.weir(respond_config(log={"level": "error"}, admin={"address": f"127.0.0.1:{port}"}), wait=False)
        quiet.ports["admin"] = port

        def ready():
            try:
                return quiet.admin("/readyz").status == 200
            except OSError:
                return False

        until(ready, "ready")
        self.assertNotIn("listening", quiet.log)
        self.assertIn("listening", self.weir(respond_config(log={"level": "info"})).log)

    @shows("log.format")
    def test_log_format(self):
        text, lines = self.pair(lambda f: respond_config(log={"format": f}), "text", "json")
        self.assertIn("listening", json.loads(lines.log.splitlines()[0])["message"])
        with self.assertRaises(ValueError):
            json.loads(text.log.splitlines()[0])

    @shows("metrics.per_worker")
    def test_per_worker(self):
        with_label, without = self.pair(lambda on: respond_config(workers=2, metrics={"per_worker": on}), True, False)
        for weir in (with_label, without):
            fetch(weir.port)
        self.assertEqual(
            with_label.metric("lb_worker_requests_total", worker="0")
            + with_label.metric("lb_worker_requests_total", worker="1"),
            1,
        )
        self.assertEqual(without.metric("lb_worker_requests_total"), 1)
        self.assertFalse([labels for _, labels, _ in without.metrics() if "worker" in labels])

    @shows("admin.address")
    def test_admin_address(self):
        one = free_port()
        two = free_port()
        for port in (one, two):
            weir = self.weir(respond_config(admin={"address": f"127.0.0.1:{port}"}))
            self.assertEqual(fetch(port, "/livez").status, 200)
            self.assertEqual(weir.admin_port, port)

    @shows("admin.token")
    def test_admin_token(self):
        one, two = self.pair(
            lambda t: respond_config(admin={"address": "127.0.0.1:0", "token": t}),
            "first-secret-token",
            "other-secret-token",
        )
        given = {"Authorization": "Bearer first-secret-token"}
        self.assertEqual(one.admin("/api/v1/reload", "POST", given).status, 200)
        self.assertEqual(two.admin("/api/v1/reload", "POST", given).status, 401)
