"""Upstream connections: how many, and how often they are used again."""

from .. import load
from ..metrics import Metrics
from ..script import Script, Step, measured
from ..targets import CannotRun, Scenario

PATH, BODY = "/bytes?size=64", 64
PART = "upstream connections"
CREATED = "lb_pool_connections_created_total"


class ConnectionPooling(Script):
    name = "connection_pooling"
    title = "Connection pooling"
    about = (
        "Upstream connections that Weir makes and how often it uses them again, with HTTP/1.1 and HTTP/2 to the\n"
        "backends, with one worker and one per core."
    )
    goals_text = "more than 99.9 % of requests on a connection that was there, in the steady state."
    shows_not = ["Backends that close connections after a number of requests; these keep them."]

    def steps(self):
        self.count = self.connections([100])[0]
        self.load_s = self.duration(10, 1)
        steps = []
        for back in ("h1", "h2"):
            for workers in sorted({1, len(self.lab.cores)}):
                if self.quick and (back == "h1") != (workers == 1):
                    continue
                run = lambda b=back, w=workers: self.measure(b, w)
                steps.append(Step(f"{back} upstream, {workers} workers", 2 * self.load_s + 2, run))
        return steps

    def measure(self, back, workers):
        lab = self.lab
        setting = f"{back} upstream, {workers} workers"
        try:
            if back == "h2":
                ports = [lab.http2_backend([BODY])[0][BODY] for _ in range(3)]
            else:
                ports = [lab.backend()[0] for _ in range(3)]
        except CannotRun as reason:
            self.left_out(PART, "weir", setting, str(reason))
            return
        target = self.start(PART, "weir", Scenario(ports, back=back, workers=workers), None, setting)
        if not target:
            lab.keeper.stop_all()
            return
        run = lambda: load.wrk(lab, target.port, PATH, self.load_s, self.count, body=BODY)
        first, _, _ = measured(target, run)
        before = Metrics(target.admin_port)
        steady, _, _ = measured(target, run)
        after = Metrics(target.admin_port)
        faults = first.faults + steady.faults
        self.keep(setting, before, after, steady, faults)
        lab.keeper.stop_all()

    def keep(self, setting, before, after, steady, faults):
        def add(name, unit, better, value):
            self.add(PART, "weir", setting, name, unit, better, [] if faults else [value], faults)

        made = after.sum(CREATED) - before.sum(CREATED)
        requests = after.sum("lb_backend_requests_total") - before.sum("lb_backend_requests_total")
        add("made at first", "connections", "none", before.sum(CREATED))
        add("made in the steady state", "connections", "none", made)
        add("reuse in the steady state", "%", "higher", 100 * (1 - made / requests) if requests else 0.0)
        add("requests for each connection", "requests", "higher", requests / max(1, after.sum(CREATED)))
        add("requests/s", "1/s", "higher", steady.rate)
        for worker, count in sorted(after.by(CREATED, "worker").items()):
            add(f"made by worker {worker}", "connections", "none", count)

    def judge(self):
        found = [one for one in self.figures if one["name"] == "reuse in the steady state"]
        known = [one["median"] for one in found if one["median"] is not None]
        self.goal("reuse > 99.9 %", None if not known or len(known) < len(found) else min(known) > 99.9,
                  f"{min(known):.3f} % at least, over {len(known)} settings" if known else "void")  # fmt: skip
