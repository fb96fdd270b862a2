"""slow_backend.py PORT BYTES: the backend of many a comparison of proxies: Python's own server, a thread for each
connection, and every connection closed after one answer. It stands in the lab to show what that measures."""

import http.server
import os
import random
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_GET(self):
        self.send_response(500 if random.random() * 100 < FAIL_PCT else 200)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True


FAIL_PCT = float(os.environ.get("FAIL_PCT") or 0)
BODY = b"x" * int(sys.argv[2])
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
