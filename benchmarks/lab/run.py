"""Runs one script, or all of them into a folder of results."""

import datetime
import json
import math
import pathlib
import sys

from . import lab as labs, report, schema
from .lab import Lab, Unfit
from .scripts import ALL

INTERRUPTED = 130
QUICK = [name for name, script in ALL.items() if not script.command]  # what has a command of its own has --quick there
QUICK_S = 255.0  # what --quick plans with, of the 5 minutes that it may take
EPILOG = """Set FAIL_PCT, BASE_DELAY_MS or JITTER_MS in the environment and the backends get them: a run with errors is
void, and says so. docs/benchmarks.md explains the method."""


def about(script):
    goals = f"\n\nGoal: {script.goals_text}" if script.goals_text else ""
    return script.about + goals


def write_json(path, document):
    text = json.dumps(document, indent=1, sort_keys=False) + "\n"
    if str(path) == "-":
        sys.stdout.write(text)
    else:
        pathlib.Path(path).write_text(text)


def checked(document):
    """What breaks the schema is the lab's own fault: it is said, and what was measured is kept."""
    problems = schema.problems(document)
    if problems:
        document["complete"] = False
        document["notes"].append("This document breaks the lab's own rules: " + "; ".join(problems[:5]))
    return document


def plan(lab, names):
    return [(script, script.steps()) for script in (ALL[name](lab) for name in names)]


def planned_seconds(plans):
    return sum(step.seconds for _, steps in plans for step in steps)


def plan_within(lab, names, seconds):
    """The plan of these scripts with as many of the peers as the time allows, in the order of the peers."""
    plans = plan(lab, names)
    while planned_seconds(plans) > seconds and lab.peers:
        name, _ = lab.peers.pop()
        lab.versions.pop(name, None)
        lab.missing[name] = "set up, and left out for want of time: without --quick, or with --peers, it takes part"
        plans = plan(lab, names)
    return plans


def execute(lab, plans, keep):
    """Runs scripts one after the other; `keep(document)` gets what each measured. True if it was interrupted."""
    lab.progress.plan([step.seconds for _, steps in plans for step in steps])
    done = 0
    for script, steps in plans:
        lab.progress.index = done
        interrupted = False
        try:
            script.execute(steps)
        except KeyboardInterrupt:
            interrupted = True
        done += len(steps)
        keep(checked(script.document()))
        if interrupted:
            return True
    return False


def one(name, arguments):
    script_class = ALL[name]
    command = script_class.command or f"benchmarks/{name}.sh"
    options = labs.parse(arguments, command, about(script_class), EPILOG, script_class.add_options)
    documents = []
    with Lab(options) as lab:
        interrupted = execute(lab, plan(lab, [name]), documents.append)
        lab.progress.done(name)
    for document in documents:
        if options.json:
            write_json(options.json, document)
        if options.json != "-":
            print(report.text(document))
        if script_class.keeps_report:
            keep_report(document, options)
    return INTERRUPTED if interrupted else (0 if documents[0]["complete"] else 1)


def keep_report(document, options):
    folder = pathlib.Path(options.report) if options.report else results_folder(options, document["script"])
    folder.mkdir(parents=True, exist_ok=True)
    report.write(folder, [document])
    write_json(folder / f"{document['script']}.json", document)
    print(folder / "report.html", file=sys.stderr if options.json == "-" else sys.stdout)


def everything(arguments):
    options = labs.parse(
        arguments,
        "./run_benchmarks.sh",
        "Runs every script of benchmarks/ and leaves benchmarks/results/RUN/ with their JSON, report.md "
        "and report.html.\nAll of it takes an hour with one peer and nearly three with eight; --quick less than 5 "
        "minutes.",
        EPILOG,
        lambda parser: parser.add_argument(
            "--scripts", type=labs.names(list(ALL)), metavar="NAME[,NAME...]", help=f"only these of {', '.join(ALL)}"
        ),
    )
    folder = results_folder(options)
    chosen = options.scripts or (QUICK if options.quick else list(ALL))
    documents = []

    def keep(document):
        documents.append(document)
        write_json(folder / f"{document['script']}.json", document)
        for line in report.headline(document):
            lab.progress.say(line)

    with Lab(options) as lab:
        in_time = QUICK_S if options.quick and options.peers is None else math.inf
        interrupted = execute(lab, plan_within(lab, chosen, in_time), keep)
        lab.progress.done("all scripts")
    report.write(folder, documents)
    if options.json:
        write_json(options.json, {"schema": "weir-lab-run/1", "documents": documents})
    print(f"{folder / 'report.html'}\n{folder / 'report.md'}")
    if interrupted:
        return INTERRUPTED
    return 0 if all(document["complete"] for document in documents) else 1


def results_folder(options, name=""):
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d-%H%M%S")
    folder = labs.RESULTS / (stamp + (f"-{name}" if name else "") + ("-quick" if options.quick else ""))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main(arguments):
    try:
        if arguments[0] == "run":
            return everything(arguments[1:])
        if arguments[0] == "trend":
            from . import trend

            return trend.main(arguments[1:])
        return one(arguments[0], arguments[1:])
    except Unfit as reason:
        print(f"benchmarks: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
