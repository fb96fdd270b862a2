"""Bytes per second with large bodies."""

from .. import load
from ..metrics import Metrics
from ..script import Script, Step, measured
from ..targets import Scenario

BODY = 1 << 20
PATH = f"/bytes?size={BODY}"
PART = "large bodies"


class Throughput(Script):
    name = "throughput"
    title = "Throughput with large bodies"
    about = (
        "Bytes/s with 1 MiB bodies and 64 connections, every process on all cores, beside what copying and splicing "
        "alone\nreach in the same run. Weir's own lb_bytes_total must agree with what the clients received."
    )
    goals_text = "more than 5 GB/s, or 0.9 and more of a splicing copier in the same run."
    shows_not = [
        "Loopback: no network card, no packets lost, and the receiving side's copy costs a core of its own.",
        "On few cores the client's reading and the backend's writing are most of the work; processor time per GB tells "
        "the proxies apart better than bytes/s.",
    ]

    def steps(self):
        self.rounds = self.slices(8, 1)
        self.slice_s = self.duration(2, 1)
        self.count = self.connections([64])[0]
        self.targets = ["direct", "copy", "splice", "weir", *self.peers]
        seconds = (self.slice_s + 0.2) * self.rounds * len(self.targets) + len(self.targets)
        return [Step(f"{self.count} connections", seconds, self.measure)]

    def measure(self):
        lab = self.lab
        workers = len(lab.cores)
        backends = [lab.backend()[0] for _ in range(3)]
        setting = f"{self.count} connections, {workers} workers"
        scenario = Scenario(backends, workers=workers, connections=self.count + 200, big=True)
        running = self.start_all(PART, self.targets, lambda _: scenario, None, setting)
        self.counted = {"sent": 0.0, "received": 0}
        threads = max(1, workers // 2)

        def slice_of(target):
            before = Metrics(target.admin_port) if target.name == "weir" else None
            result = measured(
                target,
                lambda: load.wrk(lab, target.port, PATH, self.slice_s, self.count, threads, body=BODY, browser=False),
            )
            if before:
                sent = Metrics(target.admin_port).sum("lb_bytes_total", direction="sent") - before.sum(
                    "lb_bytes_total", direction="sent"
                )
                self.counted["sent"] += sent
                self.counted["received"] += result[0].bytes
            return result

        slices = self.alternate(running, self.rounds, slice_of, PART, setting)
        self.add_slices(
            PART,
            setting,
            slices,
            "throughput",
            "GB/s",
            "higher",
            lambda l, u, w: l.bytes / l.seconds / 1e9,
            needs_unsaturated=True,
        )
        self.add_slices(
            PART,
            setting,
            slices,
            "processor time per GB",
            "ms",
            "lower",
            lambda l, u, w: u["total"] * 1e3 / (l.bytes / 1e9) if u["total"] else None,
        )
        self.add_slices(
            PART,
            setting,
            slices,
            "p99",
            "ms",
            "lower",
            lambda l, u, w: l.latency_us["p99"] / 1e3,
            needs_unsaturated=True,
        )

    def judge(self):
        weir, splice = (self.median(PART, name, "throughput") for name in ("weir", "splice"))
        met, value = None, "void"
        if weir is not None:
            share = weir / splice if splice else None
            value = f"{weir:.2f} GB/s" + (f", {share:.2f} of the splicing copier" if share else "")
            met = weir > 5 or (share >= 0.9 if share is not None else None)
        self.goal("> 5 GB/s, or >= 0.9 of a splicing copier", met, value)
        sent, received = self.counted["sent"], self.counted["received"]
        if received:
            # What was under way when wrk stopped was sent and not counted by it.
            agrees = received <= sent <= received * 1.05 + self.rounds * self.count * BODY
            self.goal(
                "lb_bytes_total agrees with what the clients received",
                agrees,
                f"sent {sent / 1e9:.3f} GB, received {received / 1e9:.3f} GB",
            )
