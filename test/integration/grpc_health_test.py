#!/usr/bin/env python3
"""Health checks of gRPC servers, against gRPC's own library."""

import contextlib
import pathlib
import time
import unittest

from certificates import Authority
from grpc_server import Server, grpc, unary
from harness import Backend, Case, config_for, free_port, until

SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"
CHECK = "/grpc.health.v1.Health/Check"


class SpeaksHttp2AndIsSilent(Backend):
    def serve(self, wire):
        with contextlib.suppress(OSError):
            wire.send(b"\0\0\0\4\0\0\0\0\0")  # SETTINGS
            wire.rest()
        wire.close()


@unittest.skipIf(grpc is None, "python3-grpcio is not installed")
class Health(Case):
    def check(self, *servers, **keys):
        keys = {"type": "grpc", "interval": "50ms", "timeout": "2s", "unhealthy_after": 2, "healthy_after": 1, **keys}
        cluster = {"protocol": "http2", "health_check": keys}
        return self.weir(config_for(*servers, cluster=cluster))

    def until_healthy(self, weir, wanted, name="s"):
        until(lambda: weir.backends()[name]["healthy"] == wanted, f"healthy is {wanted}: {weir.log}")

    def test_serving_and_not(self):
        status = [SERVING]
        server = Server(self, "s", {CHECK: unary(lambda request, context: status[0])})
        weir = self.check(server)
        self.until_healthy(weir, True)
        status[0] = NOT_SERVING
        self.until_healthy(weir, False)
        self.assertIn("NOT_SERVING", weir.log)
        status[0] = SERVING
        self.until_healthy(weir, True)

    def test_the_service_is_asked_for(self):
        asked = []

        def answer(request, context):
            asked.append((request, dict(context.invocation_metadata()).get("user-agent")))
            return SERVING

        server = Server(self, "s", {CHECK: unary(answer)})
        self.check(server, service="shop.Cart")
        until(lambda: asked, "it was asked")
        self.assertEqual(asked[0][0], b"\x0a\x09shop.Cart")
        self.assertTrue(asked[0][1].startswith("weir-health-check"), asked)

    def test_errors_are_failures(self):
        def unknown(request, context):
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")

        for methods, reason in (({}, "grpc-status 12"), ({CHECK: unary(unknown)}, "grpc-status 5")):
            with self.subTest(reason=reason):
                weir = self.check(Server(self, "s", methods))
                self.until_healthy(weir, False)
                self.assertIn(reason, weir.log)

    def test_one_that_does_not_answer_is_late(self):
        # gRPC's own server knows the deadline too, and might be the first to say that it is over.
        weir = self.check(SpeaksHttp2AndIsSilent(self, "s"), timeout="100ms")
        self.until_healthy(weir, False)
        self.assertIn("timeout: waiting for the answer", weir.log)

    def test_an_http1_server_is_not_healthy(self):
        weir = self.check(self.backend("s"))
        self.until_healthy(weir, False)

    def test_over_tls(self):
        root = Authority(self.folder())
        pair = root.issue("site", "DNS:localhost,IP:127.0.0.1")
        key, cert = (pathlib.Path(pair[part]).read_bytes() for part in ("key", "cert"))
        credentials = grpc.ssl_server_credentials([(key, cert)])
        answer = {CHECK: unary(lambda request, context: SERVING)}
        server = Server(self, "s", answer, credentials=credentials)
        for ca, healthy in ((root, True), (Authority(self.folder(), "other"), False)):
            keys = {"type": "grpc", "interval": "50ms", "unhealthy_after": 1, "healthy_after": 1}
            weir = self.weir(config_for(server, cluster={"tls": {"ca": str(ca.cert)}, "health_check": keys}))
            until(lambda: weir.admin("/readyz").status == 200, "its check has answered")
            self.until_healthy(weir, healthy)
            self.assertEqual("backend is unhealthy" in weir.log, not healthy, weir.log)

    def test_one_that_comes_back(self):
        port = free_port()
        methods = {CHECK: unary(lambda request, context: SERVING)}
        weir = self.check({"name": "s", "url": f"http://127.0.0.1:{port}"})
        self.until_healthy(weir, False)
        began = time.monotonic()
        Server(self, "s", methods, port)
        self.until_healthy(weir, True)
        self.assertLess(time.monotonic() - began, 10)


if __name__ == "__main__":
    unittest.main()
