"""The /hash workload: the C++, Go and Rust servers, each alone in turn on the same cores."""

import argparse
import hashlib
import json
import threading
import time
import urllib.parse
import urllib.request

from .. import figures, k6, lab as labs, load, machine
from ..metrics import Metrics
from ..script import TITLES, Script, Step, measured, us_per_request
from ..targets import CannotRun, Running

SERVERS = ("cpp", "go", "rust")
CLOSED, OPEN, RAMP, PROXY = "closed loop", "open loop", "k6 ramp", "through Weir"
BARE = "bare request"
SHARES = (0.3, 0.6, 0.85)
# At fixed rates slices are shorter and more: what disturbs the machine for some milliseconds decides the p99 of the
# slice it falls into, and the median is over the slices that it left alone.
SHORTER = 3
NAMES = ("p50", "p90", "p95", "p99", "mean")
INPUTS = ("weir", "", "a b+c%", "\u00e4\u00f6")
NO_FAILURE = {"more than 5 % stolen time", "the load generator was saturated"}
BUILT = labs.ROOT / "build" / "hash"


def command_of(name, lab, port):
    return {
        "cpp": [lab.tool("weir-backend"), "--listen", f"127.0.0.1:{port}", "--name", "cpp", "--workers", "auto"],
        "go": [BUILT / "hash-go", "-listen", f"127.0.0.1:{port}"],
        "rust": [BUILT / "rust" / "release" / "hash-rust", "--listen", f"127.0.0.1:{port}"],
    }[name]


def chain(text):
    """100 rounds of SHA-256, each over the 32 raw bytes of the last."""
    digest = text.encode()
    for _ in range(100):
        digest = hashlib.sha256(digest).digest()
    return digest.hex()


def ask(port, path):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.read()


class Sampler:
    """Memory and answers of a server, once a second, while it is measured."""

    def __init__(self, process, port, interval_s=1.0):
        self.process, self.port, self.interval_s = process, port, interval_s
        self.memory_mib, self.rates = [], []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.began = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(15)

    def run(self):
        before = None
        while True:
            at = time.monotonic()
            self.memory_mib.append([round(at - self.began, 2), self.process.resident_kib() / 1024])
            try:
                count = Metrics(self.port).sum("hash_requests_total")
                if before:
                    self.rates.append([round(at - self.began, 2), (count - before[1]) / (at - before[0])])
                before = (at, count)
            except OSError:
                pass  # too busy to answer in time; the next second will tell
            if self.over.wait(self.interval_s):
                return


class Hash(Script):
    name = "hash"
    command = "benchmarks/hash/run.sh"
    keeps_report = True
    title = "100 rounds of SHA-256 per request: C++, Go, Rust"
    about = (
        "Three servers with one workload, each alone in turn on the same cores with the same limits: weir-backend\n"
        "(C++), net/http (Go), hyper (Rust). Closed loop with processor time per request, open loop at fixed rates,\n"
        "and a ramp of k6 users; with --proxy the same through Weir with all three as backends by least_connections."
    )
    goals_text = (
        "C++ ahead of both on throughput, p50, p99 and processor time per request, and within 10 % of what the rounds "
        "cost alone plus a bare request."
    )
    shows_not = [
        "The k6 ramp compares the servers only where k6 was not the limit; each ramp's note says what was. k6 needs "
        "several times a server's processor time for a request.",
        "One small answer to one kind of request: nothing of what a framework does besides.",
    ]

    @staticmethod
    def add_options(parser):
        parser.add_argument("--servers", default=",".join(SERVERS), metavar="NAME,...", help="of cpp, go and rust")
        parser.add_argument("--users", type=int, metavar="N", help="k6 users at the height (default: 15000)")
        parser.add_argument(
            "--ramp", type=ramp_option, metavar="UP,HOLD,DOWN", help="times of the k6 ramp (default: 2m,15m,30s)"
        )
        parser.add_argument("--pause", type=float, default=0.0, metavar="S", help="k6 users pause after an answer")
        parser.add_argument("--no-k6", action="store_true", help="without the k6 ramp")
        parser.add_argument("--proxy", action="store_true", help="also through Weir with all three as backends")
        parser.add_argument("--report", metavar="FOLDER", help="where report.html goes (default: benchmarks/results/)")

    def option(self, name, default=None):
        """./run_benchmarks.sh has none of this script's own options."""
        return getattr(self.options, name, default)

    # What runs.

    def steps(self):
        own_command = hasattr(self.options, "ramp")
        chosen = self.option("servers", ",".join(SERVERS)).split(",")
        for name in chosen:
            if name not in SERVERS:
                raise labs.Unfit(f"--servers {name}: not one of {', '.join(SERVERS)}")
        self.servers = [name for name in SERVERS if name in chosen and self.is_built(name)]
        self.wrong = set()
        self.rounds = self.slices(8, 3 if own_command else 2)
        self.slice_s = self.duration(3, 1)
        self.shorter = self.pick(SHORTER, 1)
        self.count = self.connections([64])[0]
        self.ramp = self.make_ramp(own_command)
        k6_program = None if self.option("no_k6") else k6.find(BUILT)
        slices = (self.slice_s + 0.2) * self.rounds
        steps = [
            Step("the same answers", 1, self.compare_answers),
            Step("closed loop", slices * (len(self.servers) + ("cpp" in self.servers)) + 2, self.closed_loop),
            Step("rounds alone", 3, self.rounds_alone),
        ]
        for share in self.pick(SHARES, SHARES[1:] if own_command else SHARES[1:2]):
            seconds = (self.slice_s / self.shorter + 0.6) * self.rounds * self.shorter * len(self.servers) + 1
            steps.append(Step(f"fixed rate, {share:.0%}", seconds, lambda s=share: self.at_rate(s)))
        if k6_program:
            self.lab.versions["k6"] = labs.tool_version(str(k6_program)).replace("k6 ", "")
            for name in self.servers:
                steps.append(Step(f"k6, {name}", self.ramp.seconds + 3, lambda n=name: self.k6_ramp(n, k6_program)))
        elif not self.option("no_k6"):
            self.note("the k6 ramp is left out: k6 is not here; benchmarks/hash/build.sh k6 makes it where Go is")
        if self.option("proxy"):
            steps.append(Step("through Weir", slices + 3, self.through_weir))
        return steps

    def is_built(self, name):
        program = command_of(name, self.lab, 0)[0]
        if not program.exists():
            self.note(
                f"{TITLES[name]} is left out: its server is not built; benchmarks/hash/build.sh {name} says what it "
                "lacks"
            )
        return program.exists()

    def make_ramp(self, own_command):
        """Of ./run_benchmarks.sh a tenth: this is one of its many scripts."""
        users, times = (15_000, (120, 900, 30)) if own_command else (1_500, (12, 90, 3))
        if self.quick:
            users, times = 200, (2, 6, 1) if own_command else (1, 3, 0.5)
        if self.option("ramp"):
            times = self.option("ramp")
        elif self.options.duration:
            times = (min(times[0], self.options.duration), self.options.duration, min(times[2], self.options.duration))
        users = self.option("users") or (self.options.connections or [users])[0]
        # A quarter is for users that connect anew; in Weir each has a backend's connection too.
        connected = self.lab.descriptors * 3 // 4 // (2 if self.option("proxy") else 1)
        fitting = min(k6.fitting_users(users, machine.available_mib()), connected)
        if fitting < users:
            self.note(f"k6 runs with {fitting:,} users instead of {users:,}: memory or open files set the limit")
        return k6.Ramp(fitting, *times, self.option("pause", 0.0))

    def serve(self, part, name, cores=None):
        """A server that runs, or None with a note."""
        if name in self.wrong:
            return None
        lab = self.lab
        port = lab.ports.take()
        command = command_of(name, lab, port)
        lab.note_command(command, f"{TITLES[name]} server")
        process = lab.keeper.start(f"hash-{name}", command, cores or lab.proxy_core)
        try:
            lab.wait_for(lambda: machine.listens(port), process)
        except CannotRun as reason:
            process.stop()
            self.left_out(part, name, "", str(reason))
            return None
        return Running(name, port, process)

    def serve_all(self, part):
        running = {name: self.serve(part, name) for name in self.servers}
        running = {name: target for name, target in running.items() if target}
        for target in running.values():
            target.pause()
        return running

    # What is measured.

    def compare_answers(self):
        """A server that answers anything else than the chain takes no part."""
        for name in self.servers:
            target = self.serve("all", name)
            if not target:
                continue
            try:
                problem = self.problem_of(name, target.port)
            except (OSError, ValueError, KeyError) as error:
                problem = str(error)
            target.stop()
            if problem:
                self.wrong.add(name)
                self.left_out("all", name, "", problem)
        if not set(self.servers) - self.wrong:
            raise CannotRun("none of the servers can be measured")

    def problem_of(self, name, port):
        for text in INPUTS:
            told = json.loads(ask(port, "/hash?input=" + urllib.parse.quote(text)))
            if told["hash"] != chain(text) or told["source"] != name:
                return f"its answer to input={text!r} is {told}"
        if json.loads(ask(port, "/hash"))["hash"] != chain("weir"):
            return "without input it does not start from 'weir'"
        return ""

    def closed_loop(self):
        running = self.serve_all(CLOSED)
        # The bare request is measured between the others, since the machine's speed drifts.
        bare = self.serve(BARE, "cpp") if "cpp" in running else None
        if bare:
            bare.pause()
            running[BARE] = bare
        setting = f"{self.count} connections"
        idle = machine.Idle()
        run = lambda target: self.wrk(target, "/health" if target is bare else "/hash")
        slices = self.alternate(running, self.rounds, run, CLOSED, setting)
        idle_share = idle.share()
        if bare:
            taken = {"cpp": slices.pop(BARE)}
            self.add_slices(BARE, "/health", taken, "processor time", "us/request", "lower", us_per_request)
        self.add_slices(CLOSED, setting, slices, "requests/s", "1/s", "higher", lambda l, u, w: l.rate, True)
        self.add_slices(CLOSED, setting, slices, "processor time", "us/request", "lower", us_per_request)
        for name in ("p50", "p99"):
            value = lambda l, u, w, key=name: l.latency_us[key] / 1e3
            self.add_slices(CLOSED, setting, slices, name, "ms", "lower", value, True)
        for name, taken in slices.items():
            busy = figures.summarize([used["total"] / wall / len(self.lab.proxy_core) for _, used, wall in taken])
            generated = figures.summarize([one.busy for one, _, _ in taken])
            if busy["median"] is not None:
                told = k6.what_limited(TITLES[name], busy["median"], generated["median"], "wrk", idle_share)
                self.note(f"closed loop, {told}")

    def wrk(self, target, path):
        lab = self.lab
        run = lambda: load.wrk(lab, target.port, path, self.slice_s, self.count, cores=lab.load_cores)
        return measured(target, run)

    def rounds_alone(self):
        """What the rounds cost without a request."""
        bench = self.lab.tool("weir-backend-bench")
        if not bench.exists():
            return self.note("what the rounds cost alone is not measured: weir-backend-bench is not built")
        command = [bench, "--benchmark_filter=^rounds$", "--benchmark_format=json", "--benchmark_repetitions=5"]
        command.append("--benchmark_min_time=" + self.pick("0.5", "0.1"))
        self.lab.note_command(command, "rounds alone")
        _, output, _ = self.lab.keeper.run("bench", command, self.lab.proxy_core)
        samples = read_rounds(output)
        if samples:
            self.add("rounds alone", "cpp", "100 rounds", "processor time", "us", "lower", samples)

    def at_rate(self, share):
        """The rate is the same for all: a share of what the slowest can do."""
        known = [self.median(CLOSED, name, "requests/s") for name in self.servers]
        capacity = min((one for one in known if one), default=2_000)
        rate = max(100, round(capacity * share / 100) * 100)
        setting = f"{rate:,} requests/s"
        lab = self.lab
        running = self.serve_all(OPEN)
        seconds = self.slice_s / self.shorter
        run = lambda target: measured(
            target,
            lambda: load.open_loop(
                lab, target.port, "/hash", rate, seconds, self.count, cores=lab.load_cores, warm_up=0.3
            ),
        )
        slices = self.alternate(running, self.rounds * self.shorter, run, OPEN, setting)
        for name in (*NAMES, "p99.9"):
            value = lambda l, u, w, key=name: l.latency_us[key] / 1e3 if key in l.latency_us else None
            self.add_slices(OPEN, setting, slices, name, "ms", "lower", value, True)
        self.add_slices(OPEN, setting, slices, "processor time", "us/request", "lower", us_per_request)

    def k6_ramp(self, name, program):
        target = self.serve(RAMP, name)
        if not target:
            return
        lab = self.lab
        setting = self.ramp.text()
        idle = machine.Idle()
        with Sampler(target.process, target.port) as sampler:
            found, used, wall = measured(
                target, lambda: k6.run(lab, program, target.port, self.ramp, lab.load_cores)
            )
        memory_mib = max(one for _, one in sampler.memory_mib)
        target.stop()
        add = lambda figure, unit, better, value: self.add(
            RAMP, name, setting, figure, unit, better, [] if found.faults else [value], found.faults
        )
        for key in NAMES:
            add(key, "ms", "lower", found.latency_us.get(key, 0.0) / 1e3)
        add("requests/s", "1/s", "higher", found.rate)
        add("processor time", "us/request", "lower", us_per_request(found, used, wall) or 0.0)
        if found.requests:
            self.add(RAMP, name, setting, "requests", "", "none", [found.requests])
            self.add(RAMP, name, setting, "failures", "", "none", [found.failures])
            self.add(RAMP, name, setting, "k6's processor time", "us/request", "none",
                     [found.processor_s * 1e6 / found.requests])  # fmt: skip
        self.add(RAMP, name, setting, "memory at most", "MiB", "lower", [memory_mib])
        for title, unit, points in (("memory", "MiB", sampler.memory_mib), ("answers", "1/s", sampler.rates)):
            self.series.append(
                {"part": f"{title} during the k6 ramp", "target": name, "name": title, "x_unit": "s", "y_unit": unit,
                 "points": points}
            )  # fmt: skip
        if found.requests:
            busy = used["total"] / self.ramp.seconds / len(lab.proxy_core)
            self.note(f"k6 ramp, {k6.what_limited(TITLES[name], busy, found.busy, idle=idle.share())}")

    # Through the proxy.

    def through_weir(self):
        lab = self.lab
        backends = {name: self.serve(PROXY, name, lab.backend_cores) for name in self.servers}
        backends = {name: target for name, target in backends.items() if target}
        port, admin_port = lab.ports.take(), lab.ports.take()
        path = lab.scratch_folder("weir") / "weir.yaml"
        path.write_text(proxy_configuration(port, admin_port, {name: one.port for name, one in backends.items()}))
        command = [lab.weir, "run", "-f", path]
        lab.note_command(command, "Weir in front")
        process = lab.keeper.start("weir", command, lab.proxy_core)
        lab.wait_for(lambda: machine.listens(port), process)
        weir = Running("weir", port, process, admin_port)
        before = Metrics(admin_port).by("lb_backend_requests_total", "backend")
        slices = {"weir": [self.wrk(weir, "/hash") for _ in range(self.rounds)]}
        after = Metrics(admin_port).by("lb_backend_requests_total", "backend")
        setting = f"{self.count} connections"
        self.add_slices(PROXY, setting, slices, "requests/s", "1/s", "higher", lambda l, u, w: l.rate, True)
        self.add_slices(PROXY, setting, slices, "processor time of Weir", "us/request", "lower", us_per_request)
        for name in ("p50", "p99"):
            value = lambda l, u, w, key=name: l.latency_us[key] / 1e3
            self.add_slices(PROXY, setting, slices, name, "ms", "lower", value, True)
        counts = {name: after.get(name, 0) - before.get(name, 0) for name in backends}
        total = sum(counts.values())
        for name, count in counts.items():
            if total:
                self.add("shares by least_connections", name, setting, "share", "%", "none", [100 * count / total])
        lab.keeper.stop_all()

    # Goals.

    def judge(self):
        for part, name, text in (
            (CLOSED, "requests/s", "throughput"),
            (CLOSED, "processor time", "processor time per request"),
            (OPEN, "p50", "p50 at each fixed rate"),
            (OPEN, "p99", "p99 at each fixed rate"),
        ):
            met, value = self.ahead(part, name)
            self.goal(f"C++ ahead of Go and Rust on {text}", met, value)
        self.judge_cost()
        self.judge_failures()

    def ahead(self, part, name):
        """Whether C++ has the better median than each other server in each setting, and the figures."""
        mine = [one for one in self.figures if (one["part"], one["target"], one["name"]) == (part, "cpp", name)]
        told, met = [], None
        for one in mine:
            same = lambda other: (other["part"], other["setting"], other["name"]) == (part, one["setting"], name)
            others = [other for other in self.figures if same(other) and other["target"] != "cpp"]
            others = [other for other in others if other["median"] is not None]
            if one["median"] is None or not others:
                continue
            sign = 1 if one["better"] == "higher" else -1
            won = all(sign * one["median"] > sign * other["median"] for other in others)
            met = won if met is None else met and won
            listed = ", ".join(f"{TITLES[other['target']]} {figures.number(other['median'])}" for other in others)
            within = figures.verdict(one, figures.best_of(others, one["better"])) == figures.TIE
            told.append(f"{figures.number(one['median'])} {one['unit']} to {listed}{', within the spread' * within}")
        return met, "; ".join(told) or "nothing to compare"

    def judge_cost(self):
        whole = self.median(CLOSED, "cpp", "processor time")
        bare = self.median(BARE, "cpp", "processor time")
        rounds = self.median("rounds alone", "cpp", "processor time")
        if None in (whole, bare, rounds):
            return
        ratio = whole / (bare + rounds)
        self.goal(
            "C++ within 10 % of the rounds alone plus a bare request",
            ratio <= 1.1,
            f"{whole:.2f} us, {ratio:.2f} of {rounds:.2f} + {bare:.2f} us",
        )

    def judge_failures(self):
        counted = [one for one in self.figures if one["name"] == "failures"]
        failures = sum(sum(one["samples"]) for one in counted)
        void = sorted({one["reason"] for figure in self.figures for one in figure["void"]} - NO_FAILURE)
        told = f"{failures:.0f} of k6's" if counted else "k6 did not run"
        self.goal("no failed request", failures == 0 and not void, "; ".join([told, *void]))


def ramp_option(text):
    try:
        return k6.stages(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def read_rounds(output):
    """Microseconds of each repetition, from Google Benchmark's JSON."""
    try:
        runs = json.loads(output)["benchmarks"]
    except (ValueError, KeyError):
        return []
    scale = {"ns": 1e-3, "us": 1, "ms": 1e3}
    return [one["cpu_time"] * scale[one["time_unit"]] for one in runs if one.get("run_type") == "iteration"]


def proxy_configuration(port, admin_port, backends):
    lines = "\n".join(
        f'      - {{name: {name}, url: "http://127.0.0.1:{one}"}}' for name, one in backends.items()
    )
    return f"""workers: 1
log: {{level: warn}}
admin: {{address: 127.0.0.1:{admin_port}}}
listeners:
  - {{name: web, address: 127.0.0.1:{port}}}
clusters:
  - name: hash
    balance: least_connections
    protocol: http1
    backends:
{lines}
routes:
  - cluster: hash
"""
