"""Processor time per request: the figure that carries over to other machines."""

import itertools

from ... import figures, load, report
from ...script import Step, load_is_full, measured, us_per_request
from ...targets import CannotRun
from .part import FLOORS, Part, Scenario

PART = "processor time per request"
SIZES = {64: "64 B", 128 << 10: "128 KiB"}


class ProcessorTime(Part):
    key = "processor"
    about = "processor time per request: {h1, h2} to {h1, h2}, clear and TLS, small and 128 KiB bodies"

    def steps(self):
        self.rounds = self.script.slices(8, 1)
        self.slice_s = self.script.duration(1, 1)
        everything = list(itertools.product((False, True), ("h1", "h2"), ("h1", "h2"), SIZES))
        quick = [(False, "h1", "h1", 64), (False, "h2", "h2", 64), (True, "h2", "h1", 64)]
        return [
            Step(
                self.setting(*cell),
                self.slice_seconds(1, 1, self.floors(*cell) + self.targets(), self.rounds),
                lambda c=cell: self.measure(*c),
            )
            for cell in self.script.pick(everything, quick)
        ]

    def setting(self, tls, front, back, size):
        return f"{front} to {back}, {'TLS' if tls else 'clear'}, {SIZES[size]}"

    def floors(self, tls, front, back, size):
        """They know no HTTP, so only what the backend itself speaks. The direct line has requests/s alone."""
        if tls or front != back:
            return []
        return ["direct", "copy", "splice"] if size > 64 else ["direct", "copy"]

    def measure(self, tls, front, back, size):
        script, lab = self.script, self.lab
        setting = self.setting(tls, front, back, size)
        path = f"/bytes?size={size}"
        try:
            if back == "h2":
                ports, name = lab.http2_backend([size], lab.backend_cores)
                port = ports[size]
                script.note(f"HTTP/2 backends are {name}.")
            else:
                port = self.backends(1)[0]
        except CannotRun as reason:
            script.left_out(PART, "weir", setting, str(reason))
            return
        scenario = Scenario([port], front=front, back=back, tls=tls, big=size > 64)
        names = self.floors(tls, front, back, size) + self.targets()
        running = script.start_all(PART, names, lambda _: scenario, lab.proxy_core, setting)
        run = lambda target: measured(target, lambda: self.load(target.port, path, front, tls, size))
        slices = script.alternate(running, self.rounds, run, PART, setting)
        script.add_slices(
            PART, setting, slices, "processor time", "us", "lower", us_per_request, note_of=load_is_full(lab)
        )
        script.add_slices(PART, setting, slices, "requests/s", "1/s", "higher", lambda l, u, w: l.rate)
        lab.keeper.stop_all()

    def load(self, port, path, front, tls, size):
        lab, cores = self.lab, self.lab.load_cores
        if front == "h2":
            return load.h2load(lab, port, path, self.slice_s, 4, tls=tls, body=size, cores=cores)
        return load.wrk(lab, port, path, self.slice_s, 64 if size == 64 else 16, body=size, cores=cores, tls=tls)

    def judge(self):
        found = [one for one in self.script.figures if one["part"] == PART and one["name"] == "processor time"]
        settings = list(dict.fromkeys(one["setting"] for one in found))
        self.table(found, settings)
        worse, told = [], 0
        for setting in settings:
            ours, best = self.pair(found, setting)
            said = figures.verdict(ours, best) if ours and best else ""
            told += bool(said)
            if said == "worse":
                worse.append(f"{setting} ({figures.ratio(ours, best)[0]:.2f} of {best['target']})")
        value = f"{told} cells" if told else "no two slices of a peer to compare with"
        self.script.goal(
            "no more processor time per request than the best peer",
            None if not told else not worse,
            "more: " + "; ".join(worse) if worse else value,
        )

    def pair(self, found, setting):
        here = [one for one in found if one["setting"] == setting]
        ours = next((one for one in here if one["target"] == "weir"), None)
        peers = [one for one in here if one["target"] not in (*FLOORS, "weir")]
        return ours, figures.best_of(peers, "lower")

    def table(self, found, settings):
        """Everybody as a multiple of the best peer."""
        targets = [name for name in dict.fromkeys(one["target"] for one in found) if name != "weir"]
        header = ["", "best peer", "us", "Weir", "spread", "", *map(report.title_of, targets)]
        rows = []
        for setting in settings:
            ours, best = self.pair(found, setting)
            if not best:
                continue
            row = [setting, best["target"], figures.number(best["median"])]
            ratio = figures.ratio(ours, best) if ours else None
            if ratio:
                row += [f"{ratio[0]:.2f}", f"{ratio[1]:.2f}..{ratio[2]:.2f}", figures.verdict(ours, best)]
            else:
                row += ["void" if ours else "-", "", ""]
            for target in targets:
                one = next((f for f in found if (f["setting"], f["target"]) == (setting, target)), None)
                known = one and one["median"] is not None
                row.append(f"{one['median'] / best['median']:.2f}" if known else "void" if one else "-")
            rows.append(row)
        if rows:
            self.script.tables.append(
                {
                    "title": "Processor time per request, as a multiple of the best peer's",
                    "text": report.aligned(header, rows),
                }
            )
