#!/usr/bin/env python3
"""Runs the test programs of a build folder, each within a time bound, and counts their single cases.

  run BUILD_DIR [--label L]... [--without L]...   run those that have one of the labels and none of the unwanted ones
  list BUILD_DIR [--label L]... [--without L]...  print their build targets
  scripts FILE...                                 run Python unittest programs
  sum RESULTS_DIR                                 add up what the runs left there; ends with `N passed, M failed`

The programs of a build folder stand in its tests.txt, which cmake/WeirBuild.cmake writes.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
TAIL_LINES = 60


@dataclasses.dataclass
class Program:
    name: str
    kind: str  # gtest, python or fuzz
    path: str
    labels: set
    timeout_s: float


@dataclasses.dataclass
class Outcome:
    passed: int = 0
    skipped: int = 0
    failures: list = dataclasses.field(default_factory=list)
    output: str = ""

    def add(self, other):
        self.passed += other.passed
        self.skipped += other.skipped
        self.failures += other.failures


def read_manifest(build_dir):
    manifest = pathlib.Path(build_dir) / "tests.txt"
    if not manifest.exists():
        sys.exit(f"run_tests: {manifest} is missing: configure that folder first (cmake --preset NAME)")
    programs = []
    for line in manifest.read_text().splitlines():
        if line:
            name, kind, path, labels, timeout_s = line.split("|")
            programs.append(Program(name, kind, path, set(filter(None, labels.split(","))), float(timeout_s)))
    return programs


def select(programs, wanted, unwanted):
    return [p for p in programs if not p.labels & set(unwanted) and (not wanted or p.labels & set(wanted))]


def count_gtest_xml(path):
    """The counts of a GoogleTest report; None if the program did not live to write one."""
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
    except (OSError, xml.etree.ElementTree.ParseError):
        return None
    outcome = Outcome()
    for case in root.iter("testcase"):
        if case.find("failure") is not None:
            outcome.failures.append(f"{case.get('classname')}.{case.get('name')}")
        elif case.get("status") == "notrun" or case.get("result") == "skipped" or case.find("skipped") is not None:
            outcome.skipped += 1
        else:
            outcome.passed += 1
    return outcome


def count_gtest_output(output):
    """For a program that died: what it had finished, and the case it was in."""
    outcome = Outcome(passed=len(re.findall(r"^\[       OK \] \S+ \(", output, re.M)))
    outcome.failures = sorted(set(re.findall(r"^\[  FAILED  \] (\S+?),? .*\(\d+ ms\)$", output, re.M)))
    started = re.findall(r"^\[ RUN      \] (\S+)", output, re.M)
    if started:
        outcome.failures.append(f"{started[-1]} (was running)")
    return outcome


def count_unittest_output(output):
    outcome = Outcome(failures=re.findall(r"^(?:FAIL|ERROR): (.+)$", output, re.M))
    ran = re.search(r"^Ran (\d+) tests? in ", output, re.M)
    if ran:
        skipped = re.search(r"^(?:OK|FAILED) \(.*skipped=(\d+)", output, re.M)
        outcome.skipped = int(skipped.group(1)) if skipped else 0
        outcome.passed = max(0, int(ran.group(1)) - outcome.skipped - len(outcome.failures))
    return outcome


def fuzz_command(program, scratch, seconds):
    """New inputs go below the build folder; the committed corpus is only read."""
    corpus = scratch / "corpus"
    corpus.mkdir(exist_ok=True)
    command = [program.path, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
               f"-artifact_prefix={scratch}/", str(corpus)]
    seeds = ROOT / "fuzz" / "corpus" / program.name
    dictionary = ROOT / "fuzz" / f"{program.name}.dict"
    if seeds.is_dir():
        command.append(str(seeds))
    if dictionary.exists():
        command.insert(1, f"-dict={dictionary}")
    return command


def test_environment(binaries):
    env = dict(os.environ)
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    env["WEIR_SOURCE_DIR"] = str(ROOT)
    if binaries:
        env["WEIR_BINARIES"] = str(pathlib.Path(binaries).resolve())
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    env.setdefault("TSAN_OPTIONS", "halt_on_error=1:second_deadlock_stack=1")
    symbolizer = shutil.which("llvm-symbolizer-19")
    if symbolizer:
        for name in ("ASAN", "UBSAN", "TSAN"):
            env.setdefault(f"{name}_SYMBOLIZER_PATH", symbolizer)
    return env


def execute(command, env, cwd, timeout_s):
    """Runs a program in a session of its own and ends what it leaves behind. Returns (exit status or None, output)."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            status = process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        output.seek(0)
        return status, output.read().decode(errors="replace")


def describe_status(status, timeout_s):
    if status is None:
        return f"did not end within {timeout_s:.0f} s"
    if status < 0:
        return f"was killed by signal {-status}"
    return f"ended with status {status}"


def run_program(program, build_dir, env, timeout_factor, fuzz_seconds):
    if not os.path.exists(program.path):
        return Outcome(failures=[f"{program.name}: {program.path} has not been built"])
    scratch = pathlib.Path(build_dir).resolve() / "test-scratch" / program.name
    if program.kind != "fuzz":
        shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True, exist_ok=True)
    report = scratch / "gtest-report.xml"
    command, timeout_s = [program.path], program.timeout_s * timeout_factor
    if program.kind == "python":
        # Debian's own, if it is there: that one has the modules that tools/setup installs.
        own = pathlib.Path("/usr/bin/python3")
        command = [str(own) if own.exists() else sys.executable, program.path]
    elif program.kind == "fuzz":
        command, timeout_s = fuzz_command(program, scratch, fuzz_seconds), fuzz_seconds + 60
    elif program.kind == "gtest":
        env = dict(env, GTEST_OUTPUT=f"xml:{report}", GTEST_COLOR="no")
    status, output = execute(command, env, scratch, timeout_s)
    outcome = count_cases(program, status, output, report)
    if status != 0 and (status is None or status < 0 or not outcome.failures):
        outcome.failures.append(f"the program {describe_status(status, timeout_s)}")
    if outcome.passed + outcome.skipped + len(outcome.failures) == 0:
        outcome.failures.append("the program ran no test")
    outcome.failures = [f"{program.name}: {failure}" for failure in outcome.failures]
    outcome.output = output
    return outcome


def count_cases(program, status, output, report):
    if program.kind == "gtest":
        return count_gtest_xml(report) or count_gtest_output(output)
    if program.kind == "python":
        return count_unittest_output(output)
    return Outcome(passed=1 if status == 0 else 0)


def print_failure(name, outcome):
    lines = outcome.output.splitlines()
    print(f"--- {name}: last lines of its output")
    print("\n".join(lines[-TAIL_LINES:]))
    print(f"--- {name} failed")


def run_all(programs, build_dir, args):
    env = test_environment(args.binaries or build_dir)
    total = Outcome()

    def run_one(program):
        started = time.monotonic()
        outcome = run_program(program, build_dir, env, args.timeout_factor, args.fuzz_seconds)
        return program, outcome, time.monotonic() - started

    def record(program, outcome, seconds):
        total.add(outcome)
        print(f"{program.name}: {outcome.passed} passed, {len(outcome.failures)} failed, {outcome.skipped} skipped, "
              f"{seconds:.1f} s", flush=True)
        if outcome.failures:
            print_failure(program.name, outcome)

    with concurrent.futures.ThreadPoolExecutor(max_workers=args.jobs) as pool:
        for done in concurrent.futures.as_completed(
                [pool.submit(run_one, p) for p in programs if "serial" not in p.labels]):
            record(*done.result())
    for program in programs:
        if "serial" in program.labels:
            record(*run_one(program))
    return total


def finish(total, result_path):
    if result_path:
        pathlib.Path(result_path).write_text(json.dumps(
            {"passed": total.passed, "skipped": total.skipped, "failures": total.failures}))
    skipped = f", {total.skipped} skipped" if total.skipped else ""
    print(f"{total.passed} passed, {len(total.failures)} failed{skipped}")
    return 1 if total.failures else 0


def add_up(results_dir):
    total = Outcome()
    for path in sorted(pathlib.Path(results_dir).glob("*.json")):
        part = json.loads(path.read_text())
        total.add(Outcome(part["passed"], part.get("skipped", 0), part["failures"]))
    if total.passed == 0 and not total.failures:
        total.failures.append("no test ran")
    for failure in total.failures:
        print(f"failed: {failure}")
    print(f"{total.passed} passed, {len(total.failures)} failed")
    return 1 if total.failures else 0


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("run", "list", "scripts"):
        command = commands.add_parser(name)
        if name == "scripts":
            command.add_argument("files", nargs="+")
        else:
            command.add_argument("build_dir")
            command.add_argument("--label", action="append", default=[])
            command.add_argument("--without", action="append", default=[])
        command.add_argument("--binaries", help="where weir and weir-backend are; the build folder unless given")
        command.add_argument("--jobs", type=int, default=2)
        command.add_argument("--timeout-factor", type=float, default=1)
        command.add_argument("--fuzz-seconds", type=int, default=10)
        command.add_argument("--result", help="file to write the counts to, as JSON")
    commands.add_parser("sum").add_argument("results_dir")
    return parser.parse_args(argv)


def main(argv):
    args = parse_arguments(argv)
    if args.command == "sum":
        return add_up(args.results_dir)
    if args.command == "scripts":
        programs = [Program(pathlib.Path(f).name, "python", str(pathlib.Path(f).resolve()), set(), 300)
                    for f in args.files]
        return finish(run_all(programs, ROOT / "build", args), args.result)
    programs = select(read_manifest(args.build_dir), args.label, args.without)
    if args.command == "list":
        for program in programs:
            if program.kind != "python":
                print(program.name)
        return 0
    return finish(run_all(programs, args.build_dir, args), args.result)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
