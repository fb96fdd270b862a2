#!/usr/bin/env python3
"""TLS towards clients over real sockets, with clients that others wrote."""

import json
import random
import re
import shutil
import socket
import ssl
import subprocess
import threading
import unittest

from certificates import Authority, openssl
from harness import Backend, Case, config_for, fetch, free_port, ok, respond_config, until, weir as command


class TlsCase(Case):
    def setUp(self):
        self.keys = self.folder()
        self.root = Authority(self.keys)
        self.site = self.root.issue("site", "DNS:localhost,IP:127.0.0.1")

    def listen(self, *certificates, **tls):
        return {"tls": {"certificates": list(certificates) or [self.site], **tls}}

    def context(self, **options):
        context = ssl.create_default_context(cafile=self.root.cert)
        for key, value in options.items():
            setattr(context, key, value)
        return context

    def handshake(self, port, name="localhost", context=None, session=None):
        raw = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.addCleanup(raw.close)
        wrapped = (context or self.context()).wrap_socket(raw, server_hostname=name, session=session)
        self.addCleanup(wrapped.close)
        return wrapped

    def get(self, connection, fields=""):
        connection.sendall(f"GET / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode())
        text = b""
        while b"\r\n\r\n" not in text:
            piece = connection.recv(4096)
            if not piece:
                break
            text += piece
        return text.decode()

    def client(self, port, *arguments):
        return openssl("s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", self.root.cert, *arguments, check=False)


class Handshakes(TlsCase):
    def test_certificates_are_chosen_by_name_and_by_kind_of_key(self):
        kinds = [self.root.issue(kind, "DNS:localhost", kind) for kind in ("rsa", "ecdsa", "ed25519")]
        wild = self.root.issue("wild", "DNS:*.wild.example")
        running = self.weir(respond_config(listener=self.listen(*kinds, wild)))
        for name, arguments, subject in (
            ("localhost", ("-sigalgs", "RSA-PSS+SHA256"), "rsa"),
            ("localhost", ("-sigalgs", "ECDSA+SHA256"), "ecdsa"),
            ("localhost", ("-sigalgs", "ed25519"), "ed25519"),
            ("a.wild.example", (), "wild"),
            ("a.b.wild.example", ("-sigalgs", "RSA-PSS+SHA256"), "rsa"),
        ):
            text = self.client(running.port, "-servername", name, *arguments).stdout
            self.assertIn(f"subject=CN = {subject}\n", text, name)

    def test_nothing_weak_is_offered(self):
        rsa = self.root.issue("rsa", "DNS:localhost", "rsa")
        running = self.weir(respond_config(listener=self.listen(rsa, self.site)))
        for version in ("-tls1", "-tls1_1"):
            text = self.client(running.port, version, "-cipher", "ALL:@SECLEVEL=0").stdout
            self.assertIn("Cipher is (NONE)", text, version)
        accepted = set()
        for cipher in openssl("ciphers", "-tls1_2", "-s", "ALL:COMPLEMENTOFALL:@SECLEVEL=0").stdout.strip().split(":"):
            text = self.client(running.port, "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0").stdout
            if f"Cipher is {cipher}" in text:
                accepted.add(cipher)
        self.assertEqual(
            accepted,
            {
                f"ECDHE-{key}-{cipher}"
                for key in ("ECDSA", "RSA")
                for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
            },
        )
        text = self.client(running.port, "-tls1_2").stdout
        self.assertIn("Compression: NONE", text)
        self.assertIn("Secure Renegotiation IS supported", text)

    def test_sessions_are_resumed_by_whichever_worker_comes(self):
        running = self.weir(respond_config(listener=self.listen(), workers=2))
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.context(maximum_version=version)
            session, resumed = None, 0
            for _ in range(40):
                connection = self.handshake(running.port, context=context, session=session)
                resumed += connection.session_reused
                self.assertIn("200 OK", self.get(connection))
                session = connection.session
                connection.close()
            self.assertEqual(resumed, 39, version)
        name = "TLSv1.3"
        self.assertEqual(running.metric("lb_tls_handshakes_total", version=name, resumed="true"), 39)

    def test_sessions_outlive_a_reload(self):
        running = self.weir(respond_config(listener=self.listen()))
        context = self.context()
        connection = self.handshake(running.port, context=context)
        self.get(connection)
        session = connection.session
        self.root.issue("site", "DNS:localhost,IP:127.0.0.1")
        running.reload(respond_config(body="new", listener=self.listen()))
        again = self.handshake(running.port, context=context, session=session)
        self.assertTrue(again.session_reused)

    def test_client_certificates_are_asked_for_and_passed_on(self):
        staff = Authority(self.keys, "staff")
        alice = staff.issue("alice", "URI:spiffe://example/alice")
        eve = Authority(self.keys, "eve-ca").issue("eve", "DNS:eve")
        backend = self.backend()
        running = self.weir(config_for(backend, listener=self.listen(client_ca=str(staff.cert))))
        for shown in (None, eve):
            context = self.context()
            if shown:
                context.load_cert_chain(shown["cert"], shown["key"])
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                connection = self.handshake(running.port, context=context)
                self.get(connection)
                connection.recv(1)
        context = self.context()
        context.load_cert_chain(alice["cert"], alice["key"])
        connection = self.handshake(running.port, context=context)
        self.assertIn("200 OK", self.get(connection, "X-Client-Cert-Subject: CN=a\r\n"))
        seen = backend.requests[-1]
        self.assertEqual(seen.all("x-client-cert-subject"), ["CN=alice"])
        self.assertEqual(seen.get("x-client-cert-san"), "URI:spiffe://example/alice")
        self.assertRegex(seen.get("client-cert"), "^:MII[A-Za-z0-9+/=]+:$")
        fingerprint = openssl("x509", "-in", alice["cert"], "-noout", "-fingerprint", "-sha256").stdout
        expected = fingerprint.split("=")[1].strip().replace(":", "").lower()
        self.assertEqual(seen.get("x-client-cert-fingerprint"), expected)
        self.assertEqual(running.metric("lb_tls_handshake_failures_total", reason="no_certificate"), 1)

    def test_a_proxy_header_stands_before_the_handshake(self):
        backend = self.backend()
        running = self.weir(config_for(backend, listener={**self.listen(), "proxy_protocol": True}))
        # In one piece with the first bytes of the handshake, and byte by byte.
        for pieces in (1, 1000):
            header = f"PROXY TCP4 192.0.2.{pieces % 7} 192.0.2.80 40000 443\r\n".encode()
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = self.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
            with socket.create_connection(("127.0.0.1", running.port), timeout=10) as raw:
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

                def step(action):
                    nonlocal header
                    while True:
                        try:
                            return action()
                        except ssl.SSLWantReadError:
                            data, header = header + outgoing.read(), b""
                            size = -(-len(data) // pieces) or 1
                            for at in range(0, len(data), size):
                                raw.sendall(data[at : at + size])
                            incoming.write(raw.recv(65536))

                step(tls.do_handshake)
                tls.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertIn(b"200 OK", step(lambda: tls.read(4096)))
            self.assertEqual(backend.requests[-1].get("x-forwarded-for"), f"192.0.2.{pieces % 7}")
            self.assertEqual(backend.requests[-1].get("x-forwarded-proto"), "https")

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_curl_of_both_versions_and_protocols(self):
        backend = self.backend()
        running = self.weir(config_for(backend, listener=self.listen()))
        for arguments in (("--tls-max", "1.2"), ("--tls-max", "1.3"), ("--http1.1",), ("--http2",)):
            url = f"https://localhost:{running.port}/"
            run = ["curl", "-sS", "--max-time", "10", "--cacert", self.root.cert, "-w", "%{http_code}", *arguments, url]
            result = subprocess.run(run, capture_output=True, text=True, timeout=20)
            self.assertTrue(result.stdout.endswith("200"), (arguments, result.stderr))
            self.assertEqual(backend.requests[-1].get("x-forwarded-proto"), "https")
        refused = ["curl", "-sS", "--cacert", self.root.cert, "--tls-max", "1.1", f"https://localhost:{running.port}/"]
        self.assertEqual(subprocess.run(refused, capture_output=True, timeout=20).returncode, 35)


class Renewal(TlsCase):
    def subject_seen(self, port):
        return re.search(r"subject=CN = (\S+)", self.client(port).stdout).group(1)

    def renew(self, name):
        fresh = self.root.issue(name, "DNS:localhost")
        for kind in ("cert", "key"):
            shutil.copyfile(fresh[kind], self.site[kind])

    def test_by_reload_and_by_file_without_a_drop(self):
        running = self.weir(respond_config(listener=self.listen(), workers=2))
        kept = self.handshake(running.port)
        self.assertIn("200 OK", self.get(kept))
        over = threading.Event()
        trouble = []

        def ask():
            while not over.is_set():
                try:
                    connection = self.handshake(running.port)
                    if "200 OK" not in self.get(connection):
                        trouble.append("no answer")
                    connection.close()
                except OSError as error:
                    trouble.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            self.renew("second")
            running.reload()
            self.assertEqual(self.subject_seen(running.port), "second")
            self.renew("third")
            until(lambda: self.subject_seen(running.port) == "third", "the new files are in use", 30)
        finally:
            over.set()
            asking.join()
        self.assertEqual(trouble, [])
        self.assertIn("200 OK", self.get(kept), "the connection from before")
        expiries = running.metrics()
        self.assertNotIn("CN=site", str(expiries))
        running.wait_log("certificates renewed")

    def test_broken_files_are_not_taken(self):
        running = self.weir(respond_config(listener=self.listen()))
        with open(self.site["key"], "w", encoding="ascii") as key:
            key.write("nonsense")
        running.wait_log("certificates can't be renewed.*there is no private key", 30)
        self.assertEqual(self.subject_seen(running.port), "site")

    def test_an_expired_certificate_is_a_warning(self):
        old = self.root.issue("old", "DNS:localhost", days=-1)
        running = self.weir(respond_config(listener=self.listen(old)))
        running.wait_log("CERTIFICATE HAS EXPIRED.*CN=old")
        self.assertEqual(self.subject_seen(running.port), "old")
        self.assertGreater(running.metric("lb_certificate_expiry_seconds", listener="web", subject="CN=old"), 0)


class Upstream(TlsCase):
    """Backends over TLS; a Weir in front of a Weir."""

    def behind(self, *backends, cluster=None, **options):
        urls = [{"name": f"b{i}", "url": one} for i, one in enumerate(backends)]
        return self.weir(config_for(*urls, cluster={"tls": {"ca": str(self.root.cert)}, **(cluster or {})}), **options)

    def test_both_protocols_and_a_name_that_is_looked_up(self):
        backend = self.backend()
        for protocol, spoken in (("auto", "http2"), ("http1", "http1"), ("http2", "http2")):
            secure = self.weir(config_for(backend, listener={**self.listen(), "protocol": protocol}))
            front = self.behind(f"https://localhost:{secure.port}")
            until(lambda: fetch(front.port, "/x").status == 200, "the name is looked up")
            for _ in range(3):
                self.assertEqual(fetch(front.port, "/x").status, 200)
            self.assertEqual(front.metric("lb_pool_connections_created_total", protocol=spoken), 1)
            self.assertEqual(backend.requests[-1].get("x-forwarded-proto"), "https")
            shown = front.admin("/api/v1/clusters").json()["clusters"][0]["backends"][0]
            self.assertEqual((shown["url"], shown["protocol"]), (f"https://localhost:{secure.port}", spoken))

    def test_large_bodies_go_both_ways(self):
        backend = Backend(self, answer=lambda request, wire: ok(request.body))
        secure = self.weir(config_for(backend, listener=self.listen()))
        body = random.Random(1).randbytes(3_000_000)
        for protocol in ("http1", "http2"):
            front = self.behind(f"https://127.0.0.1:{secure.port}", cluster={"protocol": protocol})
            self.assertEqual(fetch(front.port, "/", method="POST", body=body).body, body)

    def test_a_ca_that_is_not_used_is_a_warning(self):
        said = []
        for verify in (True, False):
            tls = {"tls": {"ca": str(self.root.cert), "verify": verify}}
            said.append("backends are not verified" in self.behind("https://127.0.0.1:1", cluster=tls).log)
        self.assertEqual(said, [False, True])

    def test_sessions_are_resumed(self):
        secure = self.weir(respond_config(listener={**self.listen(), "limits": {"idle_timeout": "200ms"}}))
        front = self.behind(f"https://127.0.0.1:{secure.port}")
        for count in (0, 1, 2):
            self.assertEqual(fetch(front.port).status, 200)
            until(lambda: secure.metric("lb_active_connections") == 0, "the idle connection is closed")
            resumed = front.metric("lb_backend_tls_handshakes_total", resumed="true")
            self.assertEqual(resumed or 0, count)

    def test_the_system_s_certificates_are_the_default(self):
        secure = self.weir(respond_config(listener=self.listen()))
        for environment, status in (({"SSL_CERT_FILE": str(self.root.cert)}, 200), ({}, 502)):
            config = config_for({"url": f"https://127.0.0.1:{secure.port}"}, cluster={"retry": {"attempts": 1}})
            front = self.weir(config, env=environment)
            self.assertEqual(fetch(front.port).status, status)
            if status == 502:
                front.wait_log("TLS handshake with a backend failed.*issuer")
                self.assertEqual(front.metric("lb_backend_tls_failures_total", reason="bad_certificate"), 1)
                self.assertEqual(front.metric("lb_local_replies_total", reason="upstream_tls_failed"), 1)

    def test_health_checks_go_over_tls(self):
        good = self.weir(respond_config(listener=self.listen()))
        other = self.weir(respond_config(listener=self.listen(self.root.issue("other", "DNS:other"))))
        check = {"path": "/", "interval": "100ms", "unhealthy_after": 1, "healthy_after": 1}
        front = self.behind(
            f"https://127.0.0.1:{good.port}", f"https://127.0.0.1:{other.port}", cluster={"health_check": check}
        )
        until(lambda: front.metric("lb_healthy_backends", cluster="app") == 1, "only one is healthy")
        front.wait_log("backend is unhealthy.*b1.*TLS: .*mismatch")
        for _ in range(4):
            self.assertEqual(fetch(front.port).status, 200)

    def test_proxy_without_a_file(self):
        secure = self.weir(respond_config(listener=self.listen()))
        port = free_port()
        arguments = ["proxy", "--listen", f"127.0.0.1:{port}", "--to", f"https://localhost:{secure.port}"]
        running = self.weir({}, arguments=arguments, env={"SSL_CERT_FILE": str(self.root.cert)}, wait=False)
        running.wait_log("listening")
        until(lambda: fetch(port).status == 200, "the name is looked up")

    def test_a_backend_of_the_admin_api_needs_tls_in_the_configuration(self):
        secure = self.weir(respond_config(listener=self.listen()))
        for cluster, status in ((None, 422), ({"tls": {"ca": str(self.root.cert)}}, 201)):
            front = self.weir(config_for(cluster=cluster))
            new = {"url": f"https://127.0.0.1:{secure.port}"}
            answer = front.admin("/api/v1/clusters/app/backends", method="POST", body=new)
            self.assertEqual(answer.status, status)
            self.assertEqual(fetch(front.port).status, 200 if status == 201 else 503)


class Configuration(TlsCase):
    def errors(self, listener):
        path = self.keys / "config.yaml"
        path.write_text(json.dumps(respond_config(listener=listener), indent=1))
        result = command("check", "-f", path)
        self.assertEqual(result.returncode, 1)
        return result.stderr

    def test_errors_have_their_place(self):
        other = self.root.issue("other", "DNS:other")
        mixed = {"cert": self.site["cert"], "key": other["key"]}
        self.assertRegex(self.errors(self.listen(mixed)), r"config.yaml:\d+:\d+: error: .*the key does not fit")
        gone = {"cert": "gone.crt", "key": self.site["key"]}
        self.assertRegex(self.errors(self.listen(gone)), r"config.yaml:\d+:\d+: error: can't read '.*gone.crt'")

    def test_paths_are_relative_to_the_configuration(self):
        path = self.keys / "config.yaml"
        path.write_text(json.dumps(respond_config(listener=self.listen({"cert": "site.crt", "key": "site.key"}))))
        self.assertEqual(command("check", "-f", path).returncode, 0)


if __name__ == "__main__":
    unittest.main()
