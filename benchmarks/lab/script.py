"""What a script is made of: steps that measure, figures that they leave, goals that the figures meet or miss."""

import dataclasses
import re
import time
import typing

from . import figures, lab as labs, load, machine
from .targets import CannotRun, FLOORS

SCHEMA = "weir-lab/1"
TITLES = {
    "direct": "direct line",
    "copy": "byte copier",
    "splice": "splicing copier",
    "cpp": "C++",
    "go": "Go",
    "rust": "Rust",
}


@dataclasses.dataclass
class Step:
    label: str
    seconds: float  # expected
    run: typing.Callable


class Script:
    """One benchmark. A subclass sets the texts and gives steps() and, if it has goals, judge()."""

    name = ""
    title = ""
    about = ""
    goals_text = ""
    shows_not: typing.ClassVar[list] = []
    add_options = None  # may add to the command line
    command = ""  # what starts it, if not benchmarks/NAME.sh
    keeps_report = False  # alone, too, it leaves a folder with its report

    def __init__(self, lab):
        self.lab = lab
        self.options = lab.options
        self.quick = lab.quick
        self.figures, self.series, self.goals, self.notes = [], [], [], []
        self.tables = []
        self.started = labs.now_text()
        self.seconds = 0.0
        self.interrupted = False
        self.broken = ""

    # For subclasses.

    def steps(self):
        raise NotImplementedError

    def judge(self):
        """Compares the figures with the goals, when all has run."""

    def pick(self, full, quick):
        return quick if self.quick else full

    def duration(self, full, quick):
        return self.options.duration or self.pick(full, quick)

    def slices(self, full, quick):
        """How many of each."""
        return self.options.slices or self.pick(full, quick)

    def connections(self, full, quick=None):
        """A list of connection counts."""
        return self.options.connections or self.pick(full, quick or full)

    @property
    def peers(self):
        return [name for name, _ in self.lab.peers]

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def add(self, part, target, setting, name, unit, better, samples, void=(), note=""):
        made = figures.figure(part, target, setting, name, unit, better, samples, void, note)
        self.figures.append(made)
        return made

    def left_out(self, part, target, setting, reason):
        folder = re.escape(str(getattr(self.lab, "folder", "/nowhere")))
        reason = re.sub(folder + r"/[\w-]+/", "", reason)
        text = f"{TITLES.get(target, target)} is left out of {part}"
        if all(not (one.startswith(text) and one.endswith(reason)) for one in self.notes):
            self.note(f"{text}{', ' + setting if setting else ''}: {reason}")

    def goal(self, text, met, value):
        """`met` is None where it can't be told."""
        self.goals.append({"goal": text, "met": met, "value": value})

    def find(self, part, target, name, setting=None):
        for one in self.figures:
            if (one["part"], one["target"], one["name"]) == (part, target, name) and setting in (
                None,
                one["setting"],
            ):
                return one
        return None

    def median(self, part, target, name, setting=None):
        found = self.find(part, target, name, setting)
        return found["median"] if found else None

    def start(self, part, name, scenario, cores=None, setting=""):
        """A target that serves, or None with a note."""
        try:
            return self.lab.targets.start(name, scenario, cores)
        except CannotRun as reason:
            self.left_out(part, name, setting, str(reason))
            return None

    # For the runner.

    def execute(self, steps):
        """Runs these steps; what a step raises ends the script, not the lab."""
        began = time.monotonic()
        try:
            for step in steps:
                self.lab.progress.step(f"{self.name} · {step.label}")
                step.run()
            self.judge()
        except KeyboardInterrupt:
            self.interrupted = True
            raise
        except (CannotRun, labs.Unfit) as reason:
            self.broken = str(reason)
            self.note(f"this script stopped early: {reason}")
        finally:
            self.lab.keeper.stop_all()
            self.seconds = time.monotonic() - began

    def document(self):
        return {
            "schema": SCHEMA,
            "script": self.name,
            "title": self.title,
            "about": self.about,
            "started": self.started,
            "seconds": round(self.seconds, 1),
            "quick": self.quick,
            "interrupted": self.interrupted,
            "complete": not self.interrupted and not self.broken,
            "machine": machine.describe(),
            "versions": self.lab.versions,
            "missing": self.lab.missing,
            "settings": self.lab.settings(),
            "commands": self.lab.commands,
            "figures": self.figures,
            "tables": self.tables,
            "series": self.series,
            "goals": self.goals,
            "notes": self.notes,
            "shows_not": self.shows_not,
        }

    # Slices that alternate between targets.

    def start_all(self, part, names, scenario_of, cores=None, setting=""):
        """Starts each target and pauses it. `scenario_of(name)` may be None: not for this target."""
        running = {}
        for name in names:
            scenario = scenario_of(name)
            if scenario is None:
                continue
            target = self.start(part, name, scenario, cores, setting)
            if target:
                target.pause()
                running[name] = target
        return running

    def alternate(self, running, rounds, measure, part, setting, tries=2):
        """`rounds` slices of each target in drawn order, everything else paused. `measure(target)` returns
        (load, used, wall); its slices come back by target as lists, void ones with faults. A target with nothing but
        void slices after `tries` rounds gets no more."""
        slices = {name: [] for name in running}
        for turn in range(rounds * 2):
            names = [name for name in running if len(good(slices[name])) < rounds]
            if turn >= tries:
                names = [name for name in names if good(slices[name])]
            if not names:
                break
            self.lab.random.shuffle(names)
            for name in names:
                self.lab.progress.detail(f"{TITLES.get(name, name)}, slice {len(slices[name]) + 1} of {rounds}")
                target = running[name]
                target.resume()
                time.sleep(0.02)
                slices[name].append(measure(target))
                target.pause()
        for target in running.values():
            target.stop()
        return slices

    def add_slices(self, part, setting, slices, name, unit, better, value, needs_unsaturated=False, note_of=None):
        """A figure for each target from its slices."""
        for target, taken in slices.items():
            samples, void = [], []
            for load_, used, wall in taken:
                reasons = list(load_.faults)
                if needs_unsaturated and load_.saturated:
                    reasons.append("the load generator was saturated")
                if reasons:
                    void += reasons
                    continue
                found = value(load_, used, wall)
                if found is not None:
                    samples.append(found)
            note = note_of(target, taken) if note_of and samples else ""
            if samples or void:
                self.add(part, target, setting, name, unit, better, samples, void, note)


def good(slices):
    return [one for one in slices if not one[0].faults]


def load_is_full(lab):
    """For a figure of requests/s: says where the proxy was not what set the limit."""

    def note(target, taken):
        if target in FLOORS:
            return ""
        shares = [used["total"] / wall for _, used, wall in taken if wall]
        share = sorted(shares)[len(shares) // 2]
        return "" if share > 0.9 else f"proxy's core {share:.0%} busy"

    return note


def us_per_request(load_, used, wall):
    return used["total"] * 1e6 / load_.requests if used["total"] and load_.requests else None


def measured(target, run):
    return load.measured(target.process, run)
