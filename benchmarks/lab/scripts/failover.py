"""What a killed backend costs."""

import json
import signal
import subprocess
import time

from .. import load
from ..metrics import Metrics
from ..script import Script, Step
from ..targets import Scenario

PORTS = [8001, 8002, 8003]
VICTIM = "backend-8002"
PATH = "/bytes?size=100"
PART = "kill -9 of backend-8002 under load"


class Failover(Script):
    name = "failover"
    title = "Failover"
    about = (
        "backend-8002 is killed (SIGKILL) under load and started again later: time until Weir counts it as unhealthy,\n"
        "errors that clients see, time until it gets traffic again after its return."
    )
    goals_text = "detected in less than 5 s, 0 errors on GET."
    shows_not = ["A backend that hangs or answers slowly; here its port refuses connections at once."]

    def steps(self):
        self.count = self.connections([50])[0]
        self.rounds = self.slices(5, 1)
        self.load_s = max(5.0, self.duration(12, 6))
        return [Step(f"kill {i + 1} of {self.rounds}", self.load_s + 2, self.measure) for i in range(self.rounds)]

    def measure(self):
        lab = self.lab
        ports = lab.fixed_ports(PORTS)
        backends = {port: lab.backend(port)[1] for port in ports}
        setting = f"{self.count} connections"
        target = self.start(PART, "weir", Scenario(ports, workers=len(lab.cores), health=True), None, setting)
        if not target:
            return
        rate = 1000
        command = load.own(
            lab, "open", target.port, PATH, self.count,
            ["--rate", rate, "--duration", self.load_s, "--warm-up", 0], 100, True,
        )  # fmt: skip
        lab.note_command(command, "open loop")
        client = lab.keeper.start("lab-load", command, stdout=subprocess.PIPE)
        time.sleep(1)
        killed = time.monotonic()
        backends[8002].signal(signal.SIGKILL)
        healthy = "lb_backend_health_status"
        detected = self.wait(target, killed, lambda m: m.sum(healthy, backend=VICTIM) == 0)
        time.sleep(1)
        backends[8002].stop()
        before = Metrics(target.admin_port).sum("lb_backend_requests_total", backend=VICTIM, status_code="200")
        returned = time.monotonic()
        backends[8002] = lab.backend(8002)[1]
        recovered = self.wait(
            target, returned,
            lambda m: m.sum("lb_backend_requests_total", backend=VICTIM, status_code="200") > before,
        )  # fmt: skip
        output, _ = client.popen.communicate(timeout=self.load_s + 30)
        client.stop()
        self.keep(detected, recovered, output)
        lab.keeper.stop_all()

    def wait(self, target, since, condition):
        """Seconds until Weir's metrics say so; None if they don't within 10 s."""
        while time.monotonic() < since + 10:
            if condition(Metrics(target.admin_port)):
                return time.monotonic() - since
            time.sleep(0.01)
        return None

    def keep(self, detected, recovered, output):
        told = json.loads(output)
        self.samples = getattr(self, "samples", {"detected": [], "recovered": [], "errors": [], "max": []})
        for key, value in (
            ("detected", detected),
            ("recovered", recovered),
            ("errors", told["errors"]),
            ("max", told["latency_us"]["max"] / 1e3),
        ):
            if value is not None:
                self.samples[key].append(value)

    def judge(self):
        if not hasattr(self, "samples"):
            return
        setting = f"{self.count} connections, 1,000 requests/s"
        late = ["not within 10 s"]
        names = (
            ("time to detection", "s", "detected"),
            ("errors seen by clients", "errors", "errors"),
            ("time to recovery", "s", "recovered"),
            ("slowest answer", "ms", "max"),
        )
        for name, unit, key in names:
            self.add(PART, "weir", setting, name, unit, "lower", self.samples[key], [] if self.samples[key] else late)
        detected, errors = self.samples["detected"], self.samples["errors"]
        self.goal(
            "detected in < 5 s",
            max(detected) < 5 if len(detected) == len(errors) else False,
            f"{max(detected):.2f} s at most" if detected else "never",
        )
        if self.lab.environment.get("FAIL_PCT"):
            self.goal("0 errors on GET", None, "void: the backends fail on purpose")
        else:
            self.goal("0 errors on GET", sum(errors) == 0, f"{sum(errors)} errors in {len(errors)} runs")
