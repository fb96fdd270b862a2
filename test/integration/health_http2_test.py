#!/usr/bin/env python3
"""HTTP checks of backends that speak HTTP/2, in the clear and over TLS, by real programs."""

import shutil
import socket
import ssl
import unittest

from certificates import Authority
from h2_client import h2
from harness import Backend, Case, Wire, backend_of, config_for, fetch, until
from proxy_headers import V2_SIGNATURE
from real_backend import Programs

CHECK = {"interval": "50ms", "timeout": "5s", "unhealthy_after": 1, "healthy_after": 1}
needs_nghttpd = unittest.skipUnless(shutil.which("nghttpd"), "nghttpd is not installed")


class Http2Backend(Backend):
    """Python's h2 as a server of HTTP/2 and nothing else. Over TLS with a `context`."""

    def __init__(self, test, name, context=None, status=200, proxied=False):
        self.context, self.status, self.proxied = context, status, proxied
        super().__init__(test, name)

    @property
    def url(self):
        return super().url.replace("http:", "https:" if self.context else "http:")

    def serve(self, wire):
        try:
            if self.proxied:
                self.skip_header(wire.sock)
            if self.context:
                wire = Wire(self.context.wrap_socket(wire.sock, server_side=True), 60)
            self.talk(wire.sock)
        except (EOFError, OSError, ValueError, h2.exceptions.ProtocolError):
            pass
        finally:
            wire.close()

    def skip_header(self, sock):
        """Reads no further than that."""
        start = sock.recv(16, socket.MSG_WAITALL)
        if not start.startswith(V2_SIGNATURE):
            raise ValueError("it does not begin with a PROXY header")
        sock.recv(int.from_bytes(start[14:], "big"), socket.MSG_WAITALL)

    def talk(self, sock):
        session = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        session.initiate_connection()
        sock.sendall(session.data_to_send())
        while data := sock.recv(1 << 16):
            for event in session.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    with self.lock:
                        self.requests.append(dict(event.headers))
                    session.send_headers(event.stream_id, [(":status", "103"), ("link", "<a>; rel=preload")])
                    session.send_headers(event.stream_id, [(":status", str(self.status))])
                    session.send_data(event.stream_id, self.name.encode(), end_stream=True)
            sock.sendall(session.data_to_send())

    def checks(self):
        with self.lock:
            return [request for request in self.requests if request.get("user-agent") == "weir-health-check"]


class Http2Checks(Programs, Case):
    def check(self, *backends, cluster=None, **keys):
        return self.weir(config_for(*backends, cluster={"health_check": {**CHECK, **keys}, **(cluster or {})}))

    def stays_healthy(self, weir, name="real"):
        until(lambda: weir.admin("/readyz").status == 200, "its check has answered")
        self.assertTrue(weir.backends()[name]["healthy"], weir.log)
        self.assertEqual(fetch(weir.port, "/health").status, 200)
        self.assertNotIn("unhealthy", weir.log)

    def until_unhealthy(self, weir, reason, name="real"):
        until(lambda: not weir.backends()[name]["healthy"], "unhealthy")
        weir.wait_log(f"backend is unhealthy.*{reason}")

    def real(self, port):
        return {"name": "real", "url": f"http://127.0.0.1:{port}"}

    def test_a_backend_of_http2_only(self):
        port = self.weir_backend("http2")
        for protocol in ("http2", "auto"):
            with self.subTest(protocol=protocol):
                weir = self.check(self.real(port), cluster={"protocol": protocol})
                self.stays_healthy(weir)
        weir = self.check(self.real(port), cluster={"protocol": "http2"}, path="/none")
        self.until_unhealthy(weir, "status 404")
        weir = self.check(self.real(port), cluster={"protocol": "http2"}, path="/none", expect="404")
        self.stays_healthy(weir)
        weir = self.check(self.real(port), cluster={"protocol": "http1"})
        self.until_unhealthy(weir, "closed before it answered|bad answer")

    def test_a_backend_of_http1_only(self):
        port = self.weir_backend("http1")
        for protocol in ("http1", "auto"):
            with self.subTest(protocol=protocol):
                self.stays_healthy(self.check(self.real(port), cluster={"protocol": protocol}))
        self.until_unhealthy(self.check(self.real(port), cluster={"protocol": "http2"}), "bad answer")

    def test_one_that_is_added_while_weir_runs(self):
        port = self.weir_backend("http2")
        for protocol in ("http2", "auto"):
            with self.subTest(protocol=protocol):
                weir = self.check(cluster={"protocol": protocol})
                added = weir.admin("/api/v1/clusters/app/backends", "POST", body=self.real(port))
                self.assertEqual(added.status, 201, added.text)
                until(lambda weir=weir: fetch(weir.port, "/health").status == 200, "it serves")
                self.stays_healthy(weir)

    @needs_nghttpd
    def test_nghttpd(self):
        folder = self.folder()
        (folder / "health").write_text("well")
        port = self.nghttpd("-d", str(folder))
        for protocol in ("http2", "auto"):
            with self.subTest(protocol=protocol):
                self.stays_healthy(self.check(self.real(port), cluster={"protocol": protocol}))
        self.until_unhealthy(self.check(self.real(port), cluster={"protocol": "http2"}, path="/none"), "status 404")

    @needs_nghttpd
    def test_nghttpd_over_tls(self):
        folder = self.folder()
        root = Authority(folder)
        pair = root.issue("site", "IP:127.0.0.1")
        (folder / "health").write_text("well")
        port = self.nghttpd("-d", str(folder), pair=pair)
        backend = {"name": "real", "url": f"https://127.0.0.1:{port}"}
        for protocol in ("http2", "auto"):
            with self.subTest(protocol=protocol):
                cluster = {"protocol": protocol, "tls": {"ca": str(root.cert)}}
                weir = self.check(backend, cluster=cluster)
                until(lambda weir=weir: weir.admin("/readyz").status == 200, "its check has answered")
                self.assertEqual(weir.backends()["real"]["protocol"], "http2", "as the check has found")
                self.stays_healthy(weir)
        weir = self.check(backend, cluster={"protocol": "http1", "tls": {"ca": str(root.cert)}})
        self.until_unhealthy(weir, "TLS|it does not|closed|bad answer")

    def test_checks_of_tcp_offer_what_requests_offer(self):
        root = Authority(self.folder())
        context = self.server_context(root, "h2")
        server = Http2Backend(self, "real", context)
        cluster = {"protocol": "http2", "tls": {"ca": str(root.cert)}, "health_check": {**CHECK, "type": "tcp"}}
        self.stays_healthy(self.weir(config_for(backend_of(server), cluster=cluster)))

    def server_context(self, root, *protocols):
        pair = root.issue("site", "IP:127.0.0.1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair["cert"], pair["key"])
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context

    @unittest.skipIf(h2 is None, "python3-h2 is not installed")
    def test_what_is_asked(self):
        root = Authority(self.folder())
        for context, scheme in ((None, "http"), (self.server_context(root, "h2", "http/1.1"), "https")):
            for host in (None, "app.internal:8443"):
                server = Http2Backend(self, "real", context)
                keys = {"host": host} if host else {}
                cluster = {"protocol": "http2", **({"tls": {"ca": str(root.cert)}} if context else {})}
                weir = self.check(server, cluster=cluster, path="/ready", **keys)
                self.stays_healthy(weir)
                asked = server.checks()[0]
                self.assertEqual(
                    {key: asked[key] for key in (":method", ":path", ":scheme", ":authority")},
                    {
                        ":method": "GET",
                        ":path": "/ready",
                        ":scheme": scheme,
                        ":authority": host or f"127.0.0.1:{server.port}",
                    },
                )
                self.assertNotIn("host", asked)

    # Weir takes the configuration's word where a server has no ALPN.
    @unittest.skipIf(h2 is None, "python3-h2 is not installed")
    def test_a_server_without_alpn(self):
        root = Authority(self.folder())
        server = Http2Backend(self, "real", self.server_context(root))
        cluster = {"protocol": "http2", "tls": {"ca": str(root.cert)}}
        self.stays_healthy(self.check(server, cluster=cluster))

    @unittest.skipIf(h2 is None, "python3-h2 is not installed")
    def test_behind_a_proxy_header(self):
        root = Authority(self.folder())
        for context in (None, self.server_context(root, "h2")):
            for protocol in ("http2", "auto"):
                server = Http2Backend(self, "real", context, proxied=True)
                cluster = {"protocol": protocol, "proxy_protocol": "v2"}
                cluster |= {"tls": {"ca": str(root.cert)}} if context else {}
                with self.subTest(protocol=protocol, secure=context is not None):
                    self.stays_healthy(self.check(server, cluster=cluster))

    @unittest.skipIf(h2 is None, "python3-h2 is not installed")
    def test_rise_and_fall(self):
        server = Http2Backend(self, "real", status=503)
        weir = self.check(server, cluster={"protocol": "http2"})
        self.until_unhealthy(weir, "status 503")
        server.status = 200
        until(lambda: weir.backends()["real"]["healthy"], "healthy")


if __name__ == "__main__":
    unittest.main()
