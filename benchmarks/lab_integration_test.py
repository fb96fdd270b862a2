#!/usr/bin/env python3
"""Runs the lab for real, shortened: what it leaves has its form and makes sense, whatever the machine's speed. And its
own load generator agrees with wrk and h2load where they overlap."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
BENCHMARKS = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(BENCHMARKS))

from lab import load, machine, network, processes, run, schema  # noqa: E402  (the path comes first)
from lab.scripts import ALL  # noqa: E402

BINARIES = pathlib.Path(os.environ["WEIR_BINARIES"])
SHORT = ["--quick", "--duration", "0.3", "--slices", "1", "--peers", "none"]


def run_lab(*arguments, **options):
    return subprocess.run(
        [BENCHMARKS / "lab/start", *arguments], capture_output=True, text=True, timeout=280, **options
    )


class Bench:
    """As much of a Lab as the load generators need."""

    def __init__(self, folder):
        self.keeper = processes.Keeper(folder)
        self.ports = network.Ports()

    def tool(self, name):
        return BINARIES / name

    def note_command(self, command, title):
        pass

    def backend(self, **environment):
        port = self.ports.take()
        process = self.keeper.start(
            "backend", [BINARIES / "weir-backend", "--listen", f"127.0.0.1:{port}"], environment=environment
        )
        deadline = time.monotonic() + 15
        while not machine.listens(port):
            assert time.monotonic() < deadline and process.alive()
            time.sleep(0.01)
        return port, process


class Agreement(unittest.TestCase):
    """With a delay in the backend the right answer is known, however busy the machine is."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.bench = Bench(folder.name)
        self.addCleanup(self.bench.keeper.close)

    def assert_near(self, ours, theirs, share, what):
        self.assertLess(abs(ours - theirs), share * max(ours, theirs), f"{what}: {ours} and {theirs}")

    def test_closed_loop_latency_and_rate_agree_with_wrk(self):
        port, _ = self.bench.backend(BASE_DELAY_MS="40")
        wrk = load.wrk(self.bench, port, "/bytes?size=64", 1, 8, body=64)
        own = load.open_loop(self.bench, port, "/bytes?size=64", 0, 1, 8, body=64)
        self.assertEqual((wrk.faults, own.faults), ([], []))
        self.assert_near(own.latency_us["p50"], wrk.latency_us["p50"], 0.25, "p50")
        self.assert_near(own.rate, wrk.rate, 0.25, "rate")

    def test_a_rate_that_the_server_keeps_up_with_gives_wrks_latency(self):
        port, _ = self.bench.backend(BASE_DELAY_MS="40")
        wrk = load.wrk(self.bench, port, "/bytes?size=64", 1, 8, body=64)
        own = load.open_loop(self.bench, port, "/bytes?size=64", 200, 1, 64, body=64)
        self.assertEqual(own.faults, [])
        self.assert_near(own.latency_us["p50"], wrk.latency_us["p50"], 0.25, "p50")
        self.assert_near(own.rate, 200, 0.25, "rate")

    def test_over_http2_it_agrees_with_h2load(self):
        folder = pathlib.Path(self.bench.keeper.folder)
        (folder / "bytes").write_bytes(b"x" * 64)
        port = self.bench.ports.take()
        self.bench.keeper.start("nghttpd", ["nghttpd", "--no-tls", "-d", folder, str(port)])
        deadline = time.monotonic() + 15
        while not machine.listens(port):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        theirs = load.h2load(self.bench, port, "/bytes?size=64", 1, 4, streams=8, body=64)
        own = load.open_loop(self.bench, port, "/bytes?size=64", 0, 1, 4, http2=True, streams=8, body=64)
        self.assertEqual((theirs.faults, own.faults), ([], []))
        self.assert_near(own.rate, theirs.rate, 0.6, "rate at saturation")
        self.assert_near(own.latency_us["mean"], 32e6 / own.rate, 0.2, "mean by Little's law")

    def test_new_connections_agree_with_wrk_that_closes_each(self):
        port, _ = self.bench.backend(BASE_DELAY_MS="40")
        close = BENCHMARKS / "tools" / "close.lua"
        wrk = load.wrk(self.bench, port, "/bytes?size=64", 1, 8, lua=close)
        own = load.connect_rate(self.bench, port, "/bytes?size=64", 1, 8, body=64)
        self.assertEqual((wrk.faults, own.faults), ([], []))
        self.assert_near(own.rate, wrk.rate, 0.3, "connections a second")

    def test_tls_handshakes_are_full_or_resumed_as_asked_and_agree_with_wrk(self):
        folder = pathlib.Path(self.bench.keeper.folder)
        subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
                "-keyout",
                folder / "key",
                "-out",
                folder / "cert",
            ],
            check=True,
            capture_output=True,
        )
        port = self.bench.ports.take()
        self.bench.keeper.start(
            "openssl",
            [
                "openssl",
                "s_server",
                "-accept",
                str(port),
                "-cert",
                folder / "cert",
                "-key",
                folder / "key",
                "-HTTP",
                "-quiet",
            ],
            folder=folder,
        )
        (folder / "page").write_text("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
        deadline = time.monotonic() + 15
        while not machine.listens(port):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        for kind in ("full", "resumed"):
            own = load.connect_rate(self.bench, port, "/page", 1, 1, tls=kind, body=2)
            self.assertEqual(own.faults, [])
            self.assertEqual(own.resumed > 0, kind == "resumed")
            wrk = load.wrk(self.bench, port, "/page", 1, 1, tls=True)
            self.assertEqual(wrk.faults, [])
            self.assert_near(own.rate, wrk.rate, 0.75, f"{kind} handshakes a second")

    def test_a_stall_is_seen_by_the_open_loop_and_hidden_by_the_closed_one(self):
        port, backend = self.bench.backend()
        stall = ["sh", "-c", f"sleep 1; kill -STOP {backend.popen.pid}; sleep 1; kill -CONT {backend.popen.pid}"]
        self.bench.keeper.start("stall", stall)
        own = load.open_loop(self.bench, port, "/bytes?size=64", 300, 3, 16, warm_up=0)
        self.assertEqual(own.faults, [])
        # A third of the requests fell due in that second, on the average half a second before its end.
        self.assertGreater(own.latency_us["p90"], 400_000)
        self.assertGreater(own.latency_us["mean"], 80_000)

    def test_errors_are_faults(self):
        port, _ = self.bench.backend(FAIL_PCT="30")
        self.assertEqual(
            load.open_loop(self.bench, port, "/echo", 300, 1, 8).faults, ["answers with an error status"]
        )
        self.assertEqual(load.wrk(self.bench, port, "/echo", 1, 8).faults, ["answers with an error status"])
        port, _ = self.bench.backend()
        self.assertEqual(
            load.open_loop(self.bench, port, "/bytes?size=63", 300, 1, 8, body=64).faults, ["bytes are missing"]
        )
        nobody = self.bench.ports.take()
        self.assertIn("connections were refused", load.open_loop(self.bench, nobody, "/", 300, 1, 8).faults)
        self.assertIn("connections failed", load.connect_rate(self.bench, nobody, "/", 1, 8).faults)

    def test_connections_are_held(self):
        port, _ = self.bench.backend()
        held = load.Held(self.bench, port, "/bytes?size=64", 500)
        self.assertEqual((held.open, held.failed, machine.established_on(port)), (500, 0, 500))
        self.assertEqual(held.close(), 500)

    def test_connections_are_held_over_tls(self):
        folder = pathlib.Path(self.bench.keeper.folder)
        make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
        command = [*make.split(), "-keyout", folder / "key", "-out", folder / "cert"]
        subprocess.run(command, check=True, capture_output=True)
        backend, _ = self.bench.backend()
        port = self.bench.ports.take()
        (folder / "weir.yaml").write_text(
            f"workers: 1\nadmin: {{address: 127.0.0.1:{self.bench.ports.take()}}}\n"
            f"listeners: [{{name: web, address: 127.0.0.1:{port}, "
            f"tls: {{certificates: [{{cert: {folder}/cert, key: {folder}/key}}]}}}}]\n"
            f"clusters: [{{name: app, backends: [{{name: b, url: 'http://127.0.0.1:{backend}'}}]}}]\n"
            "routes: [{cluster: app}]\n"
        )
        weir = self.bench.keeper.start("weir", [BINARIES / "weir", "run", "-f", folder / "weir.yaml"])
        deadline = time.monotonic() + 15
        while not machine.listens(port):
            self.assertTrue(time.monotonic() < deadline and weir.alive(), weir.last_words())
            time.sleep(0.01)
        for http2 in (False, True):
            held = load.Held(self.bench, port, "/bytes?size=64", 300, http2, tls=True)
            self.assertEqual((held.open, held.failed, machine.established_on(port)), (300, 0, 300))
            self.assertEqual(held.close(), 300)
        clear = load.Held(self.bench, port, "/bytes?size=64", 5)
        self.assertEqual((clear.open, clear.failed), (0, 5))
        clear.close()


class Runs(unittest.TestCase):
    def results(self, *arguments, status=0, **options):
        """Runs all scripts; their documents by name, and the folder."""
        done = run_lab("run", *SHORT, *arguments, **options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        folder = pathlib.Path(done.stdout.split("\n")[0]).parent
        self.addCleanup(shutil.rmtree, folder)
        return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}, folder

    def test_every_script_leaves_a_sound_document_and_the_report_holds_them(self):
        documents, folder = self.results("--connections", "40")
        self.assertEqual(set(documents), set(run.QUICK))
        for name, document in documents.items():
            with self.subTest(script=name):
                self.assertEqual(schema.problems(document), [])
                self.assertTrue(document["complete"], document["notes"])
                self.assertTrue(document["figures"])
        page = (folder / "report.html").read_text()
        self.assertIn("<svg", page)
        self.assertNotRegex(page, r'(src|href)="https?:')
        for document in documents.values():
            self.assertIn(document["title"], page)
            self.assertIn(document["title"], (folder / "report.md").read_text())

    def test_the_hash_servers_that_are_there_are_measured_and_who_is_not_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            short = ["--quick", "--duration", "1", "--users", "20", "--ramp", "1s,1s,1s", "--proxy"]
            done = run_lab("hash", *short, "--json", "-", "--report", folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            document = json.loads(done.stdout)
            page = (pathlib.Path(folder) / "report.html").read_text()
        self.assertEqual(schema.problems(document), [])
        self.assertTrue(document["complete"], document["notes"])
        closed = {one["target"] for one in document["figures"] if one["part"] == "closed loop"}
        self.assertIn("cpp", closed)
        self.assertTrue("<svg" in page or closed == {"cpp"}, "bars are drawn where there is something to compare")
        notes = "\n".join(document["notes"])
        for name, title in (("go", "Go"), ("rust", "Rust")):
            self.assertNotEqual(name in closed, f"{title} is left out" in notes, notes)
        ramps = {one["target"] for one in document["figures"] if one["part"] == "k6 ramp" and one["name"] == "requests"}
        self.assertTrue(ramps == closed or "the k6 ramp is left out" in notes, notes)
        shares = [one["median"] for one in document["figures"] if one["name"] == "share"]
        self.assertEqual(len(shares), len(closed))
        self.assertAlmostEqual(sum(shares), 100, delta=0.1)

    def test_failing_backends_make_every_figure_void(self):
        done = run_lab("lat_conn", *SHORT, "--connections", "20", "--json", "-", env={**os.environ, "FAIL_PCT": "20"})
        document = json.loads(done.stdout)
        self.assertEqual(schema.problems(document), [])
        latencies = [one for one in document["figures"] if one["name"] == "p99"]
        self.assertTrue(latencies)
        for one in latencies:
            self.assertIsNone(one["median"])
            self.assertIn("answers with an error status", [void["reason"] for void in one["void"]])
        self.assertIsNone(document["goals"][0]["met"])

    def test_an_interrupted_run_keeps_what_it_has_and_leaves_nothing_running(self):
        lab = subprocess.Popen(
            [
                BENCHMARKS / "lab/start",
                "lat_conn",
                *SHORT,
                "--duration",
                "1",
                "--connections",
                "20,30,40",
                "--json",
                "-",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Whoever starts the tests in the background has made them deaf to SIGINT, and so all their children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        for line in lab.stderr:
            if line.startswith("[3/"):
                break
        children = self.children_of(lab.pid)
        self.assertTrue(children)
        lab.send_signal(signal.SIGINT)
        output, _ = lab.communicate(timeout=60)
        self.assertEqual(lab.returncode, 130)
        document = json.loads(output)
        self.assertTrue(document["interrupted"])
        self.assertEqual(schema.problems(document), [])
        self.assertTrue(any(one["setting"] == "20 connections" for one in document["figures"]))
        for child in children:
            self.assertFalse(os.path.exists(f"/proc/{child}"), machine.read(f"/proc/{child}/cmdline"))

    def children_of(self, parent):
        return [
            int(name)
            for name in os.listdir("/proc")
            if name.isdigit() and (machine.stat_fields(name) or ["", "0"])[1] == str(parent)
        ]

    def test_help_names_the_options_and_the_goal(self):
        for name, script in ALL.items():
            done = run_lab(name, "--help")
            self.assertEqual(done.returncode, 0)
            for word in ("--quick", "--duration", "--connections", "--peers", "--json"):
                self.assertIn(word, done.stdout)
            self.assertIn(script.goals_text.split(",")[0], re.sub(r"\s+", " ", done.stdout))
            self.assertTrue(os.access(BENCHMARKS.parent / (script.command or f"benchmarks/{name}.sh"), os.X_OK), name)

    def test_wrong_options_are_refused(self):
        for arguments in (["--connections", "x"], ["--duration", "0"], ["--nonsense"]):
            self.assertEqual(run_lab("lat_conn", *arguments).returncode, 2)

    def test_what_is_missing_is_said_in_a_line(self):
        done = run_lab("lat_conn", "--weir", "/nowhere/weir")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^benchmarks: /nowhere/weir is missing: build it")


if __name__ == "__main__":
    unittest.main()
