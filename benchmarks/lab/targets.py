"""What is measured: the direct line to the backend, the copier, Weir, and the peers that are set up.

A peer is a shell script, benchmarks/peers/NAME.sh, that writes its configuration and prints its command; any other
proxy joins with `--peers NAME=SCRIPT`. benchmarks/peers/README.md says what a script must do."""

import dataclasses
import os
import pathlib
import re
import signal
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
    certificate: str = "P-256"  # or RSA-2048; with tls
    workers: int = 1
    connections: int = 1000
    big: bool = False  # large bodies
    health: bool = False
    weights: list = dataclasses.field(default_factory=list)
    routes: str = ""  # a file of `host prefix cluster` lines

    @property
    def name(self):
        return f"{self.front} to {self.back}" + self.tls_name

    @property
    def tls_name(self):
        if not self.tls:
            return ""
        return ", TLS" + ("" if self.certificate == "P-256" else f" with {self.certificate}")


class Running:
    """A target that serves."""

    def __init__(self, name, port, process=None, admin_port=0, began=0.0, folder=None):
        self.name = name
        self.port = port
        self.process = process
        self.earlier = []  # processes that one reload after the other has replaced
        self.admin_port = admin_port
        self.began = began
        self.folder = folder

    def pause(self):
        if self.process:
            self.process.pause()

    def resume(self):
        if self.process:
            self.process.resume()

    def stop(self):
        for process in (self.process, *self.earlier):
            if process:
                process.stop()

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
        return {
            "LAB_WEIR": str(self.lab.weir),
            "LAB_PEERS": str(self.lab.peers_root),
            "LAB_SYSTEM_OPENSSL": "1" if self.lab.options.system_openssl else "",
        }

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
        certificate, key = self.lab.make_certificate(scenario.certificate) if scenario.tls else ("", "")
        return {
            **self.base_environment(),
            "LAB_PORT": str(port),
            "LAB_ADMIN_PORT": str(admin_port),
            "LAB_BACKENDS": " ".join(f"127.0.0.1:{one}" for one in scenario.backends),
            "LAB_WEIGHTS": " ".join(map(str, scenario.weights or [1] * len(scenario.backends))),
            "LAB_FRONT": scenario.front,
            "LAB_BACK": scenario.back,
            "LAB_WORKERS": str(scenario.workers),
            "LAB_TLS_CERT": str(certificate),
            "LAB_TLS_KEY": str(key),
            "LAB_CONNECTIONS": str(scenario.connections),
            "LAB_BIG": "1" if scenario.big else "",
            "LAB_HEALTH": "1" if scenario.health else "",
            "LAB_ROUTES": scenario.routes,
            "LAB_DIR": str(folder),
        }

    def prepare(self, name, scenario, port, admin_port, folder):
        """What a peer's script is told, and the command that it gives: (environment, words). CannotRun if it can't."""
        environment = self.environment(scenario, port, admin_port, folder)
        return environment, ask(script_of(name, self.custom), "command", environment)

    def launch(self, name, scenario, cores=None, folder=None):
        """Starts a target and does not wait for it."""
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
            environment, command = self.prepare(name, scenario, port, admin_port, folder)
        lab.note_command(command, f"{name}, {scenario.name}")
        began = time.monotonic()
        process = lab.keeper.start(name, command, cores, environment)
        return Running(name, port, process, admin_port, began, folder)

    def start(self, name, scenario, cores=None, patience_s=15.0, folder=None):
        """Starts a target and waits until it takes connections. CannotRun says why it does not."""
        target = self.launch(name, scenario, cores, folder)
        if target.process:
            deadline = target.began + patience_s
            while not machine.listens(target.port) or not machine.answers(target.port):
                self.expect_life(target, deadline)
                time.sleep(0.005)
        return target

    def expect_life(self, target, deadline):
        """CannotRun, with the target's last words, if it ended or had its time."""
        if not target.process.alive() or time.monotonic() > deadline:
            words = target.process.last_words()
            target.stop()
            raise CannotRun(words or "it does not take connections")

    def reload(self, target, scenario, cores=None):
        """Has a running target load the configuration of `scenario` on the port that it has. It may be another process
        that serves then: HAProxy's way. Returns when it was told to, by time.monotonic()."""
        environment, _ = self.prepare(target.name, scenario, target.port, target.admin_port, target.folder)
        environment["LAB_PID"] = str(target.process.popen.pid)
        words = ask(script_of(target.name, self.custom), "reload", environment)
        told = time.monotonic()
        if re.fullmatch("[A-Z][A-Z0-9]+", words[0]):
            os.kill(target.process.popen.pid, signal.Signals["SIG" + words[0]])
        else:
            target.earlier.append(target.process)
            target.process = self.lab.keeper.start(target.name, words, cores, environment)
        return told
