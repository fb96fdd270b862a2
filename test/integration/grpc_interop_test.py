#!/usr/bin/env python3
"""gRPC's own interoperability tests: Go's client against Go's server, through Weir.

The two programs come from the Go module proxy, once, by the command that the skipped test says. They are looked for in
build/grpc-interop, or in the folder that `GRPC_INTEROP` names. All cases that need no special credentials are run.
"""

import os
import pathlib
import socket
import subprocess
import unittest

from harness import SOURCE, Case, config_for, free_port, until

VERSION = "v1.60.1"
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
)


def programs():
    """Where they are; SkipTest if they can't be had."""
    folder = pathlib.Path(os.environ.get("GRPC_INTEROP", SOURCE / "build" / "grpc-interop"))
    if all((folder / name).exists() for name in ("client", "server")):
        return folder
    raise unittest.SkipTest(
        f"gRPC's interoperability tests are not in {folder}; with Go: GOBIN={folder} go install "
        f"google.golang.org/grpc/interop/client@{VERSION} google.golang.org/grpc/interop/server@{VERSION}"
    )



class Interop(Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = programs()
        cls.server_port = free_port()
        cls.server = subprocess.Popen(
            [cls.folder / "server", f"--port={cls.server_port}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        cls.addClassCleanup(cls.end)

        def up():
            try:
                socket.create_connection(("127.0.0.1", cls.server_port), 1).close()
                return True
            except OSError:
                return False

        until(up, "the server listens")

    @classmethod
    def end(cls):
        cls.server.kill()
        cls.server.wait(10)

    def test_all_cases(self):
        backend = {"name": "go", "url": f"http://127.0.0.1:{self.server_port}"}
        running = self.weir(config_for(backend, cluster={"protocol": "http2"}, workers=2))
        for case in CASES:
            with self.subTest(case=case):
                done = subprocess.run(
                    [
                        self.folder / "client",
                        *("--server_host=127.0.0.1", f"--server_port={running.port}", f"--test_case={case}"),
                        "--soak_iterations=50",
                    ],
                    env={**os.environ, "GRPC_GO_LOG_SEVERITY_LEVEL": "info", "no_proxy": "*"},
                    capture_output=True,
                    text=True,
                    timeout=120,
                )
                self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        self.assertGreater(running.metric("lb_grpc_requests_total", route="all", grpc_status="0"), 100)


if __name__ == "__main__":
    unittest.main()
