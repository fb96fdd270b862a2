#!/usr/bin/env python3
"""gRPC's own interoperability tests: Go's client against Go's server, through Weir.

The two programs come from the Go module proxy: tools/setup builds them into build/conformance where there is Go. They
are looked for there, or in the folder that `GRPC_INTEROP` names. All cases that need no special credentials are run,
but for pick_first_unary, which Go's server does not answer: it tells no id of itself.
"""

import os
import pathlib
import socket
import subprocess
import unittest

from certificates import Authority
from harness import SOURCE, Case, config_for, free_port, until

CASES = (
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "timeout_on_sleeping_server",
    "cancel_after_begin",
    "cancel_after_first_response",
    "status_code_and_message",
    "special_status_message",
    "custom_metadata",
    "unimplemented_method",
    "unimplemented_service",
    "rpc_soak",
    "channel_soak",
    "orca_per_rpc",
    "orca_oob",
)
ARGUMENTS = ("--soak_iterations=50",)
# The two of ORCA (load reports of the backend) are looked at by a balancer in the client.
ORCA_ARGUMENTS = ("--service_config_json", '{"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}')


def programs():
    """Where they are; SkipTest if they can't be had."""
    folder = pathlib.Path(os.environ.get("GRPC_INTEROP", SOURCE / "build" / "conformance"))
    if all((folder / name).exists() for name in ("client", "server")):
        return folder
    raise unittest.SkipTest(f"gRPC's interoperability tests are not in {folder}; with Go, tools/setup test builds them")


class Interop(Case):
    @classmethod
    def setUpClass(cls):
        cls.programs = programs()

    def server(self, *arguments):
        """The port of Go's server."""
        port = free_port()
        process = subprocess.Popen(
            [self.programs / "server", f"--port={port}", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def end():
            process.kill()
            process.wait(10)

        def up():
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            except OSError:
                return False

        self.addCleanup(end)
        until(up, "the server listens")
        return port

    def run_all(self, running, *arguments):
        for case in CASES:
            with self.subTest(case=case):
                done = subprocess.run(
                    [
                        self.programs / "client",
                        *("--server_host=127.0.0.1", f"--server_port={running.port}", f"--test_case={case}"),
                        *(ORCA_ARGUMENTS if case.startswith("orca") else ARGUMENTS),
                        *arguments,
                    ],
                    env={**os.environ, "GRPC_GO_LOG_SEVERITY_LEVEL": "info", "no_proxy": "*"},
                    capture_output=True,
                    text=True,
                    timeout=120,
                )
                self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        self.assertGreater(running.metric("lb_grpc_requests_total", route="all", grpc_status="0"), 100)

    def test_all_cases(self):
        backend = {"name": "go", "url": f"http://127.0.0.1:{self.server()}"}
        self.run_all(self.weir(config_for(backend, cluster={"protocol": "http2"}, workers=2)))

    def test_all_cases_over_tls(self):
        """On both sides; here the backend's HTTP/2 is found by ALPN."""
        root = Authority(self.folder())
        site = root.issue("site", "DNS:localhost,IP:127.0.0.1")
        port = self.server("--use_tls", f"--tls_cert_file={site['cert']}", f"--tls_key_file={site['key']}")
        backend = {"name": "go", "url": f"https://127.0.0.1:{port}"}
        running = self.weir(
            config_for(backend, listener={"tls": {"certificates": [site]}}, cluster={"tls": {"ca": str(root.cert)}})
        )
        trust = ("--use_test_ca", f"--ca_file={root.cert}")
        self.run_all(running, "--use_tls", *trust, "--server_host_override=localhost")


if __name__ == "__main__":
    unittest.main()
