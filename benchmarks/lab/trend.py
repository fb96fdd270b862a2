"""Weir's figures over commits, from earlier results.

Two runs are hours apart on a machine that moves by more than what is looked for. So where both have the same copier or
the same peer, it is Weir's ratio to it that is compared, not the figure."""

import argparse
import json
import pathlib
import re
import sys

from . import figures, lab as labs, report
from .schema import problems
from .targets import PEERS

COSTS = 0.03
REFERENCES = ("copy", "splice", *PEERS, "direct")


def commit_of(document):
    """What `weir version` says of where it comes from."""
    found = re.search(r"commit:? ([0-9a-f]{7,40})", document["versions"].get("weir", ""))
    return found.group(1)[:10] if found else document["versions"].get("weir", "?").split(";")[0][:24]


def library_of(document, *words):
    """The TLS library under Weir where it weighs on the figure: runs with --system-openssl have another one."""
    found = re.search(r"over TLS with [^;]*?(OpenSSL [\d.]+)", document["versions"].get("weir", ""))
    return found.group(1) if found and re.search("tls|handshake", " ".join(words), re.IGNORECASE) else ""


def read(folders, quick):
    """Documents of the results in these folders, the oldest first; what is no such document is named and left out."""
    found = []
    for folder in folders:
        for path in sorted(pathlib.Path(folder).rglob("*.json")):
            try:
                document = json.loads(path.read_text())
            except (OSError, ValueError) as reason:
                print(f"trend: {path}: {reason}", file=sys.stderr)
                continue
            if not isinstance(document, dict) or problems(document):
                print(f"trend: {path} is no result of this lab's scripts", file=sys.stderr)
            elif document["quick"] == quick:
                found.append(document)
    return sorted(found, key=lambda one: one["started"])


class History:
    """{(script, part, setting, name, TLS library): {commit: {target: figure}}}, of each commit the newest run."""

    def __init__(self, documents):
        self.commits = []
        self.figures = {}
        for document in documents:
            commit = commit_of(document)
            if commit in self.commits:
                self.commits.remove(commit)
            self.commits.append(commit)
            fresh = {}
            for one in document["figures"]:
                if one["better"] != "none" and one["median"] is not None:
                    words = (one["part"], one["setting"], one["name"])
                    key = (document["script"], *words, library_of(document, *words))
                    fresh.setdefault(key, {})[one["target"]] = one
            for key, targets in fresh.items():
                if "weir" in targets:
                    self.figures.setdefault(key, {})[commit] = targets


def change(before, after):
    """How much worse Weir has become: (share, least share that the spreads allow, reference). Below 0 it is better."""
    reference = next((name for name in REFERENCES if name in before and name in after), "")
    one, other = before["weir"], after["weir"]
    if reference:
        ratios = [figures.ratio(targets["weir"], targets[reference]) for targets in (before, after)]
    else:
        ratios = [(f["median"], f["low"], f["high"]) for f in (one, other)]
    if None in ratios or not all(all(values) for values in ratios):
        return None
    (old, old_low, old_high), (new, new_low, new_high) = ratios
    if other["better"] == "lower":
        return new / old - 1, new_low / old_high - 1, reference
    return old / new - 1, old_low / new_high - 1, reference


def rows_of(history, commits):
    """[(cells, cost or None)]: the table's lines, and what stands to be named."""
    rows = []
    for key, by_commit in history.figures.items():
        known = [commit for commit in commits if commit in by_commit]
        if len(known) < 2:
            continue
        values = [figures.number(by_commit[c]["weir"]["median"]) if c in by_commit else "" for c in commits]
        found = change(by_commit[known[-2]], by_commit[known[-1]])
        cost, said = None, ""
        if found:
            share, least, reference = found
            said = f"{share:+.1%}" + (f" (to {report.title_of(reference)})" if reference else " (not set off)")
            if share > COSTS:
                slices = min(len(by_commit[c]["weir"]["samples"]) for c in known[-2:])
                certain = least > 0 and slices > 1
                said += " COSTS" if certain else " within the spread" if slices > 1 else " of one slice"
                if certain:
                    cost = f"{', '.join(filter(None, key))}: {share:.1%} worse at {known[-1]} than at {known[-2]}"
        rows.append(([", ".join(filter(None, key)), by_commit[known[-1]]["weir"]["unit"], *values, said], cost))
    return rows


def main(arguments):
    parser = argparse.ArgumentParser(
        prog="benchmarks/trend.sh",
        description="Weir's figures over commits, from the results of earlier runs. The last column says how much "
        "worse the newest\ncommit is than the one before, set off by what the copier or a peer did in the same runs. "
        "A change that costs\nmore than 3 % and lies outside of the spread is named at the end.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help="results (default: benchmarks/results)")
    parser.add_argument("--last", type=int, default=6, metavar="N", help="commits to show (default: 6)")
    parser.add_argument("--script", metavar="NAME", help="figures of this script only")
    parser.add_argument("--quick", action="store_true", help="the runs made with --quick instead of the others")
    options = parser.parse_args(arguments)
    documents = read(options.folders or [labs.RESULTS], options.quick)
    if options.script:
        documents = [one for one in documents if one["script"] == options.script]
    history = History(documents)
    commits = history.commits[-max(2, options.last) :]
    rows = rows_of(history, commits)
    if not rows:
        print(f"trend: it takes two commits with a figure in common; there are results of {len(commits)}")
        return 0
    print(report.aligned(["", "unit", *commits, "change of the last"], [row for row, _ in rows]))
    costs = [cost for _, cost in rows if cost]
    print()
    print("\n".join(f"costs more than 3 %: {cost}" for cost in costs) or "no change costs more than 3 %")
    return 0
