"""Processes that the lab starts: pinned, stopped and continued as a group, and none of them outlives it."""

import ctypes
import os
import signal
import subprocess
import sys
import time

from . import machine

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)

# Reads "+GROUP" and "-GROUP" lines; at the end of its input, when the lab is gone however it went, it kills what is
# left.
WATCHDOG = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""


class Process:
    """A process group: the program that was started and whatever it starts."""

    def __init__(self, keeper, popen, name, log):
        self.keeper = keeper
        self.popen = popen
        self.name = name
        self.log = log
        self.group = popen.pid

    def signal(self, number):
        try:
            os.killpg(self.group, number)
        except OSError:
            pass

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def alive(self):
        return self.popen.poll() is None

    def processor(self):
        return machine.Processor(self.group)

    def resident_kib(self):
        return machine.resident_kib(self.group)

    def last_words(self, lines=3):
        text = machine.read(self.log).strip().split("\n")
        return " | ".join(line.strip() for line in text[-lines:])[:400]

    def stop(self, gently_s=0.0):
        """Ends the group: TERM first if it gets time, then KILL."""
        self.resume()
        if gently_s > 0:
            self.signal(signal.SIGTERM)
            deadline = time.monotonic() + gently_s
            while self.alive() and time.monotonic() < deadline:
                time.sleep(0.01)
        self.signal(signal.SIGKILL)
        try:
            self.popen.wait(5)
        except subprocess.TimeoutExpired:
            pass
        self.keeper.forget(self)


class Keeper:
    """Starts processes and ends all of them."""

    def __init__(self, folder):
        self.folder = folder
        self.running = []
        self.count = 0
        self.watchdog = subprocess.Popen(
            [sys.executable, "-c", WATCHDOG],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
        )

    def start(
        self, name, command, cores=None, environment=None, folder=None, stdin=subprocess.DEVNULL, stdout=None, nice=0
    ):
        self.count += 1
        log = os.path.join(self.folder, f"{self.count:03d}-{name}.log")

        def before():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if cores:
                os.sched_setaffinity(0, cores)
            if nice:
                os.nice(nice)

        with open(log, "wb") as output:
            popen = subprocess.Popen(
                [str(word) for word in command],
                preexec_fn=before,
                start_new_session=True,
                stdin=stdin,
                stdout=stdout or output,
                stderr=output,
                cwd=folder or self.folder,
                env={**os.environ, **(environment or {})},
            )
        process = Process(self, popen, name, log)
        self.running.append(process)
        self.tell("+", process)
        return process

    def tell(self, sign, process):
        try:
            self.watchdog.stdin.write(f"{sign}{process.group}\n")
            self.watchdog.stdin.flush()
        except (OSError, ValueError):
            pass

    def forget(self, process):
        if process in self.running:
            self.running.remove(process)
            self.tell("-", process)

    def run(self, name, command, cores=None, timeout_s=60.0, stdin_text=None, environment=None):
        """A program that ends by itself: (exit status, its output, its processor seconds). Status None: it did not end
        in time and was killed."""
        stdin = subprocess.PIPE if stdin_text is not None else subprocess.DEVNULL
        process = self.start(name, command, cores, environment, stdin=stdin, stdout=subprocess.PIPE)
        before = os.times()
        try:
            output, _ = process.popen.communicate(stdin_text.encode() if stdin_text else None, timeout=timeout_s)
            status = process.popen.returncode
        except subprocess.TimeoutExpired:
            process.signal(signal.SIGKILL)
            output, _ = process.popen.communicate()
            status = None
        finally:
            process.stop()
        after = os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        return status, output.decode(errors="replace"), used

    def stop_all(self):
        for process in list(self.running):
            process.stop()

    def close(self):
        self.stop_all()
        try:
            self.watchdog.stdin.close()
            self.watchdog.wait(5)
        except (OSError, subprocess.TimeoutExpired):
            self.watchdog.kill()
