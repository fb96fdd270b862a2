"""The classic of this field: wrk at three levels of load, as it is usually done, and then done right."""

import sys

from ... import load
from ...script import Step, measured
from .part import Part, Scenario, share_of

BODY = 100
PATH = f"/bytes?size={BODY}"
SLOW, FAIR = "classic, slow backends that close", "classic, fair backends"
LEVELS = {10: "light", 50: "medium", 100: "high"}
SLOW_NOTE = (
    f"Read '{SLOW}' as a warning. Its backends are single Python processes that close every connection: they are what "
    "it measures, and proxies of any speed look the same there. Comparisons of this kind say nothing of a proxy."
)
FAIR_NOTE = (
    f"'{FAIR}' has the same load, with backends that are fast and keep their connections. There client, proxies and "
    "backends share all cores, so requests/s still tell of the machine as much as of the proxy; processor time per "
    "request tells the proxies apart."
)


class Classic(Part):
    key = "classic"
    about = "wrk -t4 at 10, 50, 100 connections, with slow Python backends that close, then with fair ones"

    def steps(self):
        self.counts = self.script.connections(list(LEVELS), [50])
        self.rounds = self.script.slices(3, 1)
        self.slice_s = self.script.duration(10, 1)
        names = self.targets("direct", "copy")
        seconds = self.slice_seconds(10, 1, names, self.rounds)
        return [
            Step(f"{part}, {count} connections", seconds, lambda p=part, n=count: self.measure(p, n))
            for part in (SLOW, FAIR)
            for count in self.counts
        ]

    def slow_backend(self):
        lab = self.lab
        port = lab.ports.take()
        command = [sys.executable, load.TOOLS / "slow_backend.py", port, BODY]
        lab.note_command(command, "slow backend")
        process = lab.keeper.start("slow-backend", command)
        lab.wait_for(lambda: lab.listens(port), process)
        return port

    def measure(self, part, count):
        script, lab = self.script, self.lab
        ports = [self.slow_backend() for _ in range(3)] if part == SLOW else self.backends(cores=None)
        setting = f"{count} connections" + (f", {LEVELS[count]} load" if count in LEVELS else "")
        scenario = Scenario(ports, workers=len(lab.cores), connections=count + 100, health=True)
        running = script.start_all(part, self.targets("direct", "copy"), lambda _: scenario, None, setting)
        run = lambda target: measured(
            target, lambda: load.wrk(lab, target.port, PATH, self.slice_s, count, 4, body=BODY, browser=False)
        )
        slices = script.alternate(running, self.rounds, run, part, setting)
        script.add_slices(part, setting, slices, "requests/s", "1/s", "higher", lambda l, u, w: l.rate)
        share_of(part, setting, script)
        script.add_slices(part, setting, slices, "p99", "ms", "lower", lambda l, u, w: l.latency_us["p99"] / 1e3)
        lab.keeper.stop_all()

    def judge(self):
        self.script.note(SLOW_NOTE)
        self.script.note(FAIR_NOTE)
        self.script.tables.append({"title": "How far from the direct line to one backend", "text": self.distances()})

    def distances(self):
        lines = []
        for part, what in ((SLOW, "the backends"), (FAIR, "machine and proxy")):
            shares = [
                one["median"]
                for one in self.script.figures
                if one["part"] == part and one["name"] == "of the direct line" and one["target"] != "copy"
            ]
            if shares:
                spread = f"{min(shares):.0f} to {max(shares):.0f} % of the direct line"
                lines.append(f"{part}: the proxies reach {spread}; what is measured: {what}")
        return "\n".join(lines) or "nothing was measured"
