"""What connections and configurations cost: handshakes, idle memory, start, reload with 10,000 routes."""

import http.client
import itertools
import time

from ... import load
from ...script import Step, load_is_full, measured, us_per_request
from ...targets import CannotRun
from ..memory_profile import idle_memory, idle_setting
from .part import Part, Scenario

HANDSHAKES = "new connections"
IDLE = "memory of idle connections"
START = "start and reload"
PATH, BODY = "/bytes?size=64", 64
KINDS = [  # what a step is called, what the load does, the certificate
    ("in the clear", "none", "P-256"),
    ("full TLS 1.3 handshakes", "full", "P-256"),
    ("full TLS 1.3 handshakes, RSA-2048", "full", "RSA-2048"),
    ("resumed TLS 1.3 handshakes", "resumed", "P-256"),
]
IDLE_FRONTS = (("h1", False), ("h2", False), ("h1", True), ("h2", True))  # protocol, TLS
QUICK_IDLE_FRONTS = (("h1", True),)  # in the clear memory_profile has it
HOSTS, PREFIXES, CLUSTERS = 1000, 10, 8
SETTLED_ANSWERS = 20
PATIENCE_S = 60.0


class Lifetime(Part):
    key = "lifetime"
    about = (
        "full (P-256 and RSA-2048) and resumed TLS handshakes, memory of an idle connection, in the clear and over\n"
        "    TLS, start, reload with 10,000 routes"
    )

    def steps(self):
        pick = self.script.pick
        self.rounds = self.script.slices(8, 1)
        self.starts = pick(5, 1)
        self.idle_count = min(self.script.connections([10_000], [1000])[0], self.lab.descriptors - 500)
        self.slice_s = self.script.duration(1, 0.3)
        names = self.targets()
        seconds = self.slice_seconds(1, 0.3, names, self.rounds)
        steps = [Step(kind[0], seconds, lambda k=kind: self.connect(*k)) for kind in KINDS]
        for front, tls in pick(IDLE_FRONTS, QUICK_IDLE_FRONTS):
            took = (self.idle_count / (2000 if tls else 6000) + 2.5) * len(names)
            what = f"{self.idle_count:,} idle connections, {idle_setting(front, tls)}"
            steps.append(Step(what, took, lambda f=front, t=tls: self.idle(f, t)))
        steps.append(Step("start", self.starts * 0.4 * len(names), lambda: self.start(False)))
        steps.append(Step("start with 10,000 routes", self.starts * len(names), lambda: self.start(True)))
        steps.append(Step("reload with 10,000 routes", (1 + self.starts) * len(names), self.reload))
        return steps

    # Connections.

    def connect(self, setting, tls, certificate):
        script, lab = self.script, self.lab
        port = self.backends(1)[0]
        scenario = Scenario([port], tls=tls != "none", certificate=certificate)
        running = script.start_all(HANDSHAKES, self.targets(), lambda _: scenario, lab.proxy_core, setting)
        run = lambda target: measured(
            target,
            lambda: load.connect_rate(
                lab, target.port, PATH, self.slice_s, 8, tls=tls, body=BODY, cores=lab.load_cores, warm_up=0.0
            ),
        )
        slices = script.alternate(running, self.rounds, run, HANDSHAKES, setting)
        script.add_slices(HANDSHAKES, setting, slices, "processor time", "us", "lower", us_per_request)
        rate, full = lambda l, u, w: l.rate, load_is_full(lab)
        script.add_slices(HANDSHAKES, setting, slices, "connections/s", "1/s", "higher", rate, note_of=full)
        p50 = lambda l, u, w: l.latency_us["p50"] / 1e3
        script.add_slices(HANDSHAKES, setting, slices, "p50 to the answer", "ms", "lower", p50)
        lab.keeper.stop_all()

    def idle(self, front, tls):
        for name in self.targets():
            self.lab.progress.detail(name)
            idle_memory(self.script, IDLE, name, front, [self.idle_count], tls)

    # Start and reload.

    def routes_file(self):
        path = self.lab.folder / "routes"
        if not path.exists():
            pairs = itertools.product(range(HOSTS), range(PREFIXES))
            path.write_text("".join(f"h{h}.example.com /p{p}/ {(h * 7 + p) % CLUSTERS}\n" for h, p in pairs))
        return str(path)

    def scenario(self, port, many):
        return Scenario([port], routes=self.routes_file() if many else "")

    def setting(self, many):
        return f"{HOSTS * PREFIXES:,} routes" if many else "one route"

    def start(self, many):
        lab, script = self.lab, self.script
        setting = self.setting(many)
        port = self.backends(1)[0]
        for name in self.targets():
            lab.progress.detail(name)
            took, used, resident = [], [], []
            try:
                for _ in range(self.starts):
                    target = lab.targets.launch(name, self.scenario(port, many), lab.proxy_core)
                    self.wait_for_backend(target, many, port)
                    took.append((time.monotonic() - target.began) * 1e3)
                    used.append(target.process.processor().total_s * 1e3)
                    resident.append(target.resident_kib() / 1024)
                    target.stop()
            except CannotRun as reason:
                script.left_out(START, name, setting, str(reason))
                continue
            script.add(START, name, setting, "start to first answer", "ms", "lower", took)
            script.add(START, name, setting, "processor time until then", "ms", "lower", used)
            script.add(START, name, setting, "memory then", "MiB", "lower", resident)
        lab.keeper.stop_all()

    def answered_by(self, target, many):
        """The name of the backend that a request over a new connection reaches by the last route; empty if none."""
        host, path = (f"h{HOSTS - 1}.example.com", f"/p{PREFIXES - 1}/x") if many else ("localhost", PATH)
        connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=5)
        try:
            connection.request("GET", path, headers={"Host": host, "Connection": "close"})
            answer = connection.getresponse()
            answer.read()
            return answer.getheader("x-backend-name", "")
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()

    def wait_for_backend(self, target, many, port):
        deadline = time.monotonic() + PATIENCE_S
        while self.answered_by(target, many) != f"backend-{port}":
            self.lab.targets.expect_life(target, deadline)
            time.sleep(0.001)

    def reload(self):
        for name in self.targets():
            self.lab.progress.detail(name)
            try:
                self.reload_one(name)
            except CannotRun as reason:
                self.script.left_out(START, name, "reload", str(reason))
            self.lab.keeper.stop_all()

    def reload_one(self, name):
        """Every reload sends all routes to the other backend; it took effect when only that one answers."""
        lab, script = self.lab, self.script
        ports = self.backends(2)
        target = lab.targets.start(name, self.scenario(ports[0], True), lab.proxy_core, PATIENCE_S)
        self.wait_for_backend(target, True, ports[0])
        took, used, failures, seen = [], [], 0, {}
        for turn in range(self.starts):
            port = ports[(turn + 1) % 2]
            before = self.processor_s(target, seen)
            began = lab.targets.reload(target, self.scenario(port, True), lab.proxy_core)
            effective, lost = self.wait_for_change(target, port)
            failures += lost
            took.append((effective - began) * 1e3)
            used.append((self.processor_s(target, seen) - before) * 1e3)
        setting = self.setting(True)
        script.add(START, name, setting, "reload until it is in force", "ms", "lower", took)
        script.add(START, name, setting, "processor time of a reload", "ms", "lower", used)
        script.add(START, name, setting, "requests lost by reloads", "requests", "lower", [failures])
        script.add(START, name, setting, "memory after reloads", "MiB", "lower", [target.resident_kib() / 1024])

    def processor_s(self, target, seen):
        """Of all processes that a reload has brought; what ended keeps what it had when it was last seen."""
        for process in (target.process, *target.earlier):
            seen[process] = max(seen.get(process, 0.0), process.processor().total_s)
        return sum(seen.values())

    def wait_for_change(self, target, port):
        """When the first answer came after which no other backend answered, and how many requests had none."""
        deadline = time.monotonic() + PATIENCE_S
        since, right, lost = 0.0, 0, 0
        while right < SETTLED_ANSWERS:
            who = self.answered_by(target, True)
            if who == f"backend-{port}":
                since = since or time.monotonic()
                right += 1
            else:
                lost += not who
                since, right = 0.0, 0
            self.lab.targets.expect_life(target, deadline)
            time.sleep(0.001)
        return since, lost
