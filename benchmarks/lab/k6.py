"""k6: users that come, stay and go, each with one request at a time."""

import dataclasses
import json
import os
import pathlib
import re
import shutil

from . import load

RAMP = pathlib.Path(__file__).resolve().parent.parent / "hash" / "ramp.js"
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
MEMORY_PER_USER_MIB = 0.3  # of k6 1.x with this script, rounded up


@dataclasses.dataclass
class Ramp:
    users: int
    up_s: float
    hold_s: float
    down_s: float
    pause_s: float = 0.0

    @property
    def seconds(self):
        return self.up_s + self.hold_s + self.down_s

    def text(self):
        pause = f", {self.pause_s:g} s between requests" if self.pause_s else ""
        return f"{self.users:,} users, {self.up_s:g} s up, {self.hold_s:g} s, {self.down_s:g} s down{pause}"


def seconds(text):
    """A duration such as 90s, 1.5m or 2m30s, in seconds; ValueError if it is none."""
    pieces = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not pieces or "".join(number + unit for number, unit in pieces) != text:
        raise ValueError(f"{text!r} is no duration: 90s, 15m, 2m30s")
    return sum(float(number) * UNITS[unit] for number, unit in pieces)


def stages(text):
    """UP,HOLD,DOWN in seconds; ValueError if it is not three durations above 0."""
    found = [seconds(one) for one in text.split(",")]
    if len(found) != 3 or min(found) <= 0:
        raise ValueError(f"{text!r} is not UP,HOLD,DOWN such as 2m,15m,30s")
    return found


def find(folder):
    """k6 in PATH, where `go install` leaves it, or where benchmarks/hash/build.sh put it; None if it is nowhere."""
    places = [shutil.which("k6"), pathlib.Path(folder) / "k6"]
    go_folders = (os.environ.get("GOPATH"), os.path.expanduser("~/go"))
    places += [pathlib.Path(one) / "bin" / "k6" for one in go_folders if one]
    for place in places:
        if place and os.access(place, os.X_OK):
            return pathlib.Path(place)
    return None


def fitting_users(users, available_mib):
    """As many users as k6 has memory for, leaving a quarter for everything else."""
    return max(1, min(users, int(available_mib * 0.75 / MEMORY_PER_USER_MIB)))


def read_summary(metrics, wall_s):
    """The metrics of a k6 run, as handleSummary gets them, as a Load. Times are in ms there."""
    timing = metrics.get("http_req_duration", {}).get("values", {})
    requests = int(metrics.get("http_reqs", {}).get("values", {}).get("count", 0))
    if not requests or not timing:
        return load.failed("nothing was answered")
    failed = metrics.get("http_req_failed", {}).get("values", {})
    names = {"p50": "med", "p90": "p(90)", "p95": "p(95)", "p99": "p(99)", "mean": "avg", "max": "max"}
    found = load.Load(
        requests=requests,
        bytes=int(metrics.get("data_received", {}).get("values", {}).get("count", 0)),
        seconds=wall_s,
        latency_us={name: timing[key] * 1e3 for name, key in names.items()},
    )
    # Of a rate, k6 counts what was true as passes: here a failed request.
    found.failures = int(failed.get("passes", 0))
    if found.failures:
        found.faults.append("failed requests at the client")
    return found


def run(lab, program, port, ramp, cores, outputs=(), environment=None):
    """Runs the ramp against a server on this port: a Load, whose seconds are those of the ramp and whose `busy` is the
    share of its cores that k6 used."""
    summary = lab.folder / f"k6-{port}.json"
    settings = {
        "TARGET": f"http://127.0.0.1:{port}",
        "USERS": ramp.users,
        "UP": f"{ramp.up_s:g}s",
        "HOLD": f"{ramp.hold_s:g}s",
        "DOWN": f"{ramp.down_s:g}s",
        "PAUSE": f"{ramp.pause_s:g}",
        "SUMMARY": summary,
    }
    command = [program, "run", "--quiet", "--no-usage-report", "--no-color", "--address", ""]
    for name, value in settings.items():
        command += ["-e", f"{name}={value}"]
    for output in outputs:
        command += ["-o", output]
    command.append(RAMP)
    lab.note_command(command, "k6")
    status, output, used = lab.keeper.run("k6", command, cores, ramp.seconds + 90, environment=environment)
    if status != 0 or not summary.exists():
        return load.failed(load.why_it_failed("k6", status) if status != 0 else "k6 left no summary")
    found = read_summary(json.loads(summary.read_text()), ramp.seconds)
    summary.unlink()
    found.processor_s = used
    found.busy = used / ramp.seconds / len(cores)
    return found


def what_limited(name, server_busy, load_busy, generator="k6", idle=1.0):
    """A sentence on what set the requests a second: shares of the cores that server and generator had, and of the
    machine's that nobody used."""
    server, generated = f"{server_busy:.0%}", f"{load_busy:.0%}"
    if load_busy > 0.9 and load_busy >= server_busy:
        return (
            f"{name}: {generator} was the limit, not the server: it used {generated} of its cores, the server "
            f"{server} of its own."
        )
    if server_busy > 0.9:
        return f"{name}: the server was the limit: it used {server} of its cores, {generator} {generated} of its own."
    if idle < 0.1:
        return (
            f"{name}: other processes of this machine were the limit: server and {generator} got only {server} and "
            f"{generated} of their cores, and yet none was idle."
        )
    return (
        f"{name}: neither used up its cores (server {server}, {generator} {generated}): the users' waiting for each "
        "answer was the limit."
    )
