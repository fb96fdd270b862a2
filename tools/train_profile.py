"""The traffic from which tools/train_profile learns: every pair of protocols, clear and TLS, small and large answers,
uploads, a bare configuration and one that uses much of what there is. Each load gets the same time, whatever it
costs."""

import itertools
import re
import subprocess
import unittest

from certificates import Authority
from harness import WEIR_BACKEND, Case, free_port

SECONDS = 1
FIELDS = [
    "accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
    "accept-encoding: gzip, deflate, br, zstd",
    "accept-language: fr-FR,fr;q=0.8,en;q=0.5",
    "cookie: id=5b1c94e2f7a3; cart=3; consent=all",
    "referer: https://shop.example.org/list?page=7",
    "user-agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0",
]
FRONTS = [["--h1", "-c", 40], ["-c", 4, "-m", 16]]
WHAT = ["/bytes?size=64", "/bytes?size=3000", "/bytes?size=200000", "/echo"]


class Training(Case):
    def backends(self, protocol):
        ports = [free_port() for _ in range(3)]
        for port in ports:
            command = [WEIR_BACKEND, "--listen", f"127.0.0.1:{port}", "--name", f"b{port}", "--protocol", protocol]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(lambda one=process: (one.terminate(), one.wait(20)))
        return [{"name": f"b{port}", "url": f"http://127.0.0.1:{port}"} for port in ports]

    def bare(self, listeners, cluster):
        return {
            "workers": 1,
            "admin": {"address": "127.0.0.1:0"},
            "listeners": listeners,
            "clusters": [cluster],
            "routes": [{"cluster": "app"}],
        }

    def rich(self, listeners, cluster):
        access_log = {"path": str(self.folder() / "access.log")}
        match = {"host": "*.example.org", "path_prefix": "/bytes", "methods": ["GET", "HEAD"]}
        filters = [
            {"request_headers": {"set": {"x-env": "production"}, "remove": ["referer"]}},
            {"response_headers": {"set": {"strict-transport-security": "max-age=63072000"}, "remove": ["server"]}},
        ]
        return {
            **self.bare([{**one, "access_log": access_log} for one in listeners], cluster),
            "workers": 2,
            "clusters": [{**cluster, "balance": "least_connections", "health_check": {"type": "tcp"}}],
            "routes": [
                {"match": {"path": "/old"}, "redirect": {"path": "/new"}},
                {"match": {**match, "headers": {"x-canary": "yes"}}, "cluster": "app"},
                {"match": match, "cluster": "app", "filters": filters},
                {"cluster": "app"},
            ],
        }

    def load(self, *arguments):
        fields = [word for field in FIELDS for word in ("-H", field)]
        command = ["h2load", "-t", "1", "-D", str(SECONDS), "--warm-up-time", "0", *fields, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        found = re.search(r"(\d+) succeeded, (\d+) failed", done.stdout)
        self.assertTrue(found and int(found.group(1)) > 0 and int(found.group(2)) == 0, done.stdout + done.stderr)

    def test_everything(self):
        authority = Authority(self.folder())
        certificate = authority.issue("www", "DNS:www.example.org")
        upload = self.folder() / "upload"
        upload.write_bytes(bytes(range(256)) * 20)
        listeners = [
            {"name": "clear", "address": "127.0.0.1:0"},
            {"name": "tls", "address": "127.0.0.1:0", "tls": {"certificates": [certificate]}},
        ]
        ways = {"clear": "http", "tls": "https"}
        for back, shape in itertools.product(("http1", "http2"), (self.bare, self.rich)):
            weir = self.weir(shape(listeners, {"name": "app", "protocol": back, "backends": self.backends(back)}))
            for name, front, what in itertools.product(ways, FRONTS, WHAT):
                port = weir.ports[name]
                at = ["--connect-to", f"127.0.0.1:{port}", f"{ways[name]}://www.example.org:{port}{what}"]
                self.load(*front, *(["-d", upload] if what == "/echo" else []), *at)
            self.assertEqual(weir.admin("/metrics").status, 200)
            weir.process.terminate()
            weir.wait(60)


if __name__ == "__main__":
    unittest.main()
