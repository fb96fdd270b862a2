"""A copy of the source that can be spoilt, built and tested. The source itself is only read."""

import dataclasses
import hashlib
import os
import pathlib
import subprocess
import time

import run_tests

OUTPUT_TAIL_LINES = 30


class Trouble(Exception):
    """Nothing can be said of the tests: the copy can't be configured or built."""


@dataclasses.dataclass
class Verdict:
    found_by: str = ""  # the first case that failed; empty if all passed
    took_s: float = 0


def write_if_changed(path, data):
    """Keeps the time of a file that stays the same, so that little is built again."""
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def copy_source(source, copy):
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=source,
                            check=True, stdout=subprocess.PIPE).stdout.decode().split("\0")
    files = {name for name in listed if name and (source / name).is_file()}
    for name in files:
        write_if_changed(copy / name, (source / name).read_bytes())
        (copy / name).chmod((source / name).stat().st_mode)
    for folder, folders, names in os.walk(copy):
        if pathlib.Path(folder) == copy and "build" in folders:
            folders.remove("build")
        for name in names:
            path = pathlib.Path(folder) / name
            if str(path.relative_to(copy)) not in files:
                path.unlink()


class Workshop:
    def __init__(self, source, folder, jobs):
        self.source = source
        self.tree = folder / "tree"
        self.build_dir = self.tree / "build" / "dev"
        self.scratch = folder / "scratch"
        self.jobs = jobs
        self.seconds = {}  # how long each test program takes on the unspoilt source
        self.sound = {}  # its digest there

    def prepare(self):
        copy_source(self.source, self.tree)
        self.scratch.mkdir(parents=True, exist_ok=True)
        self._call(["cmake", "--preset", "dev"], "can't be configured")

    def build(self, tests):
        command = ["cmake", "--build", str(self.build_dir), "--target", *tests]
        self._call(command + ([f"-j{self.jobs}"] if self.jobs else []), "does not compile")

    def _call(self, command, what):
        # One cache for all copies: what a path of this copy begins with makes no difference to a compiler's output.
        env = dict(os.environ, CCACHE_BASEDIR=str(self.tree), CCACHE_NOHASHDIR="1")
        done = subprocess.run(command, cwd=self.tree, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            lines = done.stdout.decode(errors="replace").splitlines()
            raise Trouble("\n".join([what, *lines[-OUTPUT_TAIL_LINES:]]))

    def run(self, test):
        """Runs one test program up to the first case that fails."""
        report = self.scratch / f"{test}.xml"
        report.unlink(missing_ok=True)
        env = run_tests.test_environment(self.build_dir)
        env.update(GTEST_OUTPUT=f"xml:{report}", GTEST_COLOR="no", GTEST_FAIL_FAST="1",
                   WEIR_SOURCE_DIR=str(self.tree))
        # Who waits for what a planted bug has lost need not be waited for long.
        bound_s = 10 + 5 * self.seconds[test] if test in self.seconds else 300
        began = time.monotonic()
        status, output = run_tests.execute([str(self.build_dir / test)], env, self.scratch, bound_s)
        took_s = time.monotonic() - began
        outcome = run_tests.count_gtest_xml(report) or run_tests.count_gtest_output(output)
        if status == 0 and not outcome.failures:
            if outcome.passed == 0:
                raise Trouble(f"{test} ran no test")
            return Verdict(took_s=took_s)
        first = outcome.failures[0].removesuffix(" (was running)") if outcome.failures else test
        if status is None or status < 0:
            first += f" ({run_tests.describe_status(status, bound_s)})"
        return Verdict(first)

    def digest(self, test):
        return hashlib.sha256((self.build_dir / test).read_bytes()).digest()

    def note_sound(self, test, took_s):
        self.seconds[test] = took_s
        self.sound[test] = self.digest(test)

    def is_sound(self, test):
        return self.digest(test) == self.sound[test]

    def read(self, name):
        return (self.tree / name).read_text()

    def write(self, name, text):
        """The object file goes, so that no clock is needed to see that it is outdated."""
        (self.tree / name).write_text(text)
        for stale in self.build_dir.glob(f"**/CMakeFiles/*.dir/{name}.o"):
            stale.unlink()
