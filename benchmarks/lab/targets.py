"""What is measured: the direct line to the backend, the copier, Weir, and the peers that are set up.

A peer is a shell script, benchmarks/peers/NAME.sh, that writes its configuration and prints its command; any other
proxy joins with `--peers NAME=SCRIPT`. benchmarks/peers/README.md says what a script must do."""

import dataclasses
import os
import pathlib
import subprocess
import time

from . import machine

PEERS_FOLDER = pathlib.Path(__file__).resolve().parent.parent / "peers"
PEERS = ("haproxy", "nginx", "nghttpx", "envoy", "caddy", "apache", "traefik", "pingora")
FLOORS = ("direct", "copy", "splice")
UNSUPPORTED = 3  # exit status of a script that can't do what was asked


class CannotRun(Exception):
    """Why a target does not take part."""


@dataclasses.dataclass
class Scenario:
    """What a proxy is to do."""

    backends: list  # ports
    front: str = "h1"
    back: str = "h1"
    tls: bool = False
    workers: int = 1
    connections: int = 1000
    big: bool = False  # large bodies
    health: bool = False
    weights: list = dataclasses.field(default_factory=list)
    routes: str = ""  # a file of `host prefix cluster` lines

    @property
    def name(self):
        return f"{self.front} to {self.back}" + (", TLS" if self.tls else "")


class Running:
    """A target that serves."""

    def __init__(self, name, port, process=None, admin_port=0, start_seconds=0.0):
        self.name = name
        self.port = port
        self.process = process
        self.admin_port = admin_port
        self.start_seconds = start_seconds

    def pause(self):
        if self.process:
            self.process.pause()

    def resume(self):
        if self.process:
            self.process.resume()

    def stop(self):
        if self.process:
            self.process.stop()

    def resident_kib(self):
        return self.process.resident_kib() if self.process else 0


def script_of(name, custom):
    return pathlib.Path(custom[name]) if name in custom else PEERS_FOLDER / f"{name}.sh"


def ask(script, what, environment):
    """Runs a peer's script: its output's lines. CannotRun with its last word otherwise."""
    try:
        done = subprocess.run(
            [str(script), what], capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
        )
    except OSError as error:
        raise CannotRun(f"{script}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise CannotRun("its script does not end") from error
    if done.returncode != 0:
        raise CannotRun(done.stderr.strip().split("\n")[-1] or f"its script ended with status {done.returncode}")
    return done.stdout.rstrip("\n").split("\n")


class Targets:
    def __init__(self, lab):
        self.lab = lab
        self.custom = {}

    def base_environment(self):
        return {"LAB_WEIR": str(self.lab.weir), "LAB_PEERS": str(self.lab.peers_root)}

    def choose(self, wanted):
        """The peers that take part, from `--peers`; None means all that are set up. Returns [(name, version)] and the
        others with the reason."""
        chosen, missing = [], {}
        names = []
        for word in wanted if wanted is not None else PEERS:
            name, _, script = word.partition("=")
            if script:
                self.custom[name] = os.path.abspath(script)
            if name not in ("none", "weir", *FLOORS):
                names.append(name)
        for name in names:
            try:
                if not script_of(name, self.custom).exists():
                    raise CannotRun("no such peer")
                chosen.append((name, self.version(name)))
            except CannotRun as reason:
                missing[name] = str(reason)
        return chosen, missing

    def version(self, name):
        return "; ".join(ask(script_of(name, self.custom), "version", self.base_environment()))

    def environment(self, scenario, port, admin_port, folder):
        lab = self.lab
        return {
            **self.base_environment(),
            "LAB_PORT": str(port),
            "LAB_ADMIN_PORT": str(admin_port),
            "LAB_BACKENDS": " ".join(f"127.0.0.1:{one}" for one in scenario.backends),
            "LAB_WEIGHTS": " ".join(map(str, scenario.weights or [1] * len(scenario.backends))),
            "LAB_FRONT": scenario.front,
            "LAB_BACK": scenario.back,
            "LAB_WORKERS": str(scenario.workers),
            "LAB_TLS_CERT": str(lab.certificate) if scenario.tls else "",
            "LAB_TLS_KEY": str(lab.key) if scenario.tls else "",
            "LAB_CONNECTIONS": str(scenario.connections),
            "LAB_BIG": "1" if scenario.big else "",
            "LAB_HEALTH": "1" if scenario.health else "",
            "LAB_ROUTES": scenario.routes,
            "LAB_DIR": str(folder),
        }

    def start(self, name, scenario, cores=None, patience_s=15.0, folder=None):
        """Starts a target and waits until it takes connections. CannotRun says why it does not."""
        lab = self.lab
        if name == "direct":
            return Running(name, scenario.backends[0])
        port = lab.ports.take()
        admin_port = 0
        environment = {}
        if name in ("copy", "splice"):
            command = [
                lab.tool("lab-copy"),
                "--listen",
                port,
                "--to",
                ",".join(map(str, scenario.backends)),
                "--threads",
                scenario.workers,
            ] + (["--splice"] if name == "splice" else [])
        else:
            admin_port = lab.ports.take()
            folder = folder or lab.scratch_folder(name)
            environment = self.environment(scenario, port, admin_port, folder)
            command = ask(script_of(name, self.custom), "command", environment)
        lab.note_command(command, f"{name}, {scenario.name}")
        began = time.monotonic()
        process = lab.keeper.start(name, command, cores, environment)
        deadline = began + patience_s
        while not machine.listens(port) or not machine.answers(port):
            if not process.alive() or time.monotonic() > deadline:
                words = process.last_words()
                process.stop()
                raise CannotRun(words or "it does not take connections")
            time.sleep(0.005)
        return Running(name, port, process, admin_port, time.monotonic() - began)
