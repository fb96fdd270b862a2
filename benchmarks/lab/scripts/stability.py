"""Errors and memory over minutes, with spikes and reloads."""

import json
import signal
import subprocess
import time

from .. import load
from ..metrics import Metrics
from ..script import Script, Step
from ..targets import Scenario

PATH = "/bytes?size=1024"
PART = "a long run"


class Stability(Script):
    name = "stability"
    title = "Stability"
    about = (
        "1,000 connections for 5 minutes (or --duration) at a steady rate, spikes to 5,000 connections and reloads\n"
        "meanwhile: errors, and memory over time."
    )
    goals_text = "0 errors, flat memory."
    shows_not = ["Minutes, not days; what leaks a byte for each million requests is not seen."]

    def steps(self):
        self.count = self.connections([1000], [300])[0]
        self.spike = min(5 * self.count, self.lab.descriptors - self.count - 1000)
        self.run_s = max(4.0, self.duration(300, 10))
        return [Step(f"{self.count} connections, spikes to {self.spike}", self.run_s + 4, self.measure)]

    def measure(self):
        lab = self.lab
        ports = [lab.backend()[0] for _ in range(3)]
        scenario = Scenario(ports, workers=len(lab.cores), connections=self.count + self.spike + 100, health=True)
        target = self.start(PART, "weir", scenario)
        if not target:
            return
        rate = self.pick(3000, 1000)
        command = load.own(
            lab, "open", target.port, PATH, self.count,
            ["--rate", rate, "--duration", self.run_s, "--warm-up", 0.2], 1024, True,
        )  # fmt: skip
        lab.note_command(command, "open loop")
        client = lab.keeper.start("lab-load", command, stdout=subprocess.PIPE)
        began = time.monotonic()
        self.points, self.spikes, self.reloads, self.spike_failures = [], 0, 0, 0
        next_event, events = 1.0, 0
        while client.alive():
            at = time.monotonic() - began
            self.points.append([round(at, 2), target.resident_kib()])
            if at > next_event and at < self.run_s - 1.5:
                events += 1
                next_event = at + max(1.5, self.run_s / 12)
                if events % 2:
                    self.reload(target)
                else:
                    self.hold_spike(target)
            time.sleep(0.2)
        told = json.loads(client.popen.stdout.read())
        generation = Metrics(target.admin_port).sum("lb_config_generation")
        lab.keeper.stop_all()
        self.keep(told, generation, rate)

    def reload(self, target):
        target.process.signal(signal.SIGHUP)
        self.reloads += 1

    def hold_spike(self, target):
        held = load.Held(self.lab, target.port, PATH, self.spike)
        self.spikes += 1
        self.spike_failures += held.failed
        self.points.append([round(self.points[-1][0] + 0.1, 2), target.resident_kib()])
        held.close()

    def keep(self, told, generation, rate):
        setting = f"{self.count:,} connections, {rate:,} requests/s, {self.run_s:g} s"
        self.series.append({"part": PART, "target": "weir", "name": "resident", "x_unit": "s", "y_unit": "KiB",
                            "points": sorted(self.points)})  # fmt: skip
        self.errors = told["errors"] + self.spike_failures
        add = lambda name, unit, value: self.add(PART, "weir", setting, name, unit, "none", [value])
        add("requests", "requests", told["requests"])
        add("errors", "errors", told["errors"])
        add("connections of spikes not served", "connections", self.spike_failures)
        add("spikes", "spikes", self.spikes)
        add("reloads in force", "reloads", generation - 1)
        add("p99", "ms", told["latency_us"]["p99"] / 1e3)
        add("slowest answer", "ms", told["latency_us"]["max"] / 1e3)
        values = [value for _, value in sorted(self.points)]
        third = max(1, len(values) // 3)
        # The lowest of each third: a spike comes and goes, a leak stays.
        self.growth = min(values[-third:]) - min(values[third : 2 * third] or values)
        add("growth from the second third to the last", "KiB", self.growth)

    def judge(self):
        if not hasattr(self, "errors"):
            return
        if self.lab.environment.get("FAIL_PCT"):
            self.goal("0 errors", None, "void: the backends fail on purpose")
        else:
            self.goal("0 errors", self.errors == 0, f"{self.errors} errors")
        self.goal("flat memory", self.growth <= 1024, f"{self.growth} KiB from the second third to the last")
