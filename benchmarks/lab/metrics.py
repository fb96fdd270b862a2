"""Weir's own counts, from its admin port."""

import re
import urllib.request

LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.M)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def parse(text):
    """[(name, labels, value)] of the Prometheus text format."""
    return [(name, dict(LABEL.findall(labels or "")), float(value)) for name, labels, value in LINE.findall(text)]


class Metrics:
    def __init__(self, admin_port):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{admin_port}/metrics", timeout=10) as answer:
            self.samples = parse(answer.read().decode())

    def sum(self, name, **labels):
        return sum(
            value
            for found, has, value in self.samples
            if found == name and all(has.get(key) == wanted for key, wanted in labels.items())
        )

    def by(self, name, label, **labels):
        """{label's value: sum}."""
        sums = {}
        for found, has, value in self.samples:
            if found == name and all(has.get(key) == wanted for key, wanted in labels.items()):
                sums[has.get(label, "")] = sums.get(has.get(label, ""), 0) + value
        return sums
