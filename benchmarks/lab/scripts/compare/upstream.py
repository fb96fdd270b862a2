"""HTTP/1.1 against HTTP/2 to the backends, and one worker against one per core."""

import threading

from ... import load, machine
from ...script import Step, measured, us_per_request
from ...targets import CannotRun
from .part import Part, Scenario

PATH, BODY = "/bytes?size=64", 64
PART = "protocol to the backends"
SCALING = "scaling from one worker to all"
COUNT = 200


class Upstream(Part):
    key = "upstream"
    about = "HTTP/1.1 against HTTP/2 to the backends: requests/s, connections, one worker against one per core"

    def steps(self):
        self.count = self.script.connections([COUNT], [100])[0]
        self.rounds = self.script.slices(5, 1)
        self.slice_s = self.script.duration(2, 1)
        self.all = len(self.lab.cores)
        seconds = self.slice_seconds(2, 1, self.targets(), self.rounds)
        return [
            Step(self.setting(back, workers), seconds, lambda b=back, w=workers: self.measure(b, w))
            for back in ("h1", "h2")
            for workers in sorted({1, self.all})
            if not self.quick or (back, workers) != ("h2", self.all)
        ]

    def setting(self, back, workers):
        return f"{back} to the backends, {workers} worker{'s' if workers > 1 else ''}"

    def measure(self, back, workers):
        script, lab = self.script, self.lab
        setting = self.setting(back, workers)
        cores = lab.proxy_core if workers == 1 else None
        try:
            if back == "h2":
                ports = [lab.http2_backend([BODY], lab.backend_cores)[0][BODY] for _ in range(3)]
            else:
                ports = self.backends()
        except CannotRun as reason:
            script.left_out(PART, "weir", setting, str(reason))
            return
        scenario = Scenario(ports, back=back, workers=workers, connections=self.count + 100)
        names = self.targets(*(["direct", "copy"] if back == "h1" else []))
        running = script.start_all(PART, names, lambda _: scenario, cores, setting)
        seen = {name: [] for name in running}

        def run(target):
            def look():
                if target.process:
                    seen[target.name].append(machine.connections_to(target.process.group, ports))

            timer = threading.Timer(self.slice_s / 2, look)
            timer.start()
            result = measured(
                target,
                lambda: load.wrk(lab, target.port, PATH, self.slice_s, self.count, body=BODY, cores=lab.load_cores),
            )
            timer.join()
            return result

        slices = script.alternate(running, self.rounds, run, PART, setting)
        script.add_slices(PART, setting, slices, "requests/s", "1/s", "higher", lambda l, u, w: l.rate)
        script.add_slices(PART, setting, slices, "processor time", "us", "lower", us_per_request)
        for name, counts in seen.items():
            if counts and script.median(PART, name, "requests/s", setting) is not None:
                script.add(PART, name, setting, "connections to the backends", "connections", "none", counts)
        lab.keeper.stop_all()

    def judge(self):
        if self.all == 1:
            return
        for back in ("h1", "h2"):
            for name in self.targets("copy"):
                one, every = (self.script.find(PART, name, "requests/s", self.setting(back, n)) for n in (1, self.all))
                if one and every and one["median"] and every["median"]:
                    samples = [value / one["median"] for value in every["samples"]]
                    setting = f"{back} to the backends, {self.all} workers to 1"
                    self.script.add(SCALING, name, setting, "requests/s", "times", "higher", samples)
        self.script.note(
            "Scaling holds the client and the backends too: with all workers they share the proxy's cores, on few "
            "cores that is most of it. Processor time per request says what the proxy itself lost."
        )
