#!/usr/bin/env python3
"""Autobahn's test suite for WebSockets through Weir: its fuzzing client against its echo.

The suite runs on Python 2.7 alone, which is no Debian package; it is installed once, by the command that the skipped
test says. It is looked for in build/autobahn, or in the folder that `AUTOBAHN` names. The compression cases of larger
messages take many minutes; `AUTOBAHN_CASES=all` has them too, 517 cases in all, when this is run by hand.
"""

import json
import os
import pathlib
import socket
import subprocess
import unittest

from certificates import Authority
from harness import SOURCE, Case, config_for, free_port, until

VERSION = "0.8.2"
ALL = os.environ.get("AUTOBAHN_CASES") == "all"
# Framing, pings, reserved bits, opcodes, fragmentation, UTF-8, closes, limits, fragments put together again.
PROTOCOL = [f"{category}.*" for category in (1, 2, 3, 4, 5, 6, 7, 9, 10)]
PROTOCOL_COUNT = 301
# Compression, each kind of data and of negotiation with 1000 messages of a size: 16 to 131072 bytes, whole (1 to 10)
# and in frames of 256 bytes and more (11 to 18).
SIZES = range(1, 19) if ALL else (1, 2, 3, 4, 5, 11)
COMPRESSION = [
    [f"12.{data}.{size}" for data in range(1, 6) for size in SIZES],
    [f"13.{offer}.{size}" for offer in range(1, 8) for size in SIZES],
]
PATIENCE_S = 3600 if ALL else 600


def program():
    """The suite's command and its environment; SkipTest if it can't be had."""
    folder = pathlib.Path(os.environ.get("AUTOBAHN", SOURCE / "build" / "autobahn"))
    if not (folder / "bin" / "wstest").exists():
        raise unittest.SkipTest(
            f"Autobahn's test suite is not in {folder}; with a Python 2.7 that has pip: "
            f"PYTHONUSERBASE={folder} python2.7 -m pip install --user autobahntestsuite=={VERSION}"
        )
    return folder / "bin" / "wstest", {**os.environ, "PYTHONUSERBASE": str(folder)}


class Autobahn(Case):
    @classmethod
    def setUpClass(cls):
        cls.program, cls.environment = program()

    def begin(self, mode, folder, *arguments):
        """Starts the suite. What it says goes to `folder`/log."""
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(
                [self.program, "--mode", mode, *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

        def end():
            process.kill()
            process.wait(10)

        self.addCleanup(end)
        return process

    def echo(self):
        """The port of the server that the suite brings."""
        port = free_port()
        self.begin("testeeserver", self.folder(), "--webport", "0", "--wsuri", f"ws://127.0.0.1:{port}")

        def listens():
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            except OSError:
                return False

        until(listens, "the echo listens")
        return port

    def in_front(self, echo, **listener):
        """Weir before the echo, which takes only requests whose Host has its own port."""
        backend = {"name": "echo", "url": f"http://127.0.0.1:{echo}"}
        route = {"filters": [{"request_headers": {"set": {"host": f"127.0.0.1:{echo}"}}}]}
        return self.weir(config_for(backend, listener=listener, cluster={"protocol": "http1"}, route=route))

    def begin_client(self, url, cases):
        folder = self.folder()
        spec = {"outdir": str(folder), "servers": [{"agent": "weir", "url": url}], "cases": cases}
        (folder / "spec").write_text(json.dumps({**spec, "exclude-cases": [], "exclude-agent-cases": {}}))
        return self.begin("fuzzingclient", folder, "--spec", str(folder / "spec")), folder

    def verdicts(self, url, *groups):
        """Runs the groups of cases beside each other. By case: how it went, how it closed, and the close code."""
        found = {}
        for process, folder in [self.begin_client(url, cases) for cases in groups]:
            status = process.wait(PATIENCE_S)
            log = (folder / "log").read_text(errors="replace")
            report = folder / "index.json"
            self.assertTrue(status == 0 and report.exists(), log[-4000:])
            for case, result in json.loads(report.read_text())["weir"].items():
                found[case] = tuple(result[key] for key in ("behavior", "behaviorClose", "remoteCloseCode"))
        return found

    def compare(self, echo, url):
        through = self.verdicts(url, PROTOCOL, *COMPRESSION)
        self.assertEqual(len(through), PROTOCOL_COUNT + sum(map(len, COMPRESSION)))
        others = {case: verdict for case, verdict in through.items() if verdict[:2] != ("OK", "OK")}
        # Of these the suite only says what happens. It must be what happens without Weir.
        self.assertEqual(sorted(others), ["7.1.6", "7.13.1", "7.13.2"], str(others)[:4000])
        self.assertEqual(others, self.verdicts(f"ws://127.0.0.1:{echo}", sorted(others)))

    def test_over_http1(self):
        echo = self.echo()
        running = self.in_front(echo)
        self.compare(echo, f"ws://127.0.0.1:{running.port}")
        running.until_metric("lb_active_connections", 0, listener="web")

    def test_over_tls_and_http2(self):
        """The client speaks HTTP/1.1, so three of Weir make a chain: HTTP/1.1 to 2, 2 to 2, and 2 to HTTP/1.1."""
        root = Authority(self.folder())
        tls = {"certificates": [root.issue("site", "DNS:localhost,IP:127.0.0.1")]}
        trusting = {"protocol": "http2", "tls": {"ca": str(root.cert)}}
        echo = self.echo()
        last = self.in_front(echo, protocol="http2")
        backend = {"name": "last", "url": f"http://127.0.0.1:{last.port}"}
        middle = self.weir(config_for(backend, listener={"tls": tls}, cluster={"protocol": "http2"}))
        backend = {"name": "middle", "url": f"https://127.0.0.1:{middle.port}"}
        first = self.weir(config_for(backend, listener={"tls": tls}, cluster=trusting))
        self.compare(echo, f"wss://127.0.0.1:{first.port}")
        for one in (first, middle, last):
            self.assertGreater(one.metric("lb_requests_total"), PROTOCOL_COUNT)


if __name__ == "__main__":
    unittest.main()
