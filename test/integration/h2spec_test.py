#!/usr/bin/env python3
"""h2spec, every case of its strict set, against Weir as a proxy.

h2spec comes from the Go module proxy: tools/setup builds it into build/conformance where there is Go. It is looked for
on the PATH too.
"""

import re
import shutil
import subprocess
import unittest
import xml.etree.ElementTree

from certificates import Authority
from harness import SOURCE, WEIR_BACKEND, Case, config_for, fetch, free_port, until

H2SPEC = shutil.which("h2spec", path=SOURCE / "build" / "conformance") or shutil.which("h2spec")
CASES = 146  # of the strict set of 2.2.1; fewer were not all run
PATH = "/bytes?size=1000"  # some cases need an answer with a body


@unittest.skipUnless(H2SPEC, "h2spec is not there; with Go, tools/setup test builds it")
class H2Spec(Case):
    def backend_url(self):
        port = free_port()
        process = subprocess.Popen(
            [WEIR_BACKEND, "--listen", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

        def end():
            process.terminate()
            process.wait(10)

        def up():
            try:
                return fetch(port, "/health").status == 200
            except OSError:
                return False

        self.addCleanup(end)
        until(up, "weir-backend is up")
        return {"name": "real", "url": f"http://127.0.0.1:{port}"}

    def failures(self, port, *arguments):
        """The names of the cases that were not passed."""
        report = self.folder() / "report.xml"
        done = subprocess.run(
            [H2SPEC, "--strict", "--port", str(port), "--path", PATH, "--junit-report", str(report), *arguments],
            capture_output=True,
            text=True,
            timeout=300,
        )
        counts = re.search(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed", done.stdout)
        self.assertIsNotNone(counts, done.stdout + done.stderr)
        self.assertEqual(int(counts.group(1)), CASES, done.stdout)
        failed = [
            f"{case.get('package')}: {case.get('classname')}"
            for case in xml.etree.ElementTree.parse(report).iter("testcase")
            if any(case.find(kind) is not None for kind in ("failure", "error", "skipped"))
        ]
        self.assertEqual(len(failed), int(counts.group(3)) + int(counts.group(4)), done.stdout)
        return failed

    def test_in_the_clear(self):
        running = self.weir(config_for(self.backend_url(), listener={"protocol": "http2"}))
        self.assertEqual(self.failures(running.port), [])

    def test_beside_http1_on_one_port(self):
        running = self.weir(config_for(self.backend_url()))
        # What is no preface is a request of HTTP/1 there, and is answered as one.
        self.assertEqual(self.failures(running.port), ["http2/3.5: Sends invalid connection preface"])

    def test_over_tls(self):
        site = Authority(self.folder()).issue("site", "DNS:localhost,IP:127.0.0.1")
        listener = {"tls": {"certificates": [site]}}
        running = self.weir(config_for(self.backend_url(), listener=listener))
        self.assertEqual(self.failures(running.port, "--tls", "--insecure"), [])


if __name__ == "__main__":
    unittest.main()
