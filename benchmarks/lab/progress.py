"""What runs and how long it still takes, on the terminal."""

import sys
import time


def clock(seconds):
    seconds = max(0, int(seconds + 0.5))
    return f"{seconds // 60}:{seconds % 60:02d}"


class Progress:
    """Knows the steps to come and their expected seconds. On a terminal the current line is written over; else each
    step gets a line."""

    def __init__(self, stream=None, now=time.monotonic):
        self.stream = stream or sys.stderr
        self.now = now
        self.live = self.stream.isatty()
        self.expected = []
        self.index = 0
        self.step_began = self.began = now()
        self.label = ""

    def plan(self, seconds):
        """`seconds`: of each step, in order."""
        self.expected = list(seconds)
        self.began = self.now()

    def left(self):
        current = self.expected[self.index - 1] if 0 < self.index <= len(self.expected) else 0
        return max(0.0, current - (self.now() - self.step_began)) + sum(self.expected[self.index :])

    def step(self, label):
        self.index += 1
        self.step_began = self.now()
        self.label = label
        self.line("", always=True)

    def detail(self, text):
        self.line(text)

    def line(self, detail, always=False):
        text = f"[{self.index}/{len(self.expected)}] {self.label}"
        text += f": {detail}" if detail else ""
        text += f"  ({clock(self.left())} left)"
        if self.live:
            self.stream.write(f"\r\x1b[2K{text[:150]}")
        elif always:
            self.stream.write(text + "\n")
        self.stream.flush()

    def say(self, text):
        """A line that stays."""
        self.stream.write(("\r\x1b[2K" if self.live else "") + text + "\n")
        self.stream.flush()

    def done(self, name):
        self.say(f"{name}: {clock(self.now() - self.began)}")
