"""Latency at a rate that every target can carry."""

from ... import load
from ...script import Step, measured, us_per_request
from .part import Part, Scenario

PATH, BODY = "/bytes?size=64", 64
PART = "open loop at half of the slowest peer's capacity"
NAMES = ("p50", "p90", "p99", "p99.9", "max")
COUNT = 64


class OpenLoop(Part):
    key = "open_loop"
    about = "latency at half of the slowest peer's capacity, open loop"

    def steps(self):
        self.count = self.script.connections([COUNT])[0]
        self.rounds = self.script.slices(8, 1)
        self.slice_s = self.script.duration(3, 0.5)
        self.names = self.targets("direct", "copy")
        self.rate = 0
        return [
            Step("the slowest peer's capacity", 1.5 * len(self.names), self.find_rate),
            Step(
                "open loop",
                (self.slice_s + 0.7) * self.rounds * len(self.names) + 0.5 * len(self.names),
                self.measure,
            ),
        ]

    def scenario(self, _name=""):
        return Scenario(self.ports)

    def find_rate(self):
        lab = self.lab
        self.ports = self.backends()
        names = self.targets()
        running = self.script.start_all(PART, names, self.scenario, lab.proxy_core)
        run = lambda target: measured(
            target, lambda: load.wrk(lab, target.port, PATH, 1, self.count, body=BODY, cores=lab.load_cores)
        )
        slices = self.script.alternate(running, 1, run, PART, "capacity")
        rates = {name: taken[-1][0].rate for name, taken in slices.items() if taken and not taken[-1][0].faults}
        peers = {name: rate for name, rate in rates.items() if name != "weir"} or rates
        if not peers:
            self.script.note(f"{PART}: nobody's capacity could be told, so the rate is 1,000 requests/s.")
            self.rate = 1000
            return
        slowest = min(peers, key=peers.get)
        self.rate = max(100, round(peers[slowest] / 2 / 100) * 100)
        self.script.note(f"The open loop's rate is half of what {slowest} carried: {self.rate:,} requests/s.")

    def measure(self):
        script, lab = self.script, self.lab
        setting = f"{self.rate:,} requests/s, {self.count} connections"
        running = script.start_all(PART, self.names, self.scenario, lab.proxy_core, setting)
        run = lambda target: measured(
            target,
            lambda: load.open_loop(
                lab, target.port, PATH, self.rate, self.slice_s, self.count, 0.3, body=BODY, cores=lab.load_cores
            ),
        )
        slices = script.alternate(running, self.rounds, run, PART, setting)
        for name in NAMES:
            value = lambda l, u, w, key=name: l.latency_us[key] / 1e3
            script.add_slices(PART, setting, slices, name, "ms", "lower", value, True)
        # The requests of the warm-up cost as well and are not counted.
        counted = self.slice_s / (self.slice_s + 0.3)
        each = lambda l, u, w: us_per_request(l, u, w) and us_per_request(l, u, w) * counted
        script.add_slices(PART, setting, slices, "processor time", "us", "lower", each)
        lab.keeper.stop_all()
