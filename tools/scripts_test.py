#!/usr/bin/env python3
"""Drives start.sh, tools/setup, test.sh's counting and their failures with stand-ins for what they call."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import run_tests  # noqa: E402  (the path comes first)

# Stands for weir and weir-backend: answers 200 on the ports it is told, or fails as its file `trouble` says.
SERVER = """\
    import http.server, os, pathlib, sys, threading
    here = pathlib.Path(__file__).resolve().parent
    trouble = here / (pathlib.Path(__file__).name + ".trouble")
    if trouble.exists():
        sys.exit(trouble.read_text())
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
        def log_message(self, *arguments):
            pass
    ports = [int(a.rsplit(":", 1)[1]) for a in sys.argv if a.startswith("127.0.0.1:")]
    ports = ports or [int(p) for p in (here / "weir.ports").read_text().split()]
    for port in ports[1:]:
        other = http.server.HTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=other.serve_forever, daemon=True).start()
    http.server.HTTPServer(("127.0.0.1", ports[0]), Handler).serve_forever()
"""


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


class TemporaryFolder(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="scripts-test-"))
        self.addCleanup(shutil.rmtree, self.root)
        self.bin = self.root / "fake-bin"
        self.bin.mkdir()

    def call(self, *command, path=None, **options):
        env = dict(os.environ, PATH=path or f"{self.bin}:{os.environ['PATH']}", http_proxy="http://127.0.0.1:9")
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                              **options)


class StartTest(TemporaryFolder):
    """start.sh as it is, but for its ports, in a folder where cmake and tools/setup do nothing."""

    def setUp(self):
        super().setUp()
        text = (ROOT / "start.sh").read_text()
        self.ports = dict(zip(("8080", "9090", "8001", "8002", "8003"), free_ports(5)))
        for line in ("listen_port=8080", "admin_port=9090", "backend_ports=(8001 8002 8003)"):
            self.assertIn(line, text)
            changed = line
            for old, new in self.ports.items():
                changed = changed.replace(old, str(new))
            text = text.replace(line, changed)
        self.script = self.root / "start.sh"
        write_program(self.script, text)
        write_program(self.root / "tools/setup", "#!/bin/sh\n")
        write_program(self.bin / "cmake", "#!/bin/sh\necho compiling\n")
        self.release = self.root / "build/release"
        for name in ("weir", "weir-backend"):
            write_program(self.release / name, f"#!{sys.executable}\n" + textwrap.dedent(SERVER))
        (self.release / "weir.ports").write_text(f"{self.ports['8080']} {self.ports['9090']}")
        self.names = ["weir"] + [f"backend-{self.ports[p]}" for p in ("8001", "8002", "8003")]
        self.addCleanup(self.call, self.script, "stop")

    def start(self, *arguments):
        return self.call(self.script, *arguments, cwd="/")

    def pid(self, name):
        return int((self.root / "run" / f"{name}.pid").read_text().split()[0])

    def answers(self, port):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    def assert_nothing_runs(self):
        for port in self.ports.values():
            self.assertFalse(self.answers(port), f"port {port} still answers")
        self.assertEqual(list((self.root / "run").glob("*.pid")), [])

    def assert_fails(self, result, words):
        self.assertEqual(result.returncode, 1, result)
        self.assertIn(words, result.stderr.strip().splitlines()[-1])
        self.assert_nothing_runs()

    def test_starts_again_and_stops(self):
        first = self.start()
        self.assertEqual(first.returncode, 0, first)
        for port in self.ports.values():
            self.assertTrue(self.answers(port))
            self.assertIn(str(port), first.stdout)
        pids = [self.pid(name) for name in self.names]
        for pid in pids:
            self.assertEqual(os.getsid(pid), pid)  # no terminal takes it along
        again = self.start()
        self.assertEqual(again.returncode, 0, again)
        self.assertIn(f"already running (process {pids[0]})", again.stdout)
        self.assertEqual(pids, [self.pid(name) for name in self.names])
        stopped = self.start("stop")
        self.assertEqual((stopped.returncode, stopped.stdout), (0, f"stopped {' '.join(self.names)}\n"))
        self.assert_nothing_runs()
        self.assertEqual(self.start("stop").stdout, "nothing was running\n")

    def test_brings_back_a_backend(self):
        self.start()
        os.kill(self.pid(self.names[2]), signal.SIGKILL)
        again = self.start()
        self.assertEqual(again.returncode, 0, again)
        self.assertIn(f"started again: {self.names[2]}", again.stdout)
        self.assertTrue(self.answers(self.ports["8002"]))

    def test_starts_anew_when_weir_died(self):
        self.start()
        backend = self.pid(self.names[1])
        os.kill(self.pid("weir"), signal.SIGKILL)
        again = self.start()
        self.assertEqual(again.returncode, 0, again)
        self.assertNotEqual(backend, self.pid(self.names[1]))

    def test_stop_spares_a_stranger_with_our_process_id(self):
        (self.root / "run").mkdir()
        stranger = subprocess.Popen(["sleep", "60"])
        try:
            (self.root / "run/weir.pid").write_text(f"{stranger.pid} 1\n")
            self.assertEqual(self.start("stop").stdout, "nothing was running\n")
            self.assertIsNone(stranger.poll())
        finally:
            stranger.kill()
            stranger.wait()

    def test_busy_ports(self):
        for address in (("127.0.0.1", "8080"), ("0.0.0.0", "9090"), ("127.0.0.1", "8002"), ("::", "8003")):
            port = self.ports[address[1]]
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            with self.subTest(address), socket.socket(family) as busy:
                busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                busy.bind((address[0], port))
                busy.listen()
                result = self.start()
                busy.close()
                self.assert_fails(result, f"port {port} is in use")
                self.assertEqual(len(result.stderr.splitlines()), 1)

    def test_build_fails(self):
        write_program(self.bin / "cmake", "#!/bin/sh\necho 'a.cc:1: error: no'\nexit 1\n")
        result = self.start()
        self.assert_fails(result, "the build failed")
        self.assertIn("a.cc:1: error: no", result.stderr)

    def test_setup_fails(self):
        write_program(self.root / "tools/setup", "#!/bin/sh\necho 'setup: no' >&2\nexit 1\n")
        self.assert_fails(self.start(), "setup: no")

    def test_weir_dies_at_once(self):
        (self.release / "weir.trouble").write_text("config.yaml:1:1: error: bad")
        result = self.start()
        self.assert_fails(result, "weir ended")
        self.assertIn("config.yaml:1:1: error: bad", result.stderr)

    def test_backend_dies_at_once(self):
        (self.release / "weir-backend.trouble").write_text("cannot bind")
        self.assert_fails(self.start(), f"{self.names[1]} ended")

    def test_interrupted(self):
        write_program(self.release / "weir", "#!/bin/sh\nexec sleep 60\n")  # never ready
        script = subprocess.Popen([self.script], env=dict(os.environ, PATH=f"{self.bin}:{os.environ['PATH']}"),
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not (self.root / "run/weir.pid").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(self.start("stop").returncode, 1)  # the other one still holds the lock
        script.terminate()
        self.assertEqual(script.wait(timeout=20), 143)
        self.assert_nothing_runs()

    def test_wrong_usage(self):
        self.assertEqual(self.start("restart").returncode, 2)


class SetupTest(TemporaryFolder):
    def setUp(self):
        super().setUp()
        for name in ("bash", "grep", "mktemp", "rm", "tail", "env"):
            (self.bin / name).symlink_to(shutil.which(name))
        self.set_installed("")
        self.set_user(0)
        self.apt_log = self.root / "apt.log"
        write_program(self.bin / "apt-get", f"#!/bin/sh\necho \"$@\" >>{self.apt_log}\n")

    def set_installed(self, missing):
        write_program(self.bin / "dpkg-query", f"""\
            #!/bin/bash
            for package in "${{@:4}}"; do
              [[ " {missing} " == *" $package "* ]] || echo "installed $package"
            done
            """)

    def set_user(self, uid):
        write_program(self.bin / "id", f"#!/bin/sh\necho {uid}\n")

    def setup(self, *arguments):
        return self.call(ROOT / "tools/setup", *arguments, path=str(self.bin))

    def test_nothing_to_do(self):
        for kind in ("build", "test"):
            result = self.setup(kind)
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))
        self.assertFalse(self.apt_log.exists())

    def test_installs_what_is_missing(self):
        self.set_installed("clang-19 libgtest-dev")
        result = self.setup("build")
        self.assertEqual(result.returncode, 0, result)
        self.assertEqual(len(result.stdout.splitlines()), 1)
        calls = self.apt_log.read_text().splitlines()
        self.assertTrue(calls[0].endswith(" update"))
        self.assertTrue(calls[1].endswith("--no-install-recommends clang-19"), calls)
        self.setup("test")
        self.assertTrue(self.apt_log.read_text().splitlines()[-1].endswith(" clang-19 libgtest-dev"))

    def test_conformance_programs(self):
        script = self.root / "tools/setup"
        write_program(script, (ROOT / "tools/setup").read_text())
        for name in ("readlink", "dirname", "timeout", "mkdir", "touch", "chmod"):
            (self.bin / name).symlink_to(shutil.which(name))
        write_program(self.bin / "go", """\
            #!/bin/sh
            case $2 in *h2spec*) ;; *) echo "go: no such module" >&2; exit 1 ;; esac
            mkdir -p "$GOBIN" && touch "$GOBIN/h2spec" && chmod +x "$GOBIN/h2spec"
            """)
        for built in ("3", "2"):
            result = self.call(script, "test", path=str(self.bin))
            self.assertEqual(result.returncode, 0, result)
            lines = result.stdout.splitlines()
            self.assertEqual(lines[0].count("@"), int(built), lines)
            self.assertEqual(len(lines), 2)
            self.assertTrue(lines[1].endswith("are skipped: go: no such module"), lines)
        self.assertTrue((self.root / "build/conformance/h2spec").exists())

    def test_apt_fails(self):
        self.set_installed("clang-19")
        write_program(self.bin / "apt-get", "#!/bin/sh\necho 'E: Unable to locate package clang-19'\nexit 100\n")
        result = self.setup("build")
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr, "setup: apt-get could not install clang-19: "
                                        "E: Unable to locate package clang-19\n")

    def test_neither_root_nor_sudo(self):
        self.set_installed("clang-19")
        self.set_user(1000)
        result = self.setup("build")
        self.assertEqual(result.returncode, 1)
        self.assertIn("needs root or sudo: clang-19", result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1)

    def test_sudo(self):
        self.set_installed("clang-19")
        self.set_user(1000)
        write_program(self.bin / "sudo", "#!/bin/sh\n[ \"$1\" = -n ] && exit 0\nexec \"$@\"\n")
        (self.bin / "true").symlink_to(shutil.which("true"))
        self.assertEqual(self.setup("build").returncode, 0)
        self.assertIn("install -y --no-install-recommends clang-19", self.apt_log.read_text())
        write_program(self.bin / "sudo", "#!/bin/sh\nexit 1\n")
        result = self.setup("build")
        self.assertEqual(result.returncode, 1)
        self.assertIn("sudo did not let us", result.stderr)

    def test_not_debian(self):
        (self.bin / "dpkg-query").unlink()
        result = self.setup("build")
        self.assertEqual(result.returncode, 1)
        self.assertIn("this is not Debian", result.stderr)


class RunTestsTest(TemporaryFolder):
    """Counting: what passed, failed, died, hung or was never built."""

    def run_one(self, text, kind="gtest", timeout_s=30):
        path = self.root / "program"
        write_program(path, text)
        program = run_tests.Program("p", kind, str(path), set(), timeout_s)
        return run_tests.run_program(program, self.root, dict(os.environ), 1, 1)

    def test_gtest_report(self):
        outcome = self.run_one("""\
            #!/bin/sh
            cat >"${GTEST_OUTPUT#xml:}" <<XML
            <testsuites><testsuite>
            <testcase name="A" classname="S" status="run" result="completed"/>
            <testcase name="B" classname="S" status="run" result="completed"><failure message="no"/></testcase>
            <testcase name="C" classname="S" status="run" result="skipped"><skipped/></testcase>
            <testcase name="D" classname="S" status="notrun" result="suppressed"/>
            </testsuite></testsuites>
            XML
            exit 1
            """)
        self.assertEqual((outcome.passed, outcome.skipped, outcome.failures), (1, 2, ["p: S.B"]))

    def test_all_cases_pass_but_the_program_fails(self):
        outcome = self.run_one("""\
            #!/bin/sh
            echo '<testsuites><testcase name="A" classname="S" status="run"/></testsuites>' >"${GTEST_OUTPUT#xml:}"
            exit 23
            """)
        self.assertEqual((outcome.passed, outcome.failures), (1, ["p: the program ended with status 23"]))

    def test_program_dies(self):
        outcome = self.run_one("""\
            #!/bin/sh
            echo '[ RUN      ] S.A'
            echo '[       OK ] S.A (0 ms)'
            echo '[ RUN      ] S.B'
            kill -ABRT $$
            """)
        self.assertEqual((outcome.passed, outcome.failures),
                         (1, ["p: S.B (was running)", "p: the program was killed by signal 6"]))

    def test_program_hangs(self):
        outcome = self.run_one("#!/bin/sh\nsleep 60 &\nwait\n", timeout_s=0.3)
        self.assertEqual((outcome.passed, outcome.failures), (0, ["p: the program did not end within 0 s"]))

    def test_program_without_a_test(self):
        outcome = self.run_one("#!/bin/sh\n")
        self.assertEqual(outcome.failures, ["p: the program ran no test"])

    def test_program_not_built(self):
        program = run_tests.Program("p", "gtest", str(self.root / "none"), set(), 1)
        outcome = run_tests.run_program(program, self.root, {}, 1, 1)
        self.assertEqual(len(outcome.failures), 1)

    def test_unittest_output(self):
        text = "FAIL: a (m.T)\nERROR: b (m.T)\nRan 5 tests in 0.1s\n\nFAILED (failures=1, errors=1, skipped=1)\n"
        outcome = run_tests.count_unittest_output(text)
        self.assertEqual((outcome.passed, outcome.skipped, outcome.failures), (2, 1, ["a (m.T)", "b (m.T)"]))

    def test_fuzz_target(self):
        self.assertEqual(self.run_one("#!/bin/sh\n", kind="fuzz").passed, 1)
        self.assertEqual(self.run_one("#!/bin/sh\nexit 77\n", kind="fuzz").failures,
                         ["p: the program ended with status 77"])

    def test_labels(self):
        programs = [run_tests.Program(n, "gtest", "", l, 1) for n, l in
                    (("a", set()), ("b", {"threads"}), ("c", {"threads", "integration"}))]
        names = [p.name for p in run_tests.select(programs, ["threads"], ["integration"])]
        self.assertEqual(names, ["b"])
        self.assertEqual(len(run_tests.select(programs, [], [])), 3)

    def test_sum(self):
        (self.root / "01.json").write_text('{"passed": 2, "failures": []}')
        (self.root / "02.json").write_text('{"passed": 3, "skipped": 1, "failures": []}')
        total = self.call(ROOT / "tools/run_tests.py", "sum", self.root)
        self.assertEqual((total.returncode, total.stdout), (0, "5 passed, 0 failed\n"))
        (self.root / "03.json").write_text('{"passed": 0, "failures": ["build, dev"]}')
        total = self.call(ROOT / "tools/run_tests.py", "sum", self.root)
        self.assertEqual((total.returncode, total.stdout), (1, "failed: build, dev\n5 passed, 1 failed\n"))

    def test_sum_of_nothing_fails(self):
        self.assertEqual(self.call(ROOT / "tools/run_tests.py", "sum", self.root).returncode, 1)


if __name__ == "__main__":
    unittest.main()
