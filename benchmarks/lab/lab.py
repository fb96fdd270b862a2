"""What all scripts share: options, programs, ports, backends, the certificate, and what was run."""

import argparse
import datetime
import os
import pathlib
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from . import machine, network, processes, targets
from .progress import Progress

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
SCRATCH_MIB = 500
# What `openssl req -newkey` makes each kind of certificate with.
CERTIFICATES = {"P-256": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "RSA-2048": ["rsa:2048"]}
PEERS_ROOT = pathlib.Path(os.environ.get("WEIR_PEERS", os.path.expanduser("~/.cache/weir-peers")))


class Unfit(Exception):
    """The machine lacks something; the message says what and what to do."""


def parse(arguments, name, about, epilog="", add_options=None):
    parser = argparse.ArgumentParser(
        prog=name, description=about, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="short slices and few of them; for a first look, and CI")
    parser.add_argument("--duration", type=positive, metavar="SECONDS", help="length of each measurement")
    parser.add_argument("--slices", type=count, metavar="N", help="how often each is measured (head to head: 8)")
    parser.add_argument("--connections", metavar="N[,N...]", type=counts, help="client connections")
    parser.add_argument(
        "--peers",
        metavar="NAME[=SCRIPT],...",
        help="stand beside these only; none for no peer " "(default: all that benchmarks/setup_peers.sh has set up)",
    )
    parser.add_argument("--json", metavar="FILE", help="write the results there; - is stdout")
    parser.add_argument("--weir", metavar="PATH", help="the weir to measure (default: build/release/weir)")
    parser.add_argument(
        "--binaries",
        metavar="FOLDER",
        help="where weir-backend, lab-load and lab-copy are " "(default: build/release)",
    )
    parser.add_argument(
        "--system-openssl",
        action="store_true",
        help="over TLS, Weir runs with this machine's own OpenSSL (default: with the peers', where they are set up)",
    )
    parser.add_argument("--loopback", action="store_true", help="no network namespace of its own")
    if add_options:
        add_options(parser)
    options = parser.parse_args(arguments)
    options.peers = options.peers.split(",") if options.peers else None
    return options


def positive(text):
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def count(text):
    value = int(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def names(known):
    """What reads a list of such names."""

    def read(text):
        for name in text.split(","):
            if name not in known:
                raise argparse.ArgumentTypeError(f"there is no {name!r}; there are {', '.join(known)}")
        return text.split(",")

    return read


def counts(text):
    values = [int(one) for one in text.split(",")]
    if min(values) <= 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return values


class Lab:
    """Use as a context: leaving it ends every process."""

    def __init__(self, options, progress=None):
        self.options = options
        self.quick = options.quick
        binaries = options.binaries or os.environ.get("WEIR_BINARIES") or ROOT / "build" / "release"
        self.binaries = pathlib.Path(binaries).resolve()
        self.weir = pathlib.Path(options.weir).resolve() if options.weir else self.binaries / "weir"
        self.peers_root = PEERS_ROOT
        self.progress = progress or Progress()
        self.commands = []
        self.random = random.Random(7)
        self.certificates = {}

    def __enter__(self):
        self.check_programs()
        self.namespace = "not asked for" if self.options.loopback else network.enter_namespace()
        self.descriptors = machine.raise_descriptor_limit()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-lab-"))
        self.folder.chmod(0o755)
        self.check_machine()
        self.ports = network.Ports()
        self.keeper = processes.Keeper(self.folder)
        self.targets = targets.Targets(self)
        self.peers, self.missing = self.targets.choose(self.options.peers)
        self.versions = dict(self.peers)
        self.versions["weir"] = self.targets.version("weir")
        for tool in ("wrk", "h2load"):
            self.versions[tool] = tool_version(tool)
        self.environment = {
            key: os.environ[key] for key in ("FAIL_PCT", "BASE_DELAY_MS", "JITTER_MS") if os.environ.get(key)
        }
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        return self

    def __exit__(self, *_):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave anything behind
        self.keeper.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    # What must be there.

    def check_programs(self):
        for path in (self.weir, *(self.binaries / name for name in ("weir-backend", "lab-load", "lab-copy"))):
            if not os.access(path, os.X_OK):
                raise Unfit(
                    f"{path} is missing: build it with `cmake --preset release && cmake --build --preset "
                    "release --target weir weir-backend lab-load lab-copy`"
                )
        for tool, package in (("wrk", "wrk"), ("h2load", "nghttp2-client"), ("openssl", "openssl")):
            if not shutil.which(tool):
                raise Unfit(f"{tool} is missing: benchmarks/setup.sh installs it (Debian package {package})")

    def check_machine(self):
        free_mib = shutil.disk_usage(self.folder).free >> 20
        if free_mib < SCRATCH_MIB:
            raise Unfit(f"{self.folder} has {free_mib} MiB of space left; {SCRATCH_MIB} are needed")
        if self.descriptors < 4096:
            raise Unfit(f"the hard limit of open files is {self.descriptors}; 4096 are needed (ulimit -Hn)")

    def fixed_ports(self, ports):
        """The ports that a script can't choose."""
        for port in ports:
            if machine.listens(port):
                raise Unfit(
                    f"port {port} is taken, and without a network namespace of its own ({self.namespace}) "
                    "the lab can't go round it: stop what listens there"
                )
        return ports

    # Where things run. On two cores the proxy has one to itself; load and backends share the other.

    @property
    def cores(self):
        return machine.cores()

    @property
    def proxy_core(self):
        return {self.cores[0]}

    @property
    def load_cores(self):
        return set(self.cores[1:2] or self.cores)

    @property
    def backend_cores(self):
        return set(self.cores[2:] or self.cores[1:] or self.cores)

    # What is started.

    def tool(self, name):
        return self.binaries / name

    @property
    def hash_folder(self):
        """Where benchmarks/hash/build.sh leaves its servers."""
        return ROOT / "build" / "hash"

    @staticmethod
    def listens(port):
        return machine.listens(port)

    def scratch_folder(self, name):
        folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))
        folder.chmod(0o777)  # some peers give up their rights
        return folder

    def backend(self, port=None, protocol="http1", cores=None, environment=None, name=None):
        """A weir-backend. The environment (FAIL_PCT and the like) reaches it."""
        port = port or self.ports.take()
        command = [
            self.tool("weir-backend"),
            "--listen",
            f"127.0.0.1:{port}",
            "--name",
            name or f"backend-{port}",
            "--protocol",
            protocol,
        ]
        self.note_command(command, f"backend, {protocol}")
        process = self.keeper.start(f"backend-{port}", command, cores, environment)
        self.wait_for(lambda: machine.listens(port), process)
        return port, process

    def wait_for(self, condition, process=None, seconds=15.0, what="it takes no connections"):
        deadline = time.monotonic() + seconds
        while not condition():
            if process and not process.alive():
                raise targets.CannotRun(process.last_words() or "it ended at once")
            if time.monotonic() > deadline:
                raise targets.CannotRun(what)
            time.sleep(0.01)

    def http2_backend(self, sizes, cores=None):
        """A backend that speaks HTTP/2 in the clear: {size: port}, and its name. weir-backend where it can, else
        nghttpd, which serves files."""
        try:
            port, _ = self.backend(protocol="http2", cores=cores)
            return {size: port for size in sizes}, "weir-backend"
        except targets.CannotRun:
            pass
        if not shutil.which("nghttpd"):
            raise targets.CannotRun("there is no HTTP/2 backend: weir-backend can't, and nghttpd is missing")
        found = {}
        for size in sizes:
            folder = self.scratch_folder("www")
            (folder / "bytes").write_bytes(b"x" * size)
            found[size] = self.ports.take()
            command = ["nghttpd", "--no-tls", "-d", str(folder), "-m", "1000", str(found[size])]
            self.note_command(command, "backend, http2")
            process = self.keeper.start("nghttpd", command, cores)
            self.wait_for(lambda port=found[size]: machine.listens(port), process)
        return found, "nghttpd"

    def make_certificate(self, kind="P-256"):
        """(certificate, key): PEM files with a key of that kind, P-256 or RSA-2048. Made once."""
        if kind in self.certificates:
            return self.certificates[kind]
        certificate, key = (self.folder / f"{what}-{kind}.pem" for what in ("certificate", "key"))
        subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                *CERTIFICATES[kind],
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=DNS:localhost,IP:127.0.0.1",
                "-keyout",
                key,
                "-out",
                certificate,
            ],
            check=True,
            capture_output=True,
        )
        key.chmod(0o644)
        self.certificates[kind] = certificate, key
        return certificate, key

    # What is remembered.

    def note_command(self, command, title):
        """Each kind of command stands in the report once, with ports and folders as they were the first time."""
        text = shlex.join(str(word) for word in command).replace(str(self.folder), "$LAB").replace(str(ROOT), ".")
        text = text.replace(os.path.expanduser("~"), "~")
        if all(one["title"] != title for one in self.commands):
            self.commands.append({"title": title, "command": text})

    def settings(self):
        return {
            "network": "a namespace of its own" if not self.namespace else f"loopback ({self.namespace})",
            "proxy_core": sorted(self.proxy_core),
            "load_cores": sorted(self.load_cores),
            "backend_cores": sorted(self.backend_cores),
            "descriptors": self.descriptors,
            "backend_environment": self.environment,
        }


def tool_version(tool):
    option = {"wrk": "-v"}.get(tool, "--version")
    done = subprocess.run([tool, option], capture_output=True, text=True)
    return ((done.stdout or done.stderr).strip().split("\n") or [""])[0].split(" Copyright")[0]


def now_text():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def fail(message):
    print(f"benchmarks: {message}", file=sys.stderr)
    sys.exit(1)
