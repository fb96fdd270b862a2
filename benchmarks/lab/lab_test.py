#!/usr/bin/env python3
"""Tests of the lab's own arithmetic, schema, reports and parsing; nothing is measured."""

import contextlib
import copy
import io
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
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from lab import figures, k6, lab as labs, load, machine, metrics, processes, report, run, schema  # noqa: E402
from lab import targets, trend  # noqa: E402
from lab.scripts import hash as hash_script  # noqa: E402
from lab.progress import Progress  # noqa: E402
from lab.script import Script, Step  # noqa: E402


def figure(target, samples, better="lower", void=(), setting="100 connections", name="p99"):
    return figures.figure("latency", target, setting, name, "ms", better, samples, void)


class StandIn:
    """A Lab that runs nothing."""

    quick = True
    missing = {"envoy": "not set up"}
    versions = {"weir": "weir 1"}
    commands = [{"title": "weir", "command": "weir run"}]
    options = None
    peers = [("haproxy", "3")]

    def settings(self):
        return {"network": "loopback", "proxy_core": [0]}


class Fake(Script):
    name, title, about = "fake", "A script", "Measures nothing."
    shows_not = ["Anything."]

    def steps(self):
        return [Step("one", 1, lambda: None)]


def document(*some, **changes):
    script = Fake(StandIn())
    script.figures = list(some)
    made = script.document()
    made.update(changes)
    return made


class Figures(unittest.TestCase):
    def test_few_samples_spread_to_their_ends_many_to_their_quartiles(self):
        self.assertEqual(figures.summarize([3, 1, 2]), {"median": 2, "low": 1, "high": 3})
        self.assertEqual(figures.summarize([1, 2, 3, 4, 100]), {"median": 3, "low": 2, "high": 4})
        self.assertEqual(figures.summarize([]), {"median": None, "low": None, "high": None})

    def test_a_difference_within_the_spread_is_a_tie(self):
        self.assertEqual(figures.verdict(figure("weir", [10, 12]), figure("nginx", [11, 13])), "tie")
        self.assertEqual(figures.verdict(figure("weir", [10, 12]), figure("nginx", [13, 14])), "better")
        self.assertEqual(figures.verdict(figure("weir", [15, 16]), figure("nginx", [13, 14])), "worse")

    def test_one_slice_says_nothing(self):
        self.assertEqual(figures.verdict(figure("weir", [1]), figure("nginx", [2, 3])), "")

    def test_what_is_better_depends_on_the_figure(self):
        self.assertEqual(
            figures.verdict(figure("weir", [20, 21], "higher"), figure("nginx", [10, 11], "higher")), "better"
        )
        self.assertEqual(figures.verdict(figure("weir", [20], "none"), figure("nginx", [10], "none")), "")

    def test_nothing_is_said_where_a_side_is_void(self):
        self.assertEqual(figures.verdict(figure("weir", [], void=["errors"]), figure("nginx", [1])), "")

    def test_the_ratio_reaches_as_far_as_both_spreads_allow(self):
        self.assertEqual(figures.ratio(figure("weir", [10, 20]), figure("nginx", [5, 10])), (2.0, 1.0, 4.0))

    def test_void_reasons_are_counted(self):
        self.assertEqual(
            figure("weir", [1], void=["a", "b", "a"])["void"],
            [{"reason": "a", "slices": 2}, {"reason": "b", "slices": 1}],
        )

    def test_numbers_keep_the_digits_that_count(self):
        self.assertEqual(
            [figures.number(one) for one in (None, 0, 7.0, 0.01234, 1.234, 12.34, 123.4, 123456)],
            ["void", "0", "7", "0.0123", "1.23", "12.3", "123", "123,456"],
        )


class Schema(unittest.TestCase):
    def test_a_document_of_a_script_is_in_order(self):
        self.assertEqual(
            schema.problems(document(figure("weir", [1.0, 2.0]), figure("nginx", [], void=["errors"]))), []
        )

    def test_it_finds_what_is_wrong(self):
        good = document(figure("weir", [1.0, 2.0]))
        for change, wanted in (
            (lambda d: d.pop("goals"), "document.goals is missing"),
            (lambda d: d.update(more=1), "document.more is unknown"),
            (lambda d: d.update(quick=1), "document.quick is a int"),
            (lambda d: d["figures"][0].update(better="perhaps"), "not one of"),
            (lambda d: d["figures"][0].update(samples=["1"]), "samples[0] is a str"),
            (lambda d: d["figures"][0].update(median=9), "outside of its spread"),
            (lambda d: d["figures"][0].update(median=None, low=None, high=None), "has samples and no median"),
            (lambda d: d["figures"].append(figure("weir", [])), "has no value and no reason"),
            (
                lambda d: d["series"].append(
                    {"part": "p", "target": "t", "name": "n", "x_unit": "s", "y_unit": "KiB", "points": [[1]]}
                ),
                "not two numbers",
            ),
        ):
            broken = copy.deepcopy(good)
            change(broken)
            self.assertTrue(any(wanted in one for one in schema.problems(broken)), (wanted, schema.problems(broken)))


class Reports(unittest.TestCase):
    def setUp(self):
        self.document = document(
            figure("direct", [0.5]),
            figure("weir", [3.0, 3.1]),
            figure("haproxy", [2.0, 2.1]),
            figure("nginx", [4.0]),
            figure("caddy", [], void=["answers with an error status"]),
            goals=[{"goal": "P99 < 1 ms", "met": False, "value": "3.05 ms"}],
            notes=["<b>a note</b>"],
        )

    def test_losing_is_said_as_plainly_as_winning(self):
        self.assertIn("worse (haproxy)", report.markdown([self.document]))
        self.assertIn("| MISSED |", report.markdown([self.document]))
        self.assertIn("MISSED: P99 < 1 ms: 3.05 ms", report.text(self.document))

    def test_the_best_peer_is_no_floor_and_nothing_void(self):
        part = report.parts(self.document)["latency"]
        self.assertEqual(report.best_peer(part, "100 connections", "p99", "lower")["target"], "haproxy")

    def test_void_figures_give_their_reason(self):
        self.assertIn("void: answers with an error status", report.text(self.document))

    def test_who_is_not_here_is_named(self):
        self.assertIn("envoy is not here: not set up", report.text(self.document))
        self.assertIn("not here: not set up", report.markdown([self.document]))

    def test_every_form_says_what_versions_ran(self):
        made = {**self.document, "versions": {"weir": "weir 1; over TLS with this machine's own OpenSSL 3.0.22"}}
        self.assertIn("weir is weir 1; over TLS with this machine's own OpenSSL 3.0.22", report.text(made))
        self.assertIn("| weir 1; over TLS with this machine's own OpenSSL 3.0.22 |", report.markdown([made]))

    def test_the_page_escapes_and_needs_nothing_from_outside(self):
        page = report.html_page([self.document])
        self.assertIn("&lt;b&gt;a note", page)
        self.assertNotRegex(page, r'(src|href)="?http')
        self.assertIn("What this does not show", page)

    def test_an_interrupted_run_says_so(self):
        self.assertIn("INTERRUPTED", report.markdown([{**self.document, "interrupted": True}]))


class Loads(unittest.TestCase):
    H2LOAD = """finished in 1.00s, 10.00 req/s, 1KB/s
requests: 12 total, 12 started, 12 done, {succeeded} succeeded, {failed} failed, {errored} errored, 0 timeout
status codes: {good} 2xx, 0 3xx, 0 4xx, {bad} 5xx
traffic: 2.00KB (2048) total, 100B (100) headers (space savings 90.00%), 768B ({data}) data
                     min         max         mean         sd        +/- sd
time for request:      120us      9.08ms      1.24ms      90us    80.00%
"""

    def read(self, body=64, **changes):
        values = {"succeeded": 12, "failed": 0, "errored": 0, "good": 12, "bad": 0, "data": 768, **changes}
        return load.read_h2load(self.H2LOAD.format(**values), 1.0, 0.5, body)

    def test_a_clean_run_has_no_fault(self):
        found = self.read()
        self.assertEqual((found.requests, found.rate, found.faults), (12, 12.0, []))
        self.assertEqual(found.latency_us, {"max": 9080.0, "mean": 1240.0})

    def test_every_kind_of_error_is_a_fault(self):
        self.assertEqual(self.read(failed=1).faults, ["failed requests at the client"])
        self.assertEqual(self.read(errored=1).faults, ["failed requests at the client"])
        self.assertEqual(self.read(good=11, bad=1).faults, ["answers with an error status"])
        self.assertEqual(self.read(data=767).faults, ["bytes are missing"])
        self.assertEqual(self.read(succeeded=0).faults, ["nothing was answered"])

    def test_a_generator_at_its_limit_is_saturated(self):
        self.assertFalse(load.Load(busy=0.5).saturated)
        self.assertTrue(load.Load(busy=0.97).saturated)


class Users(unittest.TestCase):
    def metrics(self, failures=0, requests=100):
        timing = {"avg": 1.5, "min": 0.1, "med": 1.0, "max": 9.0, "p(90)": 2.0, "p(95)": 3.0, "p(99)": 4.0}
        return {
            "http_req_duration": {"values": timing},
            "http_reqs": {"values": {"count": requests, "rate": 10}},
            "http_req_failed": {"values": {"rate": failures / 100, "passes": failures, "fails": 100 - failures}},
            "data_received": {"values": {"count": 4096, "rate": 409}},
        }

    def test_a_summary_of_k6_becomes_a_load(self):
        found = k6.read_summary(self.metrics(), 10)
        self.assertEqual((found.requests, found.rate, found.failures, found.faults), (100, 10.0, 0, []))
        self.assertEqual(
            found.latency_us, {"p50": 1000, "p90": 2000, "p95": 3000, "p99": 4000, "mean": 1500, "max": 9000}
        )

    def test_failed_requests_are_counted_and_a_fault(self):
        found = k6.read_summary(self.metrics(failures=3), 10)
        self.assertEqual((found.failures, found.faults), (3, ["failed requests at the client"]))
        self.assertEqual(k6.read_summary(self.metrics(requests=0), 10).faults, ["nothing was answered"])
        self.assertEqual(k6.read_summary({}, 10).faults, ["nothing was answered"])

    def test_times_of_the_ramp_are_read(self):
        self.assertEqual(k6.stages("2m,15m,30s"), [120, 900, 30])
        self.assertEqual(k6.stages("1m30s,500ms,1h"), [90, 0.5, 3600])
        for wrong in ("2m,15m", "1,2,3", "0s,1s,1s", "1s,,1s", "1s,x1s,1s"):
            with self.assertRaises(ValueError, msg=wrong):
                k6.stages(wrong)

    def test_users_fit_into_memory(self):
        self.assertEqual(k6.fitting_users(15_000, 64_000), 15_000)
        self.assertLess(k6.fitting_users(15_000, 2_000), 5_100)
        self.assertEqual(k6.fitting_users(5, 0), 1)

    def test_what_limited_a_run_is_said(self):
        self.assertIn("k6 was the limit", k6.what_limited("Go", 0.4, 0.99))
        self.assertIn("the server was the limit", k6.what_limited("Go", 0.97, 0.6))
        self.assertIn("neither used up", k6.what_limited("Go", 0.4, 0.5))
        self.assertIn("other processes", k6.what_limited("Go", 0.4, 0.5, idle=0.02))
        self.assertIn("wrk was the limit", k6.what_limited("Go", 0.95, 0.99, "wrk"))

    def test_the_chain_is_that_of_the_interface(self):
        self.assertEqual(
            hash_script.chain("weir"), "9a12fee783308770697b53fc263680ded7e93ec497ed1dfb4e73d669afb37012"
        )

    def test_rounds_are_read_from_google_benchmark(self):
        run = {"name": "rounds", "run_type": "iteration", "cpu_time": 4100.0, "time_unit": "ns"}
        text = json.dumps({"benchmarks": [run, {**run, "run_type": "aggregate"}]})
        self.assertEqual(hash_script.read_rounds(text), [4.1])
        self.assertEqual(hash_script.read_rounds("Failed to match"), [])

    def test_goals_compare_each_setting_with_both_others(self):
        script = hash_script.Hash(StandIn())
        for setting, samples in (("100 requests/s", (1, 2, 3)), ("200 requests/s", (2, 1, 3))):
            for target, value in zip(("cpp", "go", "rust"), samples):
                script.add(hash_script.OPEN, target, setting, "p99", "ms", "lower", [value])
        met, told = script.ahead(hash_script.OPEN, "p99")
        self.assertFalse(met)
        self.assertEqual(told, "1 ms to Go 2, Rust 3; 2 ms to Go 1, Rust 3")
        self.assertEqual(script.ahead(hash_script.OPEN, "p50"), (None, "nothing to compare"))

    def test_goals_say_where_the_spread_decides(self):
        script = hash_script.Hash(StandIn())
        for target, samples in (("cpp", [1, 4, 9]), ("go", [20, 21, 22]), ("rust", [2, 3, 8])):
            script.add(hash_script.OPEN, target, "100 requests/s", "p99", "ms", "lower", samples)
        self.assertEqual(script.ahead(hash_script.OPEN, "p99"), (False, "4 ms to Go 21, Rust 3, within the spread"))

    def test_stolen_time_is_no_failed_request_and_an_error_is(self):
        for reason, met in (("more than 5 % stolen time", True), ("answers with an error status", False)):
            script = hash_script.Hash(StandIn())
            script.add(hash_script.OPEN, "cpp", "", "p99", "ms", "lower", [1], [reason])
            script.add(hash_script.RAMP, "cpp", "", "failures", "", "none", [0])
            script.judge_failures()
            self.assertEqual(script.goals[0]["met"], met, reason)


class Certificates(unittest.TestCase):
    def test_each_kind_has_files_of_its_own_and_is_made_once(self):
        with tempfile.TemporaryDirectory() as folder:
            lab = object.__new__(labs.Lab)
            lab.folder, lab.certificates = pathlib.Path(folder), {}
            for kind, key_type in (("P-256", "id-ecPublicKey"), ("RSA-2048", "rsaEncryption")):
                certificate, key = lab.make_certificate(kind)
                command = ["openssl", "x509", "-in", certificate, "-noout", "-text"]
                told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                self.assertIn(f"Public Key Algorithm: {key_type}", told)
                self.assertEqual("Public-Key: (2048 bit)" in told, kind == "RSA-2048")
                self.assertIn("PRIVATE KEY", key.read_text())
            first = certificate.read_bytes()
            self.assertEqual(lab.make_certificate("RSA-2048"), (certificate, key))
            self.assertEqual(certificate.read_bytes(), first)
            self.assertEqual(len(list(lab.folder.iterdir())), 4)

    def test_a_scenarios_name_says_which(self):
        self.assertEqual(targets.Scenario([1]).name, "h1 to h1")
        self.assertEqual(targets.Scenario([1], tls=True).name, "h1 to h1, TLS")
        named = targets.Scenario([1], tls=True, certificate="RSA-2048").name
        self.assertEqual(named, "h1 to h1, TLS with RSA-2048")


class PeerScripts(unittest.TestCase):
    """With programs that stand in for the real ones."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def program(self, path, text):
        path = self.folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    def ask(self, name, what, **variables):
        environment = {
            **os.environ,
            "LAB_PEERS": str(self.folder),
            "LAB_DIR": str(self.folder),
            "LAB_PORT": "8000",
            "LAB_ADMIN_PORT": "8001",
            "LAB_BACKENDS": "127.0.0.1:9000",
            "LAB_WEIGHTS": "1",
            "LAB_FRONT": "h1",
            "LAB_BACK": "h1",
            "LAB_WORKERS": "1",
            "LAB_CONNECTIONS": "10",
            **dict.fromkeys(("LAB_TLS_CERT", "LAB_TLS_KEY", "LAB_BIG", "LAB_HEALTH", "LAB_ROUTES"), ""),
            **variables,
        }
        script = targets.PEERS_FOLDER / f"{name}.sh"
        return subprocess.run([script, what], capture_output=True, text=True, env=environment)

    def nginx(self, version):
        built = "built with OpenSSL 3.0.15 3 Sep 2024 (running with OpenSSL 3.0.22 25 Aug 2026)"
        return self.program(
            "system/usr/sbin/nginx",
            f'echo "nginx version: nginx/{version}" >&2; [ "$1" != -V ] || echo "{built}" >&2',
        )

    def test_the_releases_own_nginx_is_told_of_http2_as_it_knows_it(self):
        tls = {"LAB_TLS_CERT": "/c.pem", "LAB_TLS_KEY": "/k.pem", "LAB_FRONT": "h2"}
        for version, listen, directive in (
            ("1.22.1", "listen 127.0.0.1:8000 ssl http2;", False),
            ("1.25.1", "listen 127.0.0.1:8000 ssl;", True),
        ):
            program = self.nginx(version)
            done = self.ask("nginx_system", "command", **tls)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout.split("\n")[0], str(program))
            text = (self.folder / "nginx.conf").read_text()
            self.assertIn(listen, text)
            self.assertEqual("http2 on;" in text, directive)
            self.assertIn("http2_max_concurrent_streams 1000;", text)
            self.assertIn("TLSv1.3", text)
        self.ask("nginx_system", "command")
        self.assertNotIn("http2", (self.folder / "nginx.conf").read_text())

    def test_the_releases_own_nginx_says_why_it_takes_no_part(self):
        self.assertEqual(self.ask("nginx_system", "version").returncode, targets.UNSUPPORTED)
        self.nginx("1.22.1")
        done = self.ask("nginx_system", "command", LAB_BACK="h2")
        self.assertEqual(done.returncode, targets.UNSUPPORTED)
        self.assertIn("nginx/1.22.1 speaks no HTTP/2 to backends", done.stderr)
        self.nginx("1.30.0")
        self.assertEqual(self.ask("nginx_system", "command", LAB_BACK="h2").returncode, 0)
        self.assertIn("proxy_http_version 2;", (self.folder / "nginx.conf").read_text())

    def test_the_openssl_that_runs_is_named(self):
        self.nginx("1.22.1")
        self.assertTrue(
            self.ask("nginx_system", "version").stdout.endswith("over TLS with this machine's own OpenSSL 3.0.22\n")
        )

    def test_weir_takes_the_peers_openssl_or_the_machines_own(self):
        weir = self.program("weir", "echo weir 1")
        loaders = {"x86_64": "usr/lib64/ld-linux-x86-64.so.2", "aarch64": "usr/lib/ld-linux-aarch64.so.1"}
        told = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout
        own = re.findall(r"OpenSSL \S+", told)[-1]
        tls = {"LAB_WEIR": str(weir), "LAB_TLS_CERT": "/c.pem", "LAB_TLS_KEY": "/k.pem"}
        for set_up in (False, True):
            if set_up:
                for loader in loaders.values():
                    self.program(f"debian/{loader}", "echo OpenSSL 3.6.5 27 Jan 2026")
            for system in ("", "1"):
                told = self.ask("weir", "version", LAB_SYSTEM_OPENSSL=system, **tls)
                words = self.ask("weir", "command", LAB_SYSTEM_OPENSSL=system, **tls).stdout.split("\n")
                theirs = set_up and not system
                self.assertEqual("the peers' OpenSSL, OpenSSL 3.6.5" in told.stdout, theirs)
                self.assertEqual(f"this machine's own {own}" in told.stdout, not theirs)
                self.assertEqual(words[0] == str(weir), not theirs)
                clear = self.ask("weir", "command", LAB_SYSTEM_OPENSSL=system, LAB_WEIR=str(weir))
                self.assertEqual(clear.stdout.split("\n")[0], str(weir))

    def test_the_option_reaches_the_scripts(self):
        for words, told in (([], ""), (["--system-openssl"], "1")):
            lab = object.__new__(labs.Lab)
            lab.options = labs.parse(words, "x", "y")
            lab.weir, lab.peers_root = "weir", "peers"
            self.assertEqual(targets.Targets(lab).base_environment()["LAB_SYSTEM_OPENSSL"], told)


class Building(unittest.TestCase):
    SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "hash" / "build.sh"

    def build(self, *names):
        """build.sh on a machine with neither Go nor Rust nor k6."""
        with tempfile.TemporaryDirectory() as folder:
            for tool in ("bash", "dirname", "readlink", "mkdir", "grep", "tail"):
                os.symlink(shutil.which(tool), os.path.join(folder, tool))
            environment = {"PATH": folder, "HOME": folder}
            return subprocess.run([self.SCRIPT, *names], capture_output=True, text=True, env=environment)

    def test_what_is_missing_is_a_line_each_and_no_failure(self):
        done = self.build("go", "rust")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual([line.split(":")[0] for line in done.stderr.splitlines()], ["hash", "hash"])
        self.assertIn("no Go here", done.stderr)
        self.assertIn("no Rust here", done.stderr)

    def test_unknown_servers_are_wrong_usage(self):
        self.assertEqual(self.build("java").returncode, 2)


class Counting(unittest.TestCase):
    def test_metrics_are_added_by_label(self):
        found = object.__new__(metrics.Metrics)
        found.samples = metrics.parse('# TYPE a counter\na{worker="0",b="x y"} 3\na{worker="1",b="z"} 4\nc 5e0\n')
        self.assertEqual(found.sum("a"), 7)
        self.assertEqual(found.sum("a", worker="1"), 4)
        self.assertEqual(found.by("a", "b"), {"x y": 3, "z": 4})
        self.assertEqual(found.sum("c"), 5)

    def test_the_machine_is_described_without_names(self):
        found = machine.describe()
        self.assertGreater(found["cores"], 0)
        self.assertNotIn(os.uname().nodename, [str(value) for value in found.values()])


class ProgressLine(unittest.TestCase):
    def test_time_left_counts_what_is_still_to_come(self):
        clock = [0.0]
        out = io.StringIO()
        progress = Progress(out, lambda: clock[0])
        progress.plan([10, 20, 30])
        progress.step("first")
        clock[0] = 4
        self.assertEqual(progress.left(), 56)
        clock[0] = 15
        self.assertEqual(progress.left(), 50)
        progress.step("second")
        self.assertIn("[2/3] second  (0:50 left)", out.getvalue())


class Keeping(unittest.TestCase):
    def test_a_stopped_process_takes_its_children_along(self):
        with tempfile.TemporaryDirectory() as folder:
            keeper = processes.Keeper(folder)
            process = keeper.start("shell", ["sh", "-c", "sleep 100 & sleep 100"])
            self.until(lambda: len(machine.group_members(process.group)) == 3)
            process.pause()
            process.stop()
            self.until(lambda: not machine.group_members(process.group))
            keeper.close()

    def test_nothing_outlives_a_lab_that_is_killed(self):
        program = (
            "import sys, tempfile, time\n"
            f"sys.path.insert(0, {str(pathlib.Path(__file__).resolve().parent.parent)!r})\n"
            "from lab import processes\n"
            "keeper = processes.Keeper(tempfile.gettempdir())\n"
            "process = keeper.start('lab-test', ['sh', '-c', 'sleep 100 & sleep 100'])\n"
            "print(process.group, flush=True)\n"
            "time.sleep(100)\n"
        )
        lab = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        group = int(lab.stdout.readline())
        self.until(lambda: len(machine.group_members(group)) == 3)
        lab.send_signal(signal.SIGKILL)
        lab.wait()
        lab.stdout.close()
        self.until(lambda: not machine.group_members(group))

    def until(self, condition):
        deadline = time.monotonic() + 15
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)


class OwnFaults(unittest.TestCase):
    def test_a_document_that_breaks_the_schema_is_kept_and_says_so(self):
        broken = run.checked(document(figure("weir", [-1.0])))
        self.assertFalse(broken["complete"])
        self.assertIn("is negative", broken["notes"][-1])
        self.assertTrue(run.checked(document(figure("weir", [1.0])))["complete"])


class Order(unittest.TestCase):
    def test_the_floors_come_first_in_a_table_whatever_was_measured_first(self):
        made = document(figure("weir", [1]), figure("nginx", [1]), figure("direct", [1], name="p50"))
        ((_, _, rows),) = report.tables(made)
        self.assertEqual([row[0] for row in rows][:3], ["direct line", "weir", "nginx"])


class Trend(unittest.TestCase):
    def run_of(self, commit, weir, copy, started):
        made = document(figure("weir", weir), figure("copy", copy), started=started, quick=False)
        made["versions"] = {"weir": f"weir 1; commit: {commit}; compiler: Clang"}
        return made

    def costs(self, *documents):
        history = trend.History(documents)
        return [cost for _, cost in trend.rows_of(history, history.commits) if cost]

    def test_what_costs_more_than_three_percent_is_named(self):
        costs = self.costs(
            self.run_of("aaaaaaaaaa", [10.0, 10.1], [5.0, 5.01], "1"),
            self.run_of("bbbbbbbbbb", [11.0, 11.1], [5.0, 5.01], "2"),
        )
        self.assertEqual(len(costs), 1)
        self.assertIn("10.0% worse at bbbbbbbbbb than at aaaaaaaaaa", costs[0])

    def test_a_slower_machine_is_no_cost(self):
        before = self.run_of("aaaaaaaaaa", [10.0, 10.1], [5.0, 5.01], "1")
        self.assertEqual(self.costs(before, self.run_of("bbbbbbbbbb", [15.0, 15.1], [7.5, 7.51], "2")), [])

    def test_a_change_within_the_spread_or_of_one_slice_is_no_cost(self):
        before = self.run_of("aaaaaaaaaa", [10.0, 12.0], [5.0, 5.0], "1")
        self.assertEqual(self.costs(before, self.run_of("bbbbbbbbbb", [11.5, 12.0], [5.0, 5.0], "2")), [])
        before = self.run_of("aaaaaaaaaa", [10.0], [5.0], "1")
        self.assertEqual(self.costs(before, self.run_of("bbbbbbbbbb", [12.0], [5.0], "2")), [])

    def test_runs_with_another_tls_library_are_not_compared_over_tls(self):
        def run(commit, cost, library, started, setting):
            made = self.run_of(commit, [cost, cost + 0.1], [5.0, 5.01], started)
            made["versions"]["weir"] += f"; over TLS with the peers' OpenSSL, {library}"
            for one in made["figures"]:
                one["setting"] = setting
            return made

        for setting, library, count in (
            ("h1 to h1, TLS", "OpenSSL 3.0.22", 0),
            ("h1 to h1, TLS", "OpenSSL 3.6.5", 1),
            ("h1 to h1", "OpenSSL 3.0.22", 1),
        ):
            before = run("aaaaaaaaaa", 10.0, "OpenSSL 3.6.5", "1", setting)
            after = run("bbbbbbbbbb", 12.0, library, "2", setting)
            self.assertEqual(len(self.costs(before, after)), count, setting)

    def test_results_are_read_from_folders_and_what_is_none_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            (path / "a.json").write_text(json.dumps(self.run_of("aaaaaaaaaa", [1.0], [1.0], "2")))
            (path / "b.json").write_text(json.dumps(self.run_of("bbbbbbbbbb", [1.0], [1.0], "1")))
            (path / "c.json").write_text("{}")
            told = io.StringIO()
            with contextlib.redirect_stderr(told):
                found = trend.read([path], False)
            self.assertEqual([trend.commit_of(one) for one in found], ["bbbbbbbbbb", "aaaaaaaaaa"])
            self.assertIn("c.json is no result", told.getvalue())


if __name__ == "__main__":
    unittest.main()
