"""Shares of weighted backends."""

from .. import load
from ..metrics import Metrics
from ..script import Script, Step, measured
from ..targets import Scenario

PATH = "/echo"
PART = "shares at weights 2:1:1"
WEIGHTS = [2, 1, 1]


class Distribution(Script):
    name = "distribution"
    title = "Distribution over weighted backends"
    about = (
        "The backends' shares at weights 2:1:1 with 400 connections, counted by which backend's name the answers "
        "carry,\nand by Weir's metrics."
    )
    goals_text = "every share within 2 % of its weight, and both counts agree."
    shows_not = ["Shares over a whole run; how even they are within a second is not looked at."]

    def steps(self):
        self.count = self.connections([400])[0]
        self.seconds_each = self.duration(10, 2)
        return [
            Step(f"{workers} workers", self.seconds_each + 1, lambda n=workers: self.measure(n))
            for workers in sorted({1, len(self.lab.cores)})
        ]

    def measure(self, workers):
        lab = self.lab
        setting = f"{self.count} connections, {workers} workers"
        ports = [lab.backend()[0] for _ in WEIGHTS]
        target = self.start(
            PART,
            "weir",
            Scenario(ports, workers=workers, connections=self.count + 100, weights=WEIGHTS),
            None,
            setting,
        )
        if not target:
            return
        result, _, _ = measured(
            target,
            lambda: load.wrk(
                lab, target.port, PATH, self.seconds_each, self.count, lua=load.TOOLS / "names.lua", browser=False
            ),
        )
        metrics = Metrics(target.admin_port)
        counts = {"the backends' answers": result.names}
        counts["lb_backend_requests_total"] = {
            f"backend-{port}": metrics.sum("lb_backend_requests_total", backend=f"backend-{port}") for port in ports
        }
        for how, found in counts.items():
            self.add_shares(setting, how, found, ports, result)
        total = sum(counts["lb_backend_requests_total"].values())
        self.goal(
            f"both counts agree, {workers} workers",
            None if result.faults else abs(total - result.requests) <= self.count,
            f"{result.requests} answered, {total:.0f} counted",
        )
        target.stop()

    def add_shares(self, setting, how, found, ports, result):
        total = sum(found.values())
        worst = 0.0
        for port, weight in zip(ports, WEIGHTS):
            share = found.get(f"backend-{port}", 0) / total if total else 0.0
            worst = max(worst, abs(share / (weight / sum(WEIGHTS)) - 1))
            self.add(
                PART,
                f"weight {weight}, backend {ports.index(port) + 1}",
                setting,
                f"share by {how}",
                "%",
                "none",
                [] if result.faults else [share * 100],
                result.faults,
            )
        self.add(
            PART,
            "worst",
            setting,
            f"deviation by {how}",
            "%",
            "lower",
            [] if result.faults else [worst * 100],
            result.faults,
        )

    def judge(self):
        found = [one for one in self.figures if one["target"] == "worst"]
        values = [one["median"] for one in found]
        known = [value for value in values if value is not None]
        self.goal(
            "deviation < 2 %",
            None if not known or len(known) < len(values) else max(known) < 2,
            f"at most {max(known):.2f} %" if known else "void",
        )
