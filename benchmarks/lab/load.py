"""Load generators. Known ones where there is one: wrk for HTTP/1.1, h2load for HTTP/2 and TLS. lab-load for what they
can't do: a fixed rate with times that count from when a request was due, new connections, connections held idle.

Each function gives a Load. What makes a slice void stands in its `faults`."""

import dataclasses
import json
import pathlib
import re
import subprocess
import time

from . import machine

# What a browser sends.
FIELDS = [
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Encoding: gzip, deflate, br",
    "Accept-Language: en-GB,en;q=0.7,de;q=0.3",
    "Cache-Control: max-age=0",
    "Cookie: session=2d711642b726b04401627ca9fbac32f5; theme=light; consent=yes",
    "Referer: https://www.example.com/catalogue/shoes?page=2",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Upgrade-Insecure-Requests: 1",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
]
SATURATED = 0.95  # share of its cores that a generator may use
TOOLS = pathlib.Path(__file__).resolve().parent.parent / "tools"


@dataclasses.dataclass
class Load:
    requests: int = 0
    bytes: int = 0
    seconds: float = 0.0
    latency_us: dict = dataclasses.field(default_factory=dict)
    service_us: dict = dataclasses.field(default_factory=dict)
    faults: list = dataclasses.field(default_factory=list)
    busy: float = 0.0  # share of its threads' time that the generator computed
    late_us_p99: float = 0.0
    resumed: int = 0
    failures: int = 0  # where the generator counts them
    processor_s: float = 0.0  # of the generator
    names: dict = dataclasses.field(default_factory=dict)  # answers by the backend they name

    @property
    def rate(self):
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def saturated(self):
        return self.busy > SATURATED


def failed(reason):
    return Load(faults=[reason])


def headers(option, browser):
    return [word for field in (FIELDS if browser else []) for word in (option, field)]


def why_it_failed(program, status):
    return f"{program} did not end in time" if status is None else f"{program} ended with status {status}"


def wrk(lab, port, path, seconds, connections, threads=1, body=None, browser=True, cores=None, lua=None, tls=False):
    """Closed loop, HTTP/1.1, keep-alive. Whole seconds only: that is how wrk is made."""
    seconds = max(1, round(seconds))
    threads = min(threads, connections)
    command = [
        "wrk",
        f"-t{threads}",
        f"-c{connections}",
        f"-d{seconds}s",
        "--latency",
        "-s",
        lua or TOOLS / "report.lua",
        *headers("-H", browser),
        f"http{'s' if tls else ''}://127.0.0.1:{port}{path}",
    ]
    lab.note_command(command, "wrk")
    status, output, used = lab.keeper.run("wrk", command, cores, seconds + 30)
    found = re.search(r"^lab (\{.*\})$", output, re.M)
    if status != 0 or not found:
        return failed(why_it_failed("wrk", status) if status != 0 else "nothing was answered")
    told = json.loads(found.group(1))
    load = Load(
        requests=told["requests"],
        bytes=told["bytes"],
        seconds=told["duration_us"] / 1e6,
        latency_us=told["latency_us"],
        busy=used / threads / (told["duration_us"] / 1e6),
    )
    for name, count in re.findall(r"^name (\S+) (\d+)$", output, re.M):
        load.names[name] = load.names.get(name, 0) + int(count)
    for kind in ("connect", "read", "write", "timeout"):
        if told["errors"][kind]:
            load.faults.append(f"{kind} errors at the client")
    if told["errors"]["status"]:
        load.faults.append("answers with an error status")
    if load.requests == 0:
        load.faults.append("nothing was answered")
    elif body is not None and load.bytes < load.requests * body:
        load.faults.append("bytes are missing")
    return load


def h2load(
    lab,
    port,
    path,
    seconds,
    connections,
    streams=16,
    http1=False,
    tls=False,
    threads=1,
    browser=True,
    body=None,
    cores=None,
):
    """Closed loop over HTTP/2, or HTTP/1.1 over TLS."""
    threads = min(threads, connections)
    where = (
        [f"--connect-to=127.0.0.1:{port}", f"https://localhost:{port}{path}"]
        if tls
        else [f"http://127.0.0.1:{port}{path}"]
    )
    command = [
        "h2load",
        f"-c{connections}",
        f"-m{1 if http1 else streams}",
        f"-t{threads}",
        "-D",
        f"{max(1, round(seconds * 1000))}ms",
        "--warm-up-time=0",
        *(["--h1"] if http1 else []),
        *headers("-H", browser),
        *where,
    ]
    lab.note_command(command, "h2load" + (", HTTP/1.1" if http1 else "") + (", TLS" if tls else ""))
    began = time.monotonic()
    status, output, used = lab.keeper.run("h2load", command, cores, seconds + 30)
    wall = time.monotonic() - began
    if status != 0:
        return failed(why_it_failed("h2load", status))
    return read_h2load(output, seconds, used / threads / wall, body)


def read_h2load(output, seconds, busy, body):
    counts = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    codes = re.search(r"(\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", output)
    if not counts or not codes or not int(counts.group(2)):
        return failed("nothing was answered")
    load = Load(requests=int(counts.group(2)), seconds=seconds, busy=busy)
    mean = re.search(r"time for request:\s+\S+\s+(\S+)\s+(\S+)", output)
    if mean:
        load.latency_us = {"max": microseconds(mean.group(1)), "mean": microseconds(mean.group(2))}
    data = re.search(r"total, .*?\((\d+)\) data", output) or re.search(r"\((\d+)\) data", output)
    load.bytes = int(data.group(1)) if data else 0
    if any(int(counts.group(i)) for i in (3, 4, 5)):
        load.faults.append("failed requests at the client")
    if any(int(codes.group(i)) for i in (2, 3, 4)):
        load.faults.append("answers with an error status")
    if body is not None and data and load.bytes < load.requests * body:
        load.faults.append("bytes are missing")
    return load


def microseconds(text):
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    return float(found.group(1)) * {"us": 1, "ms": 1e3, "s": 1e6, "m": 6e7}[found.group(2)] if found else 0.0


def own(lab, mode, port, path, connections, options, body, browser):
    command = [
        lab.tool("lab-load"),
        mode,
        "--port",
        port,
        "--path",
        path,
        "--connections",
        connections,
        *options,
        *headers("--header", browser),
    ]
    return command + (["--body", body] if body is not None else [])


def run_own(lab, command, seconds, cores, title):
    """Runs lab-load; gives its JSON, or None and the reason."""
    lab.note_command(command, title)
    status, output, _ = lab.keeper.run("lab-load", command, cores, seconds + 60)
    if status != 0:
        return None, why_it_failed("lab-load", status)
    try:
        return json.loads(output.strip().split("\n")[-1]), ""
    except ValueError:
        return None, "lab-load said nothing"


def open_loop(
    lab,
    port,
    path,
    rate,
    seconds,
    connections,
    warm_up=0.5,
    http2=False,
    streams=16,
    threads=1,
    body=None,
    browser=True,
    cores=None,
):
    """`rate` requests a second, whether or not they are answered."""
    options = ["--rate", rate, "--duration", seconds, "--warm-up", warm_up, "--threads", threads]
    options += ["--http2", "--streams", streams] if http2 else []
    command = own(lab, "open", port, path, connections, options, body, browser)
    told, why = run_own(lab, command, seconds + warm_up, cores, "open loop")
    if told is None:
        return failed(why)
    load = Load(
        requests=told["requests"],
        seconds=told["seconds"],
        latency_us=told["latency_us"],
        service_us=told["service_us"],
        busy=told["processor_seconds"] / told["wall_seconds"] / threads if told["wall_seconds"] > 0.01 else 0.0,
        late_us_p99=told["late_us_p99"],
    )
    names = {
        "connect_errors": "connections were refused",
        "closed_errors": "connections broke",
        "status_errors": "answers with an error status",
        "body_errors": "bytes are missing",
        "framing_errors": "answers that can't be read",
        "unanswered": "requests were not answered",
    }
    load.faults = [text for key, text in names.items() if told[key]]
    if not load.requests and not load.faults:
        load.faults.append("nothing was answered")
    return load


def connect_rate(lab, port, path, seconds, connections, tls="none", body=None, cores=None, warm_up=0.3):
    """A new connection for every request; `tls` is none, full or resumed."""
    options = ["--tls", tls, "--duration", seconds, "--warm-up", warm_up, "--host", "localhost"]
    command = own(lab, "connect", port, path, connections, options, body, False)
    told, why = run_own(lab, command, seconds + warm_up, cores, f"new connections, TLS {tls}")
    if told is None:
        return failed(why)
    load = Load(
        requests=told["connections"],
        seconds=told["seconds"],
        latency_us=told["latency_us"],
        busy=told["processor_seconds"] / max(told["wall_seconds"], 0.01),
        resumed=told["resumed"],
    )
    if told["errors"]:
        load.faults.append("connections failed")
    elif not load.requests:
        load.faults.append("nothing was answered")
    elif tls == "resumed" and told["resumed"] < 0.9 * (told["completed"] - connections):
        load.faults.append("sessions were not resumed")
    elif tls == "full" and told["resumed"]:
        load.faults.append("sessions were resumed")
    return load


class Held:
    """Idle connections, each of which has had one answer."""

    def __init__(self, lab, port, path, connections, http2=False, cores=None, tls=False):
        options = (["--http2"] if http2 else []) + (["--tls", "--host", "localhost"] if tls else [])
        command = own(lab, "hold", port, path, connections, options, None, False)
        lab.note_command(command, "held connections" + (", TLS" if tls else ""))
        self.process = lab.keeper.start("lab-load", command, cores, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = self.process.popen.stdout.readline()
        told = json.loads(line) if line else {"open": 0, "failed": connections}
        self.open, self.failed = told["open"], told["failed"]

    def close(self):
        """Lets them go; returns how many the server had left open."""
        try:
            self.process.popen.stdin.close()
            line = self.process.popen.stdout.readline()
            self.process.popen.wait(20)
        except (OSError, subprocess.TimeoutExpired):
            line = b""
        self.process.stop()
        self.process.popen.stdout.close()
        return json.loads(line)["still_open"] if line else 0


def measured(process, run):
    """Runs a load against a process (None for the direct line): (load, processor seconds of the process by name, wall
    seconds). Stolen time above 5 % is one more fault."""
    stolen, began = machine.stolen_seconds(), time.monotonic()
    before = process.processor() if process else None
    load = run()
    used = {"total": 0.0, "user": 0.0, "system": 0.0}
    if process:
        after = process.processor()
        used = {
            "total": after.total_s - before.total_s,
            "user": after.user_s - before.user_s,
            "system": after.system_s - before.system_s,
        }
        if not process.alive():
            load.faults.append("the proxy ended")
    wall = time.monotonic() - began
    if (machine.stolen_seconds() - stolen) / wall / len(machine.cores()) > 0.05:
        load.faults.append("more than 5 % stolen time")
    return load, used, wall
