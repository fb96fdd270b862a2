"""A workload whose time goes by in the backend."""

import subprocess

from ... import load
from ...script import Step, measured, us_per_request
from ...targets import CannotRun
from .part import Part, Scenario, share_of

PART = "/hash, a workload that uses the backend's processor"
PATH = "/hash"
SERVERS = {"go": "hash-go", "rust": "rust/release/hash-rust"}


class HashWorkload(Part):
    key = "hash"
    about = "/hash, where the backend computes: how little the proxy then matters, and what it costs"

    def steps(self):
        self.count = self.script.connections([50])[0]
        self.rounds = self.script.slices(5, 1)
        self.slice_s = self.script.duration(2, 1)
        self.kinds = ["cpp", *(kind for kind in SERVERS if self.program(kind).exists())]
        seconds = self.slice_seconds(2, 1, self.targets("direct", "copy"), self.rounds)
        kinds = self.script.pick(self.kinds, ["cpp"])
        return [Step(f"/hash, {kind} backend", seconds, lambda k=kind: self.measure(k)) for kind in kinds]

    def program(self, kind):
        return self.lab.hash_folder / SERVERS[kind]

    def backend(self, kind):
        lab = self.lab
        if kind == "cpp":
            return self.backends(1)[0]
        port = lab.ports.take()
        option = {"go": "-listen", "rust": "--listen"}[kind]
        command = [self.program(kind), option, f"127.0.0.1:{port}"]
        lab.note_command(command, f"/hash backend, {kind}")
        process = lab.keeper.start(f"hash-{kind}", command, lab.backend_cores)
        lab.wait_for(lambda: lab.listens(port), process)
        return port

    def measure(self, kind):
        script, lab = self.script, self.lab
        setting = f"{kind} backend, {self.count} connections"
        try:
            port = self.backend(kind)
        except (CannotRun, OSError, subprocess.SubprocessError) as reason:
            script.note(f"The {kind} server of /hash is left out: {reason}")
            return
        scenario = Scenario([port])
        running = script.start_all(PART, self.targets("direct", "copy"), lambda _: scenario, lab.proxy_core, setting)
        run = lambda target: measured(
            target, lambda: load.wrk(lab, target.port, PATH, self.slice_s, self.count, cores=lab.load_cores)
        )
        slices = script.alternate(running, self.rounds, run, PART, setting)
        script.add_slices(PART, setting, slices, "requests/s", "1/s", "higher", lambda l, u, w: l.rate)
        share_of(PART, setting, script)
        script.add_slices(PART, setting, slices, "p99", "ms", "lower", lambda l, u, w: l.latency_us["p99"] / 1e3)
        script.add_slices(PART, setting, slices, "processor time", "us", "lower", us_per_request)
        lab.keeper.stop_all()
