"""Resident memory."""

import os
import time

from .. import load
from ..script import Script, Step
from ..targets import Scenario

PATH = "/bytes?size=64"
PART = "resident memory"
GROWTH = "memory over a run"


def idle_setting(front, tls):
    return front + (" over TLS" if tls else "")


def idle_memory(script, part, name, front, counts, tls=False):
    """What a target holds with so many idle connections, each of which has had an answer."""
    lab = script.lab
    setting = idle_setting(front, tls)
    hold = lambda count: load.Held(lab, target.port, PATH, count, front == "h2", lab.load_cores, tls)
    port, _ = lab.backend(cores=lab.backend_cores)
    scenario = Scenario([port], front=front, tls=tls, connections=max(counts) + 1000)
    target = script.start(part, name, scenario, lab.proxy_core, setting)
    if not target:
        lab.keeper.stop_all()
        return
    held = hold(200)  # what is made once is made
    held.close()
    time.sleep(0.2)
    start = target.resident_kib()
    script.add(part, name, setting, "started", "MiB", "lower", [start / 1024])
    for count in counts:
        held = hold(count)
        time.sleep(0.5)
        each = (target.resident_kib() - start) * 1024 / count
        total = target.resident_kib() / 1024
        faults = [f"{held.failed} connections were not served"] if held.failed else []
        still_open = held.close()
        if not faults and still_open < count:
            faults = [f"{count - still_open} connections were closed by the proxy"]
        script.add(part, name, setting, f"each of {count:,}", "B", "lower", [] if faults else [max(0.0, each)], faults)
        script.add(part, name, setting, f"with {count:,}", "MiB", "lower", [] if faults else [total], faults)
    time.sleep(1)
    script.add(part, name, setting, "after they are gone", "MiB", "lower", [target.resident_kib() / 1024])
    lab.keeper.stop_all()


class MemoryProfile(Script):
    name = "memory_profile"
    title = "Memory"
    about = (
        "Resident memory of a proxy with one worker: just started, with 1,000, 10,000 and 50,000 idle connections\n"
        "that have had an answer (as many as the limit of descriptors allows), after they are gone, and over a run."
    )
    goals_text = "50,000 and more connections where the machine allows, at most 512 B each idle, no growth."
    shows_not = [
        "Memory in the kernel (socket buffers, TCP state), some KiB for each connection whatever the proxy.",
        "Resident memory of programs with several processes counts shared pages more than once.",
    ]

    def steps(self):
        limit = self.lab.descriptors - 500
        wanted = self.connections([1000, 10000, 50000], [1000, 5000])
        self.counts = sorted({min(count, limit) for count in wanted})
        if max(wanted) > limit:
            self.note(
                f"{max(wanted):,} connections were wanted; the hard limit of {self.lab.descriptors:,} open files "
                f"allows {limit:,}."
            )
        self.run_s = self.duration(60, 4)
        self.targets = ["weir", *self.peers]
        self.protocols = self.pick(("h1", "h2"), ("h1",))
        steps = []
        for front in self.protocols:
            for name in self.targets:
                seconds = sum(self.counts) / 6000 + 2
                steps.append(
                    Step(f"{name}, {front}, idle connections", seconds, lambda n=name, f=front: self.idle(n, f))
                )
        steps.append(Step("growth under load", self.run_s + 3, self.growth))
        return steps

    def idle(self, name, front):
        idle_memory(self, PART, name, front, self.counts)

    def growth(self):
        lab = self.lab
        ports = [lab.backend()[0] for _ in range(3)]
        target = self.start(GROWTH, "weir", Scenario(ports, workers=len(lab.cores)))
        if not target:
            return
        count = 200
        command = load.own(lab, "open", target.port, PATH, count,
                           ["--rate", 2000, "--duration", self.run_s, "--warm-up", 0.1], 64, True)  # fmt: skip
        client = lab.keeper.start("lab-load", command, stdout=open(os.devnull, "wb"))
        points, began = [], time.monotonic()
        while client.alive():
            points.append([round(time.monotonic() - began, 2), target.resident_kib()])
            time.sleep(max(0.1, self.run_s / 200))
        client.stop()
        self.series.append({"part": GROWTH, "target": "weir", "name": f"{count} connections, 2,000 requests/s",
                            "x_unit": "s", "y_unit": "KiB", "points": points})  # fmt: skip
        half = [value for _, value in points[len(points) // 2 :]]
        self.add(
            GROWTH, "weir", f"{self.run_s:g} s", "growth in the second half", "KiB", "none", [half[-1] - half[0]]
        )
        self.add(GROWTH, "weir", f"{self.run_s:g} s", "after the run", "MiB", "lower", [target.resident_kib() / 1024])
        lab.keeper.stop_all()

    def judge(self):
        most = max(self.counts)
        each = self.median(PART, "weir", f"each of {most:,}", "h1")
        self.goal("<= 512 B for each idle connection", None if each is None else each <= 512,
                  "void" if each is None else f"{each:.0f} B at {most:,} connections")  # fmt: skip
        self.goal("50,000 and more connections where the machine allows",
                  None if most < 50_000 else each is not None, f"{most:,} connections held")  # fmt: skip
        grown = self.median(GROWTH, "weir", "growth in the second half")
        self.goal("no growth", None if grown is None else grown <= 256,
                  "void" if grown is None else f"{grown:.0f} KiB in the second half of {self.run_s:g} s")  # fmt: skip
