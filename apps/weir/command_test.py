#!/usr/bin/env python3
"""What the commands of weir print and with which code they end."""

import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import unittest
import urllib.request

WEIR = pathlib.Path(os.environ["WEIR_BINARIES"]) / "weir"
GOOD = """
listeners: [{{name: web, address: "127.0.0.1:{port}"}}]
admin: none
clusters: []
routes: [{{respond: {{status: 200, body: "{body}"}}}}]
"""


def weir(*arguments, **options):
    return subprocess.run([WEIR, *arguments], capture_output=True, text=True, timeout=20, **options)


class Usage(unittest.TestCase):
    def test_help_everywhere(self):
        for command in ([], ["run"], ["proxy"], ["check"], ["version"], ["explain"], ["top"]):
            done = weir(*command, "--help")
            self.assertEqual(done.returncode, 0, command)
            self.assertIn("--help", done.stdout, command)

    def test_wrong_usage_is_2_and_says_so_on_stderr(self):
        for arguments in ([], ["fly"], ["run"], ["check"], ["proxy"], ["run", "-f"], ["version", "--loud"],
                          ["proxy", "--to", "127.0.0.1:0"], ["proxy", "--to", "a:1", "--balance", "fair"],
                          ["proxy", "--to", "a:1", "--workers", "0"], ["proxy", "--to", "a:1", "--listen", "x"]):
            done = weir(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertEqual(done.stdout, "", arguments)
            self.assertIn("error: ", done.stderr, arguments)

    def test_what_is_not_built_yet_is_refused(self):
        for command in ("explain", "top"):
            done = weir(command)
            self.assertEqual(done.returncode, 2)
            self.assertEqual(done.stderr, f"weir {command}: not supported yet\n")

    def test_version_names_commit_compiler_and_tls_library(self):
        done = weir("version")
        self.assertEqual(done.returncode, 0)
        for word in ("weir ", "commit: ", "compiler: ", "TLS library: "):
            self.assertIn(word, done.stdout)


class WithFile(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def write(self, text):
        path = pathlib.Path(self.folder.name) / "config.yaml"
        path.write_text(text)
        return path


class Files(WithFile):
    def test_a_good_file_passes_silently(self):
        done = weir("check", "-f", self.write(GOOD.format(port=0, body="ok")))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_all_errors_come_at_once_with_their_places(self):
        path = self.write("listeners: [{adress: x}]\nclusters: []\nroutes: [{}]\nworkers: 0\n")
        for command in ("check", "run"):
            done = weir(command, "-f", path)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stdout, "")
            for line in (1, 3, 4):
                self.assertIn(f"{path}:{line}:", done.stderr)

    def test_a_missing_file_is_an_error_of_the_configuration(self):
        for command in ("check", "run"):
            done = weir(command, "-f", "config.yaml", cwd=self.folder.name)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stderr, "config.yaml: error: cannot open: No such file or directory\n")

    def test_a_busy_port_gives_one_clear_line(self):
        with socket.create_server(("127.0.0.1", 0)) as busy:
            port = busy.getsockname()[1]
            done = weir("run", "-f", self.write(GOOD.format(port=port, body="ok")))
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"127.0.0.1:{port}", done.stderr)
        self.assertIn("in use", done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1)


class Running(WithFile):
    def start(self, *arguments, **options):
        process = subprocess.Popen([WEIR, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   **options)
        self.addCleanup(self.end, process)
        return process, process.stderr.readline()

    def end(self, process):
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)

    def port_of(self, line):
        return int(line.split("127.0.0.1:")[1].split(",")[0])

    def get(self, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            return answer.read().decode()

    def test_one_line_says_what_listens_where_with_the_real_port(self):
        process, line = self.start("proxy", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:1", "--workers", "1")
        self.assertRegex(line, r"listening: listener-1 on 127\.0\.0\.1:[1-9][0-9]*, 1 worker")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=10), 0)
        self.assertNotIn("listening", process.stderr.read())

    def test_reload_changes_what_is_served_and_a_bad_file_does_not(self):
        path = self.write(GOOD.format(port=0, body="one"))
        process, line = self.start("run", "-f", str(path))
        port = self.port_of(line)
        self.assertEqual(self.get(port), "one")
        path.write_text(GOOD.format(port=0, body="two"))
        process.send_signal(signal.SIGHUP)
        self.assertIn("configuration reloaded generation=2", process.stderr.readline())
        self.assertEqual(self.get(port), "two")
        path.write_text("listeners: [\n")
        process.send_signal(signal.SIGHUP)
        self.assertIn("not reloaded", process.stderr.readline())
        self.assertEqual(self.get(port), "two")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=10), 0)

    def test_a_second_weir_does_not_share_the_port(self):
        _, line = self.start("run", "-f", str(self.write(GOOD.format(port=0, body="one"))))
        port = self.port_of(line)
        done = weir("proxy", "--listen", f"127.0.0.1:{port}", "--to", "127.0.0.1:1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("in use", done.stderr)

    def test_inherited_sockets_are_taken_by_address(self):
        with socket.create_server(("127.0.0.1", 0)) as given:
            port = given.getsockname()[1]
            path = str(self.write(GOOD.format(port=port, body="one")))

            command = f'exec env LISTEN_PID=$$ LISTEN_FDS=1 "{WEIR}" run -f "{path}" 3<&{given.fileno()}'
            process = subprocess.Popen(["bash", "-c", command], stderr=subprocess.PIPE, text=True,
                                       pass_fds=[given.fileno()])
            self.addCleanup(self.end, process)
            self.assertIn("listening", process.stderr.readline())
        self.assertEqual(self.get(port), "one")

    def test_the_admin_port_answers(self):
        process, line = self.start("proxy", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:1", "--admin", "127.0.0.1:0")
        port = int(line.split("admin on 127.0.0.1:")[1].split(",")[0])
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        self.assertIn("lb_config_generation 1\n", text)
        self.assertIn('lb_worker_requests_total{worker="0"}', text)
        self.assertIn("process_resident_memory_bytes", text)
        self.assertEqual(process.poll(), None)

    def test_systemd_hears_of_readiness_reload_and_stopping(self):
        address = str(pathlib.Path(self.folder.name) / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(address)
            manager.settimeout(10)
            process, _ = self.start("run", "-f", str(self.write(GOOD.format(port=0, body="one"))),
                                    env={**os.environ, "NOTIFY_SOCKET": address})
            self.assertIn("READY=1", manager.recv(4096).decode())
            process.send_signal(signal.SIGHUP)
            self.assertIn("RELOADING=1\nMONOTONIC_USEC=", manager.recv(4096).decode())
            self.assertIn("READY=1", manager.recv(4096).decode())
            process.send_signal(signal.SIGTERM)
            self.assertIn("STOPPING=1", manager.recv(4096).decode())
            self.assertEqual(process.wait(timeout=10), 0)


if __name__ == "__main__":
    unittest.main()
