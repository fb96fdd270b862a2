#!/usr/bin/env python3
"""HTTP/2 towards backends over real sockets: weir-backend and nghttpd behind it, curl and h2load in front of it."""

import os
import shutil
import subprocess
import unittest

from harness import WEIR_BACKEND, Backend, Case, config_for, fetch, free_port, until
from real_backend import Programs


class Http2Upstream(Programs, Case):
    def proxy(self, port, workers=1, **cluster):
        return self.weir(
            config_for({"name": "real", "url": f"http://127.0.0.1:{port}"}, cluster=cluster, workers=workers)
        )

    def found(self, weir):
        return weir.admin("/api/v1/clusters").json()["clusters"][0]["backends"][0]["protocol"]

    def created(self, weir, protocol):
        return weir.metric("lb_pool_connections_created_total", protocol=protocol) or 0

    def test_what_it_speaks_is_found_out(self):
        for protocol, expected in (("http2", "http2"), ("auto", "http2"), ("http1", "http1")):
            weir = self.proxy(self.weir_backend(protocol))
            until(lambda weir=weir, expected=expected: self.found(weir) == expected, f"{expected} is found")
            for _ in range(5):
                self.assertEqual(fetch(weir.port, "/echo").text, "real\n")
            self.assertGreaterEqual(self.created(weir, expected), 1)
            self.assertEqual(self.created(weir, "http1" if expected == "http2" else "http2"), 0)

    def test_a_backend_that_hangs_on_the_probe_fails_no_request(self):
        def raw(wire):
            while (request := wire.request()) is not None:
                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        backend = Backend(self, raw=raw)
        backend.probed = lambda wire: wire.sock.recv(24, 2).startswith(b"PRI * HTTP/2") and not wire.rest()
        weir = self.weir(config_for({"url": backend.url}))
        for _ in range(5):
            self.assertEqual(fetch(weir.port, timeout_s=5).text, "ok")
        until(lambda: self.found(weir) == "http1", "HTTP/1.1 is believed")

    def test_bodies_pass_unchanged_both_ways(self):
        weir = self.proxy(self.weir_backend(), protocol="http2")
        body = os.urandom(3_000_000)
        self.assertEqual(fetch(weir.port, "/echo", "POST", body=body).body, body)
        self.assertEqual(
            fetch(
                weir.port, "/echo", "POST", fields={"Transfer-Encoding": "chunked"}, body=b"5\r\nhello\r\n0\r\n\r\n"
            ).text,
            "hello",
        )
        self.assertEqual(len(fetch(weir.port, "/bytes?size=3000001").body), 3_000_001)
        self.assertEqual(fetch(weir.port, "/bytes?size=77", "HEAD").get("content-length"), "77")

    @unittest.skipUnless(shutil.which("h2load"), "h2load is not installed")
    def test_one_connection_for_each_worker_at_400_requests_at_once(self):
        for arguments in (["--h1"], []):
            weir = self.proxy(self.weir_backend(), workers=2, protocol="http2")
            fetch(weir.port, "/health")  # what SETTINGS allow is known from here on
            command = [
                "h2load",
                "-n",
                "8000",
                "-c",
                "400",
                "-m",
                "1",
                *arguments,
                f"http://127.0.0.1:{weir.port}/health",
            ]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
            self.assertRegex(done.stdout, r"8000 succeeded, 0 failed, 0 errored", done.stdout)
            self.assertRegex(done.stdout, r"status codes: 8000 2xx")
            self.assertLessEqual(self.created(weir, "http2"), 2)
            self.assertEqual(self.created(weir, "http1"), 0)

    @unittest.skipUnless(shutil.which("nghttpd") and shutil.which("curl"), "nghttpd or curl is not installed")
    def test_nghttpd_behind_it_and_curl_in_front(self):
        folder = self.folder()
        content = os.urandom(500_000)
        (folder / "file").write_bytes(content)
        port = self.nghttpd("-d", str(folder), "--echo-upload")
        weir = self.proxy(port, protocol="http2")
        for version in ("--http1.1", "--http2-prior-knowledge"):
            command = ["curl", "--noproxy", "*", "-sS", "--max-time", "30", version]
            url = f"http://127.0.0.1:{weir.port}"
            done = subprocess.run([*command, f"{url}/file"], capture_output=True, timeout=60, check=True)
            self.assertEqual(done.stdout, content)
            done = subprocess.run(
                [*command, "--data-binary", f"@{folder / 'file'}", f"{url}/up"],
                capture_output=True,
                timeout=60,
                check=True,
            )
            self.assertEqual(done.stdout, content)
            done = subprocess.run(
                [*command, "-o", os.devnull, "-w", "%{http_code}", f"{url}/none"],
                capture_output=True,
                timeout=60,
                check=True,
            )
            self.assertEqual(done.stdout, b"404")

    def test_a_backend_that_ends_is_found_again(self):
        port = free_port()
        command = [WEIR_BACKEND, "--listen", f"127.0.0.1:{port}", "--name", "real"]
        first = subprocess.Popen([*command, "--protocol", "http2"], stdout=subprocess.DEVNULL)
        check = {"type": "tcp", "interval": "100ms", "timeout": "1s", "healthy_after": 1}
        weir = self.proxy(port, health_check=check)
        until(lambda: self.found(weir) == "http2", "HTTP/2 is found")
        first.terminate()
        first.wait(10)
        until(lambda: fetch(weir.port, "/health").status in (502, 503), "the backend is missed")
        self.start_program(*command, "--protocol", "http1", port=port)
        until(lambda: self.found(weir) == "http1", "HTTP/1.1 is found")
        until(lambda: fetch(weir.port, "/health").status == 200, "it serves again")


if __name__ == "__main__":
    unittest.main()
