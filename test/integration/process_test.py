#!/usr/bin/env python3
"""The programs from outside: what they serve where, signals, service managers, start.sh."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import unittest

from harness import (
    BINARIES,
    SOURCE,
    Backend,
    Case,
    Weir,
    config_for,
    connect,
    fetch,
    ok,
    render,
    respond_config,
    until,
    weir as command,
)
from namespaces import in_namespace


class Commands(Case):
    def test_proxy_serves_without_a_file(self):
        a, b = self.backend("a"), self.backend("b")
        weir = Weir(
            self,
            "",
            arguments=[
                "proxy",
                "--listen",
                "127.0.0.1:0",
                "--to",
                a.url,
                "--to",
                f"127.0.0.1:{b.port}",
                "--workers",
                "1",
                "--admin",
                "127.0.0.1:0",
            ],
        )
        self.assertEqual(sorted(fetch(weir.port).text for _ in range(4)), ["a", "a", "b", "b"])
        self.assertEqual(weir.admin("/readyz").status, 200)

    def test_proxy_has_no_admin_port_unless_asked(self):
        weir = Weir(self, "", arguments=["proxy", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:1"])
        self.assertNotIn("admin", weir.ports)

    def test_errors_show_place_and_line_all_at_once(self):
        path = self.folder() / "config.yaml"
        path.write_text(
            "listeners:\n  - {name: web, adress: x}\nclusters: []\nroutes:\n  - respond: {status: 99}\n"
            "workers: 0\nadmin: none\n"
        )
        for name in ("check", "run"):
            done = command(name, "-f", path)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            for place, line in (
                ("2:17", "  - {name: web, adress: x}"),
                ("5:23", "  - respond: {status: 99}"),
                ("6:10", "workers: 0"),
            ):
                self.assertIn(f"{path}:{place}: error: ", done.stderr)
                self.assertIn(line, done.stderr)
            self.assertIn("address", done.stderr)  # the hint

    def test_not_built_yet_is_refused(self):
        path = self.folder() / "config.yaml"
        path.write_text("listeners: [{address: '127.0.0.1:0', protocol: tcp}]\nclusters: []\nroutes: []\n")
        done = command("check", "-f", path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("not supported yet", done.stderr)

    def test_check_needs_a_file_or_asks_for_keys(self):
        self.assertEqual(command("check").returncode, 2)
        self.assertEqual(command("check", "--keys", "-f", "x").returncode, 2)

    def test_busy_ports_are_one_line_each_way(self):
        with socket.create_server(("127.0.0.1", 0)) as busy:
            port = busy.getsockname()[1]
            for config in (
                respond_config(listener={"address": f"127.0.0.1:{port}"}),
                respond_config(admin={"address": f"127.0.0.1:{port}"}),
            ):
                weir = self.weir(config, wait=False)
                self.assertEqual(weir.wait(), 1)
                self.assertEqual(len(weir.log.splitlines()), 1, weir.log)
                self.assertIn(f"127.0.0.1:{port}", weir.log)
                self.assertIn("in use", weir.log)

    def test_environment_variables(self):
        config = respond_config("${GREETING:-none} $$x ${OTHER}")
        weir = self.weir(config, env={"OTHER": "there"})
        self.assertEqual(fetch(weir.port).text, "none $x there")
        self.assertIn("${OTHER}", weir.admin("/api/v1/config").text)
        environment = {key: value for key, value in os.environ.items() if key != "OTHER"}
        done = command("check", "-f", weir.path, env=environment)
        self.assertEqual(done.returncode, 1)
        self.assertIn("OTHER", done.stderr)


class Addresses(Case):
    def test_unix_sockets_on_both_sides(self):
        folder = self.folder()
        backend = Backend(self, "unix-backend", address=str(folder / "backend.sock"))
        weir = self.weir(config_for({"url": backend.url}, listener={"address": f"unix:{folder}/web.sock"}, workers=2))
        for _ in range(5):
            self.assertEqual(fetch(folder / "web.sock").text, "unix-backend")
        weir.signal(signal.SIGTERM)
        self.assertEqual(weir.wait(), 0)

    def test_a_unix_socket_left_behind_is_taken_over_a_live_one_is_not(self):
        path = self.folder() / "web.sock"
        first = self.weir(respond_config("first", listener={"address": f"unix:{path}"}))
        first.process.kill()
        first.process.wait()
        self.assertTrue(path.exists())
        self.weir(respond_config("second", listener={"address": f"unix:{path}"}))
        third = self.weir(respond_config("third", listener={"address": f"unix:{path}"}), wait=False)
        self.assertEqual(third.wait(), 1)
        self.assertEqual(fetch(path).text, "second")

    def test_ipv6_on_both_sides(self):
        backend = Backend(self, "six", address=("::1", 0))
        weir = self.weir(config_for(backend, listener={"address": "[::1]:0"}))
        self.assertEqual(fetch(("::1", weir.port)).text, "six")
        self.assertEqual(backend.requests[-1].get("x-forwarded-for"), "::1")


class Signals(Case):
    def test_term_drains_and_exits_0(self):
        go = []
        slow = self.backend(answer=lambda request, wire: until(lambda: go) and ok("late"))
        weir = self.weir(config_for(slow, drain_delay="300ms"))
        idle = self.connect(weir.port)
        idle.send("GET / HTTP/1.1\r\n")  # a request begun: it is served
        kept = self.connect(weir.port)
        running = self.connect(weir.port).send(render("GET", "/running"))
        until(lambda: slow.count("/running"), "the request is under way")
        weir.signal(signal.SIGTERM)
        until(lambda: weir.admin("/readyz").status == 503, "not ready any more")
        late = self.connect(weir.port).send(render("GET", "/late"))  # within drain_delay
        until(lambda: slow.count("/late"), "the late one is served")
        self.assertTrue(kept.closed())  # idle: closed once the delay is over
        with self.assertRaises(OSError):
            until(lambda: connect(weir.port) is None)
        idle.send("Host: a\r\n\r\n")
        go.append(True)
        for wire in (running, late, idle):
            answer = wire.final()
            self.assertEqual((answer.status, answer.text, answer.get("connection")), (200, "late", "close"))
            self.assertTrue(wire.closed())
            wire.close()
        self.assertEqual(weir.wait(), 0)

    def test_a_request_on_its_way_to_an_idle_connection_is_answered(self):
        weir = self.weir(respond_config())
        wires = [self.connect(weir.port) for _ in range(20)]
        for wire in wires:
            self.assertEqual(wire.send(render("GET", "/")).final().status, 200)
        for wire in wires:
            wire.send(render("GET", "/"))
        weir.signal(signal.SIGTERM)
        for wire in wires:
            self.assertEqual(wire.final().status, 200)
            wire.close()
        self.assertEqual(weir.wait(), 0)

    def test_drain_timeout_bounds_it(self):
        slow = self.backend(answer=lambda request, wire: wire.rest())
        weir = self.weir(config_for(slow, drain_timeout="200ms"))
        wire = self.connect(weir.port).send(render("GET", "/"))
        until(lambda: slow.count(), "under way")
        weir.signal(signal.SIGTERM)
        self.assertEqual(weir.wait(5), 0)
        self.assertEqual(wire.rest(), b"")

    def test_a_second_term_and_int_stop_at_once(self):
        for signals in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGINT,)):
            slow = self.backend(answer=lambda request, wire: wire.rest())
            weir = self.weir(config_for(slow, drain_delay="1m"))
            self.connect(weir.port).send(render("GET", "/"))
            until(lambda: slow.count(), "under way")
            for index, number in enumerate(signals):
                if index:
                    weir.wait_log("draining")
                weir.signal(number)
            self.assertEqual(weir.wait(5), 0)

    def test_usr1_reopens_the_logs(self):
        weir = self.weir(
            respond_config(listener={"access_log": {"path": "access.log"}}, log={"path": "weir.log"}), wait=False
        )
        log, access = weir.folder / "weir.log", weir.folder / "access.log"
        weir.note_ports(until(lambda: log.exists() and re.search("listening: (.*)", log.read_text()), "up").group(1))
        fetch(weir.port, "/one")
        until(lambda: "/one" in access.read_text(), "the line is there")
        log.rename(weir.folder / "weir.log.1")
        access.rename(weir.folder / "access.log.1")
        weir.signal(signal.SIGUSR1)
        until(lambda: log.exists() and access.exists(), "new files")
        fetch(weir.port, "/two")
        until(lambda: "/two" in access.read_text(), "the next line is in the new file")
        self.assertNotIn("/two", (weir.folder / "access.log.1").read_text())

    def test_usr2_is_logged_and_ignored(self):
        weir = self.weir(respond_config())
        weir.signal(signal.SIGUSR2)
        weir.wait_log("USR2.*not supported yet")
        self.assertEqual(fetch(weir.port).status, 200)

    def test_a_broken_pipe_does_not_end_it(self):
        weir = self.weir(respond_config())
        weir.signal(signal.SIGPIPE)
        self.assertEqual(fetch(weir.port).status, 200)


class ServiceManager(Case):
    def test_listening_sockets_are_inherited(self):
        inherited = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(inherited.close)
        port = inherited.getsockname()[1]
        script = (
            "import os, sys\nfd = int(sys.argv[1])\nos.dup2(fd, 3)\nos.set_inheritable(3, True)\n"
            "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n"
            "os.execv(sys.argv[2], sys.argv[2:])\n"
        )
        weir = Weir(
            self,
            respond_config("inherited", listener={"address": f"127.0.0.1:{port}"}, workers=2),
            wrapper=[sys.executable, "-c", script, str(inherited.fileno())],
            pass_fds=(inherited.fileno(),),
        )
        self.assertEqual(weir.port, port)
        inherited.close()
        for _ in range(4):
            self.assertEqual(fetch(port).text, "inherited")

    def test_notify_socket(self):
        address = str(self.folder() / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(address)
            manager.settimeout(10)
            weir = self.weir(respond_config(), env={"NOTIFY_SOCKET": address})
            self.assertIn("READY=1", manager.recv(4096).decode())
            weir.signal(signal.SIGHUP)
            self.assertIn("RELOADING=1", manager.recv(4096).decode())
            self.assertIn("READY=1", manager.recv(4096).decode())
            weir.signal(signal.SIGTERM)
            self.assertIn("STOPPING=1", manager.recv(4096).decode())
            self.assertEqual(weir.wait(), 0)


class StartScript(Case):
    """start.sh in a copy of the tree with the programs built already; its ports are fixed: in a network of its own."""

    PORTS = (8080, 9090, 8001, 8002, 8003)

    def tree(self):
        root = self.folder()
        for name in ("start.sh", "config.yaml"):
            shutil.copy(SOURCE / name, root / name)
        (root / "tools").mkdir()
        (root / "bin").mkdir()
        (root / "build" / "release").mkdir(parents=True)
        for name in ("weir", "weir-backend"):
            shutil.copy(BINARIES / name, root / "build" / "release" / name)
        for name in ("tools/setup", "bin/cmake"):  # nothing to set up and nothing to build
            (root / name).write_text("#!/bin/sh\nexit 0\n")
            (root / name).chmod(0o755)
        self.root = root
        self.addCleanup(self.script, "stop")
        return root

    def script(self, *arguments):
        with open(self.root / "output", "w+") as output:  # a pipe would stay open in what it starts
            done = subprocess.run(
                [self.root / "start.sh", *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=60,
                env={**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}"},
            )
            output.seek(0)
            return done.returncode, output.read()

    @in_namespace(ports=PORTS)
    def test_start_again_and_stop(self):
        self.tree()
        code, said = self.script()
        self.assertEqual(code, 0, said)
        self.assertEqual(fetch(9090, "/readyz").status, 200)
        answers = [fetch(8080, "/echo").text.strip() for _ in range(8)]
        shares = {name: answers.count(name) for name in sorted(set(answers))}
        self.assertEqual(set(shares), {"backend-8001", "backend-8002", "backend-8003"})
        code, said = self.script()
        self.assertEqual(code, 0, said)
        self.assertIn("already running", said)
        code, said = self.script("stop")
        self.assertEqual(code, 0, said)
        for port in self.PORTS:
            with self.assertRaises(OSError):
                connect(port)
        code, said = self.script("stop")
        self.assertEqual((code, said), (0, "nothing was running\n"))

    @in_namespace(ports=PORTS)
    def test_a_busy_port_leaves_nothing_running(self):
        self.tree()
        for busy in (8080, 8003, 9090):
            with socket.create_server(("127.0.0.1", busy)):
                code, said = self.script()
                self.assertNotEqual(code, 0)
                self.assertEqual(len(said.splitlines()), 1, said)
                self.assertIn(str(busy), said)
            for port in set(self.PORTS) - {busy}:
                with self.assertRaises(OSError):
                    connect(port)


if __name__ == "__main__":
    unittest.main()
