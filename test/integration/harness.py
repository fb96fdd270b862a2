"""What the integration tests share: Weir as a process, backends that do what a test says, and clients of raw sockets.

Everything listens on ephemeral ports and is ended by its process id; waiting is polling with a deadline.
"""

import contextlib
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

BINARIES = pathlib.Path(os.environ["WEIR_BINARIES"])
SOURCE = pathlib.Path(os.environ.get("WEIR_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
WEIR = BINARIES / "weir"
WEIR_BACKEND = BINARIES / "weir-backend"
WEBSOCKET = {
    "Connection": "upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
PATIENCE_S = 15  # for what should come at once, on a machine that is busy


def until(condition, what="the condition", timeout_s=PATIENCE_S):
    """Polls until the condition's value is true; returns it."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.004)


def free_port(host="127.0.0.1"):
    """A port that nobody listens on now."""
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as server:
        return server.getsockname()[1]


class Message:
    """A request or response: first line, fields in order with lower-case names, body, trailers."""

    def __init__(self, first, fields):
        self.first = first
        self.fields = fields
        self.body = b""
        self.trailers = []
        self.complete = False  # the body ended as its framing says

    @property
    def status(self):
        return int(self.first.split(" ")[1])

    @property
    def method(self):
        return self.first.split(" ")[0]

    @property
    def target(self):
        return self.first.split(" ")[1]

    def all(self, name):
        return [value for key, value in self.fields if key == name]

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    @property
    def text(self):
        return self.body.decode(errors="replace")

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.first} {self.fields} {self.body[:200]!r}>"


class Wire:
    """One end of a connection, read as HTTP/1.1 or raw."""

    def __init__(self, sock, timeout_s=PATIENCE_S):
        self.sock = sock
        self.sock.settimeout(timeout_s)
        self.buffer = b""
        self.ended = False

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())
        return self

    def fill(self):
        """Reads more; False at the end or at a reset."""
        if self.ended:
            return False
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionError:
            data = b""
        self.ended = not data
        self.buffer += data
        return bool(data)

    def until(self, mark):
        while mark not in self.buffer:
            if not self.fill():
                raise EOFError(f"connection closed; so far {self.buffer[:300]!r}")
        data, _, self.buffer = self.buffer.partition(mark)
        return data + mark

    def exactly(self, size):
        while len(self.buffer) < size:
            if not self.fill():
                raise EOFError(f"connection closed after {len(self.buffer)} of {size} bytes")
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def rest(self):
        """All that still comes until the other side closes."""
        while self.fill():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def closed(self):
        """True once the other side has closed without another byte."""
        return not self.buffer and not self.fill()

    def head(self):
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:-2])]
        return Message(lines[0], fields)

    def chunks(self, message):
        while True:
            size = int(self.until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                break
            message.body += self.exactly(size)
            self.exactly(2)
        while (line := self.until(b"\r\n")) != b"\r\n":
            name, _, value = line.decode("latin-1").partition(":")
            message.trailers.append((name.lower(), value.strip()))

    def request(self):
        """The next request with its body; None if the connection ends before one begins."""
        if not self.buffer and not self.fill():
            return None
        message = self.head()
        if "chunked" in message.get("transfer-encoding", ""):
            self.chunks(message)
        else:
            message.body = self.exactly(int(message.get("content-length", "0")))
        message.complete = True
        return message

    def response(self, method="GET"):
        """The next response; what breaks off is returned with complete=False."""
        message = self.head()
        try:
            if method == "HEAD" or message.status < 200 or message.status in (204, 304):
                pass
            elif "chunked" in message.get("transfer-encoding", ""):
                self.chunks(message)
            elif message.get("content-length") is not None:
                size = int(message.get("content-length"))
                while len(self.buffer) < size and self.fill():
                    pass
                message.body, self.buffer = self.buffer[:size], self.buffer[size:]
                if len(message.body) < size:
                    return message
            else:
                message.body = self.rest()
            message.complete = True
        except EOFError:
            pass
        return message

    def final(self, method="GET"):
        """The next response that is not informational."""
        while True:
            message = self.response(method)
            if message.status >= 200 or message.status == 101:
                return message

    def shutdown(self):
        self.sock.shutdown(socket.SHUT_WR)
        return self

    def reset(self):
        import struct

        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def connect(where, timeout_s=PATIENCE_S, source=None):
    """`where` is a port of 127.0.0.1, (host, port), or the path of a unix socket."""
    if isinstance(where, (str, pathlib.Path)):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout_s)
        sock.connect(str(where))
    else:
        address = ("127.0.0.1", where) if isinstance(where, int) else where
        sock = socket.create_connection(address, timeout=timeout_s, source_address=source)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Wire(sock, timeout_s)


def render(method, path, fields=(), body=None, host="test.example", version="1.1"):
    fields = list(fields.items()) if isinstance(fields, dict) else list(fields)
    names = {name.lower() for name, _ in fields}
    lines = [f"{method} {path} HTTP/{version}"]
    if host is not None and "host" not in names:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in fields]
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


def fetch(where, path="/", method="GET", fields=(), body=None, host="test.example", timeout_s=PATIENCE_S):
    """One request on a connection of its own."""
    with connect(where, timeout_s) as wire:
        names = {name.lower() for name, _ in (fields.items() if isinstance(fields, dict) else fields)}
        extra = list(fields.items()) if isinstance(fields, dict) else list(fields)
        if "connection" not in names:
            extra.append(("Connection", "close"))
        wire.send(render(method, path, extra, body, host))
        return wire.final(method)


def ok(body=b"ok", fields=(), status="200 OK"):
    body = body if isinstance(body, bytes) else body.encode()
    lines = [f"HTTP/1.1 {status}"] + [f"{name}: {value}" for name, value in fields]
    return ("\r\n".join(lines + [f"Content-Length: {len(body)}"]) + "\r\n\r\n").encode() + body


class Backend:
    """A backend in threads. `answer(request, wire)` returns the bytes of the answer, or None to close the connection;
    `raw(wire)` takes a connection over altogether."""

    def __init__(self, test, name="backend", answer=None, raw=None, address=("127.0.0.1", 0), listen=True):
        self.test = test
        self.name = name
        self.answer = answer or (lambda request, wire: ok(self.name))
        self.raw = raw
        self.address = address
        self.requests = []
        self.connections = 0
        self.open = set()
        self.lock = threading.Lock()
        self.server = None
        test.addCleanup(self.stop)
        if listen:
            self.start()

    def start(self):
        if isinstance(self.address, str):
            self.server = socket.socket(socket.AF_UNIX)
            self.server.bind(self.address)
            self.server.listen(64)
        else:
            family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
            self.server = socket.create_server(self.address, family=family, backlog=256)
            self.address = self.server.getsockname()[:2]
        threading.Thread(target=self.accept, args=(self.server,), daemon=True).start()
        return self

    @property
    def port(self):
        return self.address[1]

    @property
    def url(self):
        if isinstance(self.address, str):
            return f"unix:{self.address}"
        host = f"[{self.address[0]}]" if ":" in self.address[0] else self.address[0]
        return f"http://{host}:{self.port}"

    def accept(self, server):
        while True:
            try:
                sock, _ = server.accept()
            except OSError:
                return
            wire = Wire(sock, 60)
            with self.lock:
                self.open.add(wire)
            threading.Thread(target=self.serve, args=(wire,), daemon=True).start()

    def probed(self, wire):
        """Whether the connection only asks if this backend speaks HTTP/2: it does not, and does not count it."""
        if not wire.sock.recv(24, socket.MSG_PEEK).startswith(b"PRI * HTTP/2"):
            return False
        wire.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return True

    def serve(self, wire):
        try:
            if self.probed(wire):
                return
            with self.lock:
                self.connections += 1
            if self.raw:
                self.raw(wire)
                return
            while (request := wire.request()) is not None:
                with self.lock:
                    self.requests.append(request)
                answer = self.answer(request, wire)
                if answer is None:
                    return
                wire.send(answer)
        except (EOFError, OSError, ValueError):
            pass
        finally:
            wire.close()
            with self.lock:
                self.open.discard(wire)

    def stop(self):
        """Stops listening and cuts every connection."""
        if self.server is not None:
            with contextlib.suppress(OSError):
                self.server.shutdown(socket.SHUT_RDWR)
            self.server.close()
            self.server = None
        with self.lock:
            wires = list(self.open)
        for wire in wires:
            with contextlib.suppress(OSError):
                wire.sock.shutdown(socket.SHUT_RDWR)

    def count(self, path=None):
        with self.lock:
            return sum(1 for request in self.requests if path is None or request.target == path)


LABELS = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def parse_metrics(text):
    series = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, labels, value = re.match(r"([a-zA-Z_:]+)(?:\{(.*)\})? ([^ ]+)", line).groups()
            series.append((name, dict(LABELS.findall(labels or "")), float(value)))
    return series


class Weir:
    """A running `weir run`. The configuration is a dictionary (JSON is YAML) or a text."""

    def __init__(
        self, test, config, env=None, arguments=None, preexec=None, pass_fds=(), wrapper=(), wait=True, stdout=None
    ):
        self.test = test
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-test-"))
        test.addCleanup(self.remove)
        self.path = self.folder / "config.yaml"
        self.log_path = self.folder / "stderr"
        self.ports = {}
        self.write(config)
        command = [*wrapper, str(WEIR), *(arguments or ["run", "-f", str(self.path)])]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout or log,
                stderr=log,
                env={**os.environ, **(env or {})},
                preexec_fn=preexec,
                pass_fds=pass_fds,
                cwd=self.folder,
            )
        test.addCleanup(self.kill)
        if wait:
            self.wait_ready()

    def write(self, config):
        self.config = config
        self.path.write_text(config if isinstance(config, str) else json.dumps(config, indent=1))

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_ready(self):
        def listening():
            if self.process.poll() is not None:
                raise AssertionError(f"weir ended with {self.process.returncode}: {self.log}")
            return re.search(r"listening: (.*)", self.log)

        self.note_ports(until(listening, "weir listens").group(1))

    def note_ports(self, line):
        for name, port in re.findall(r"([^ ,]+) on (?:[0-9.]+|\[[0-9a-f:]+\]):([0-9]+)", line):
            self.ports[name] = int(port)

    @property
    def port(self):
        return next(port for name, port in self.ports.items() if name != "admin")

    @property
    def admin_port(self):
        return self.ports["admin"]

    def admin(self, path, method="GET", fields=(), body=None, host=None):
        fields = list(fields.items()) if isinstance(fields, dict) else list(fields)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            fields.append(("Content-Type", "application/json"))
        return fetch(self.admin_port, path, method, fields, body, host or f"127.0.0.1:{self.admin_port}")

    def metrics(self):
        return parse_metrics(self.admin("/metrics").text)

    def metric(self, name, **labels):
        """The sum of the series that have these labels; None if there is none."""
        values = [
            value
            for found, having, value in self.metrics()
            if found == name and all(having.get(key) == want for key, want in labels.items())
        ]
        return sum(values) if values else None

    def until_metric(self, name, value, **labels):
        return until(lambda: (self.metric(name, **labels) or 0) == value, f"{name}{labels} is {value}")

    def backends(self, cluster="app"):
        clusters = self.admin("/api/v1/clusters").json()["clusters"]
        found = next(one for one in clusters if one["name"] == cluster)
        return {backend["name"]: backend for backend in found["backends"]}

    def reload(self, config=None):
        if config is not None:
            self.write(config)
        return self.admin("/api/v1/reload", "POST")

    def wait_log(self, pattern, timeout_s=PATIENCE_S):
        return until(lambda: re.search(pattern, self.log), f"the log says {pattern!r}: {self.log}", timeout_s)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout_s=PATIENCE_S):
        return self.process.wait(timeout=timeout_s)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        # A crash must not hide behind a test that saw what it wanted before.
        if self.process.returncode not in (0, -signal.SIGKILL, 1, 2):
            raise AssertionError(f"weir ended with {self.process.returncode}: {self.log[-4000:]}")
        if "Sanitizer" in self.log or "runtime error:" in self.log:
            raise AssertionError(self.log[-8000:])

    def remove(self):
        import shutil

        shutil.rmtree(self.folder, ignore_errors=True)


def backend_of(backend, **keys):
    return {"name": backend.name, "url": backend.url, **keys}


def config_for(*backends, listener=None, cluster=None, route=None, **root):
    """One listener `web`, one cluster `app` of these backends, one route for everything."""
    return {
        "workers": 1,
        "admin": {"address": "127.0.0.1:0"},
        "listeners": [{"name": "web", "address": "127.0.0.1:0", **(listener or {})}],
        "clusters": [
            {
                "name": "app",
                "backends": [one if isinstance(one, dict) else backend_of(one) for one in backends],
                **(cluster or {}),
            }
        ],
        "routes": [{"name": "all", "cluster": "app", **(route or {})}],
        **root,
    }


def respond_config(body="ok", listener=None, **root):
    """One listener `web` and a route that answers by itself."""
    return {
        "workers": 1,
        "admin": {"address": "127.0.0.1:0"},
        "listeners": [{"name": "web", "address": "127.0.0.1:0", **(listener or {})}],
        "clusters": [],
        "routes": [{"name": "all", "respond": {"status": 200, "body": body}}],
        **root,
    }


def weir(*arguments, **options):
    """A command of weir that ends by itself."""
    return subprocess.run([WEIR, *map(str, arguments)], capture_output=True, text=True, timeout=20, **options)


class Case(unittest.TestCase):
    maxDiff = None

    def weir(self, config, **options):
        return Weir(self, config, **options)

    def backend(self, name="backend", answer=None, **options):
        return Backend(self, name, answer, **options)

    def folder(self):
        folder = tempfile.TemporaryDirectory(prefix="weir-test-")
        self.addCleanup(folder.cleanup)
        return pathlib.Path(folder.name)

    def connect(self, where, timeout_s=PATIENCE_S, **options):
        wire = connect(where, timeout_s, **options)
        self.addCleanup(wire.close)
        return wire

    def assert_reply(self, message, status, reason):
        self.assertEqual((message.status, message.text), (status, f"{status} {reason}\n"))


def readable(sock, timeout_s):
    return bool(select.select([sock], [], [], timeout_s)[0])
