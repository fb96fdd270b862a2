"""Latency over the rate, open loop."""

from .. import figures, load
from ..script import Script, Step, measured
from ..targets import Scenario

PATH, BODY = "/bytes?size=64", 64
PART = "open loop"
NAMES = ("p50", "p90", "p99", "p99.9", "p99.99", "max")
SHARES = (0.1, 0.25, 0.5, 0.7, 0.85, 1.0)


class LatencyPercentiles(Script):
    name = "latency_percentiles"
    title = "Latency over the rate"
    about = (
        "Open loop at fixed rates up to saturation, times counted from when a request was due (no coordinated\n"
        "omission): p50 to p99.99, and how many requests/s a core of the proxy carries."
    )
    goals_text = "no worse than the best peer at each rate."
    shows_not = [
        "Client and backend share a core where there are but two: above some rate theirs is the limit. The direct line "
        "at the same rate shows where."
    ]

    def steps(self):
        self.count = self.connections([64])[0]
        self.rounds = self.slices(5, 2)
        self.slice_s = self.duration(5, 0.5)
        self.targets = ["direct", "copy", "weir", *self.peers]
        self.shares = self.pick(SHARES, (0.5, 0.85))
        self.capacity = 0.0
        steps = [Step("capacity", 1.6 * len(self.targets), self.find_capacity)]
        seconds = (self.slice_s + 0.6) * self.rounds * len(self.targets) + 1
        for share in self.shares:
            steps.append(Step(f"{share:.0%} of Weir's capacity", seconds, lambda s=share: self.at(s)))
        return steps

    def scenario(self, _name=""):
        return Scenario(self.backends)

    def find_capacity(self):
        lab = self.lab
        self.backends = [lab.backend(cores=lab.backend_cores)[0] for _ in range(3)]
        running = self.start_all(PART, self.targets, self.scenario, lab.proxy_core)
        run = lambda target: measured(
            target, lambda: load.wrk(lab, target.port, PATH, 1, self.count, body=BODY, cores=lab.load_cores)
        )
        slices = self.alternate(running, 1, run, "capacity", "")
        setting = f"closed loop, {self.count} connections"
        self.add_slices("capacity", setting, slices, "requests/s", "1/s", "higher", lambda l, u, w: l.rate, True)
        self.add_slices(
            "capacity", setting, slices, "requests/s per core", "1/s", "higher",
            lambda l, u, w: l.requests / u["total"] if u["total"] else None,
        )  # fmt: skip
        self.capacity = self.median("capacity", "weir", "requests/s") or 10_000

    def at(self, share):
        lab = self.lab
        rate = max(100, round(self.capacity * share / 100) * 100)
        setting = f"{rate:,} requests/s"
        running = self.start_all(PART, self.targets, self.scenario, lab.proxy_core, setting)
        run = lambda target: measured(
            target,
            lambda: load.open_loop(
                lab, target.port, PATH, rate, self.slice_s, self.count, body=BODY, cores=lab.load_cores, warm_up=0.3
            ),
        )
        slices = self.alternate(running, self.rounds, run, PART, setting)
        for name in NAMES:
            value = lambda l, u, w, key=name: l.latency_us[key] / 1e3
            self.add_slices(PART, setting, slices, name, "ms", "lower", value, True)
        self.add_slices(
            PART, setting, slices, "generator late, p99", "ms", "none", lambda l, u, w: l.late_us_p99 / 1e3
        )

    def judge(self):
        worse, told = [], 0
        for one in self.figures:
            if one["part"] != PART or one["target"] != "weir" or one["name"] not in ("p50", "p99"):
                continue
            peers = [f for f in self.figures if f["target"] in self.peers and f["part"] == PART]
            peers = [f for f in peers if (f["setting"], f["name"]) == (one["setting"], one["name"])]
            best = figures.best_of(peers, "lower")
            said = figures.verdict(one, best) if best else ""
            told += bool(said)
            if said == "worse":
                worse.append(f"{one['name']} at {one['setting']} ({best['target']})")
        self.goal(
            "p50 and p99 no worse than the best peer at each rate",
            None if not told else not worse,
            "worse: " + ", ".join(worse) if worse else f"{told} comparisons" if told else "no peer to compare with",
        )
