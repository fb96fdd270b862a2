"""Latency over the number of connections."""

from .. import load, machine
from ..script import Script, Step, TITLES, measured
from ..targets import CannotRun, Scenario

PATH, BODY = "/bytes?size=1024", 1024
PERCENTILES = ("p50", "p90", "p99", "p99.9", "max")
PART = "latency at a fixed rate"
CLOSED = "latency at saturation"


class LatConn(Script):
    name = "lat_conn"
    title = "Latency over connection counts"
    about = (
        "Latency from p50 to p99.9 and the maximum at 100, 500, 1,000 and 2,000 connections, 1 KiB bodies, at one rate "
        "for all\n(open loop, counted from when a request was due), and with every connection as fast as it is "
        "answered (wrk)."
    )
    goals_text = "P99 at 1,000 connections below 10 ms."
    shows_not = [
        "Client, proxy and backends share one machine: the tail holds their waiting for cores too. The direct line "
        "shows how much of it is not the proxy's.",
        "At saturation latency is little but connections divided by requests/s; it ranks throughput.",
    ]

    def steps(self):
        self.counts = self.connections([100, 500, 1000, 2000])
        self.targets = ["direct", "copy", "weir", *self.peers]
        self.rounds = self.slices(3, 1)
        self.slice_s = self.duration(5, 0.5)
        self.rate = 0
        per_slice = self.slice_s + 0.7
        steps = [Step("the rate to use", 1.6 * len(self.targets) + 2, self.choose_rate)]
        for count in self.counts:
            seconds = per_slice * self.rounds * len(self.targets) + count / 2000
            steps.append(Step(f"{count} connections, fixed rate", seconds, lambda n=count: self.at_rate(n)))
        closed = ["direct", "copy", "weir"] if self.quick else self.targets
        for count in self.counts[-2:-1] if self.quick else self.counts:
            seconds = per_slice * self.rounds * len(closed)
            steps.append(Step(f"{count} connections, saturated", seconds, lambda n=count: self.saturated(n, closed)))
        return steps

    def prepare(self):
        lab = self.lab
        self.backends = [lab.backend(cores=lab.backend_cores)[0] for _ in range(3)]
        self.most = max(self.counts)

    def scenario(self, _name=""):
        return Scenario(self.backends, connections=self.most + 500)

    def choose_rate(self):
        """A third of what the slowest target does at 100 connections, so that none is near its end."""
        self.prepare()
        rates = {}
        for name in list(self.targets):
            target = self.start(PART, name, self.scenario(), self.lab.proxy_core)
            if not target:
                self.targets.remove(name)
                continue
            run = lambda: load.wrk(self.lab, target.port, PATH, 1, 100, body=BODY, cores=self.lab.load_cores)
            result = measured(target, run)[0]
            rates[name] = result.rate
            target.stop()
        slowest = min((rate for rate in rates.values() if rate), default=3000)
        self.rate = max(500, int(slowest / 3 / 500) * 500)
        self.note(f"The fixed rate is {self.rate:,} requests/s: a third of what the slowest target did.")

    def at_rate(self, count):
        setting = f"{count} connections"
        lab = self.lab
        running = self.start_all(PART, self.targets, self.scenario, lab.proxy_core, setting)
        seen = {name: 0 for name in running}

        def measure(target):
            result = measured(
                target,
                lambda: load.open_loop(
                    lab, target.port, PATH, self.rate, self.slice_s, count, body=BODY, cores=lab.load_cores
                ),
            )
            return result

        slices = self.alternate_watching(running, measure, setting, seen, count)
        self.report(PART, setting, slices, seen)

    def alternate_watching(self, running, measure, setting, seen, count):
        """As alternate(), and looks once in the middle of each slice at how many connections the target has."""
        import threading

        def watched(target):
            def look():
                seen[target.name] = max(seen[target.name], machine.established_on(target.port))

            timers = [threading.Timer(self.slice_s * share + 0.4, look) for share in (0.3, 0.8)]
            for timer in timers:
                timer.start()
            result = measure(target)
            for timer in timers:
                timer.cancel()
            return result

        return self.alternate(running, self.rounds, watched, PART, setting)

    def report(self, part, setting, slices, seen):
        for name in PERCENTILES:
            self.add_slices(
                part,
                setting,
                slices,
                name,
                "ms",
                "lower",
                lambda l, u, w, key=name: l.latency_us[key] / 1e3 if key in l.latency_us else None,
                needs_unsaturated=True,
            )
        for target, most in seen.items():
            if most and target != "direct":  # the paused ones have connections to the backend too
                self.add(part, target, setting, "MAX_CONN", "connections", "none", [most])

    def saturated(self, count, names):
        setting = f"{count} connections"
        lab = self.lab
        names = [name for name in names if name in self.targets]
        running = self.start_all(CLOSED, names, self.scenario, lab.proxy_core, setting)
        slices = self.alternate(
            running,
            self.rounds,
            lambda target: measured(
                target, lambda: load.wrk(lab, target.port, PATH, self.slice_s, count, body=BODY, cores=lab.load_cores)
            ),
            CLOSED,
            setting,
        )
        self.report(CLOSED, setting, slices, {})
        self.add_slices(
            CLOSED, setting, slices, "requests/s", "1/s", "higher", lambda l, u, w: l.rate, needs_unsaturated=True
        )

    def judge(self):
        lines = [f"{'CONN':>6} {'P99_LAT(ms)':>12} {'MAX_CONN':>9}"]
        for count in self.counts:
            p99 = self.median(PART, "weir", "p99", f"{count} connections")
            most = self.median(PART, "weir", "MAX_CONN", f"{count} connections")
            lines.append(
                f"{count:>6} {'void' if p99 is None else format(p99, '.2f'):>12} "
                f"{'-' if most is None else int(most):>9}"
            )
        self.tables.append({"title": f"Weir at {self.rate:,} requests/s", "text": "\n".join(lines)})
        count = 1000 if 1000 in self.counts else max(self.counts)
        p99 = self.median(PART, "weir", "p99", f"{count} connections")
        self.goal(
            f"P99 at {count:,} connections < 10 ms",
            None if p99 is None else p99 < 10,
            "void" if p99 is None else f"{p99:.2f} ms at {self.rate:,} requests/s",
        )
