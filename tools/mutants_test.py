#!/usr/bin/env python3
"""Checks tools/mutants: that its bugs still fit the source, and with stand-ins for compiler and tests that it tells a
bug that was found from one that was missed."""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap
import unittest
from unittest import mock

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from mutants_lib import planting  # noqa: E402  (the path comes first)
from mutants_lib.bugs import BUGS, Bug  # noqa: E402


def load_script():
    loader = importlib.machinery.SourceFileLoader("mutants", str(ROOT / "tools" / "mutants"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("mutants", loader))
    loader.exec_module(module)
    return module


# Stands for cmake: what it builds is the source itself, a program that behaves as a GoogleTest program does.
CMAKE = """\
    #!/bin/sh
    if [ "$1" = --preset ]; then mkdir -p build/dev; exit 0; fi
    grep -q 'syntax error' src/sum.sh && { echo 'src/sum.sh: syntax error'; exit 1; }
    cp src/sum.sh "$2/sum_test"
    chmod +x "$2/sum_test"
"""

PROGRAM = """\
    #!/bin/sh
    three=$((1 + 2))
    unused=0
    [ $three = 3 ] || failure='<failure/>'
    echo "<a><testcase classname='Sum' name='IsThree' status='run'>$failure</testcase></a>" > "${GTEST_OUTPUT#xml:}"
    [ -z "$failure" ]
"""


def bug(name, old, new):
    return Bug(name, "a wrong sum", "src/sum.sh", old, new, ("sum_test",))


class Definitions(unittest.TestCase):
    def test_fit_the_source(self):
        self.assertEqual(planting.check(BUGS, ROOT), [])

    def test_are_enough(self):
        self.assertGreaterEqual(len(BUGS), 20)

    def test_name_programs_that_are_built(self):
        libraries = re.findall(r"weir_library\((\w+)", (ROOT / "CMakeLists.txt").read_text())
        programs = {f"{name}_test" for name in libraries}
        programs |= set(re.findall(r"weir_test\((\w+)", (ROOT / "test" / "CMakeLists.txt").read_text()))
        for one in BUGS:
            self.assertLessEqual(set(one.tests), programs, one.name)


class Planting(unittest.TestCase):
    def test_formatting_makes_no_difference(self):
        text = "{\n  a(b);\n    c(d);\n}\n"
        self.assertEqual(planting.plant(bug("x", "a(b); c(d);", "c(d);"), text), "{\n  c(d);\n}\n")

    def test_the_place_must_be_there_once(self):
        for text in ("nothing", "a b a b"):
            with self.assertRaises(planting.WrongEdit):
                planting.plant(bug("x", "a b", "c"), text)

    def test_wrong_definitions_are_named(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "src").mkdir()
            (root / "src" / "sum.sh").write_text("a")
            problems = planting.check([bug("same", "a", "b"), bug("same", "a", "b"), bug("gone", "z", "b"),
                                       Bug("lost", "", "src/none.cc", "a", "b", ("t",)),
                                       Bug("untested", "", "src/sum.sh", "a", "b", ())], root)
        self.assertEqual([problem.split(":")[0] for problem in problems], ["same", "gone", "lost", "untested"])


class Script(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name) / "source"
        (self.root / "src").mkdir(parents=True)
        (self.root / "src" / "sum.sh").write_text(textwrap.dedent(PROGRAM))
        (self.root / ".gitignore").write_text("/build/\n")
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)
        cmake = pathlib.Path(folder.name) / "bin" / "cmake"
        cmake.parent.mkdir()
        cmake.write_text(textwrap.dedent(CMAKE))
        cmake.chmod(0o755)
        self.path = f"{cmake.parent}:{os.environ['PATH']}"

    def run_script(self, bugs, *arguments):
        script = load_script()
        output, errors = io.StringIO(), io.StringIO()
        with mock.patch.dict(os.environ, PATH=self.path), mock.patch.object(script, "TOOLS", self.root / "tools"), \
                mock.patch.object(script.definitions, "BUGS", tuple(bugs)), \
                contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            try:
                status = script.main(list(arguments))
            except SystemExit as stop:
                status = stop.code
        return status, output.getvalue() + errors.getvalue()

    def test_found_bugs(self):
        before = (self.root / "src" / "sum.sh").read_text()
        status, output = self.run_script([bug("minus", "1 + 2", "1 - 2"), bug("more", "1 + 2", "1 + 3")])
        self.assertIn("found  minus  by Sum.IsThree", output)
        self.assertTrue(output.endswith("2 of 2 planted bugs found\n"), output)
        self.assertEqual(status, 0)
        self.assertEqual((self.root / "src" / "sum.sh").read_text(), before)
        self.assertEqual((self.root / "build/mutants/tree/src/sum.sh").read_text(), before)

    def test_a_missed_bug_fails_and_the_next_is_planted_alone(self):
        status, output = self.run_script([bug("minus", "1 + 2", "1 - 2"), bug("unnoticed", "unused=0", "unused=1")])
        self.assertIn("MISSED unnoticed: a wrong sum; no test of sum_test noticed", output)
        self.assertTrue(output.endswith("1 of 2 planted bugs found\n"), output)
        self.assertEqual(status, 1)

    def test_what_does_not_compile_is_not_found(self):
        status, output = self.run_script([bug("broken", "unused=0", "syntax error")])
        self.assertRegex(output, r"BROKEN broken: does not compile .*\nsrc/sum.sh: syntax error\n")
        self.assertEqual(status, 1)

    def test_an_edit_that_changes_nothing_is_not_found(self):
        status, output = self.run_script([bug("same", "unused=0", "unused=0")])
        self.assertIn("BROKEN same: it makes no difference to sum_test", output)
        self.assertEqual(status, 1)

    def test_a_bug_that_stays_is_noticed(self):
        marker = self.root / "left"
        cmake = pathlib.Path(self.path.split(":")[0]) / "cmake"
        cmake.write_text(cmake.read_text() + f"grep -q '1 - 2' src/sum.sh && touch {marker}\n"
                         f"[ -e {marker} ] && echo '# left' >> \"$2/sum_test\"\ntrue\n")
        status, output = self.run_script([bug("minus", "1 + 2", "1 - 2")])
        self.assertIn("a planted bug was left in sum_test", output)
        self.assertEqual(status, 1)

    def test_a_crash_counts_and_says_where(self):
        crash = bug("crash", "three=$((1 + 2))", "echo '[ RUN      ] Sum.Dies'; kill -SEGV $$")
        status, output = self.run_script([crash])
        self.assertIn("found  crash  by Sum.Dies (was killed by signal 11)", output)
        self.assertEqual(status, 0)

    def test_tests_that_fail_anyway_prove_nothing(self):
        path = self.root / "src" / "sum.sh"
        path.write_text(path.read_text().replace("1 + 2", "2 + 2"))
        status, output = self.run_script([bug("minus", "2 + 2", "1 - 2")])
        self.assertIn("Sum.IsThree fails without any bug planted", output)
        self.assertEqual(status, 1)

    def test_a_definition_that_does_not_fit_is_an_error(self):
        status, output = self.run_script([bug("gone", "no such text", "")])
        self.assertIn("src/sum.sh has its text 0 times instead of once", output)
        self.assertEqual(status, 1)

    def test_files_that_are_gone_go_from_the_copy(self):
        bugs = [bug("minus", "1 + 2", "1 - 2")]
        extra = self.root / "src" / "extra.sh"
        extra.write_text("x")
        self.run_script(bugs)
        copied = self.root / "build/mutants/tree/src/extra.sh"
        self.assertTrue(copied.exists())
        extra.unlink()
        self.run_script(bugs)
        self.assertFalse(copied.exists())

    def test_arguments(self):
        bugs = [bug("minus", "1 + 2", "1 - 2"), bug("unnoticed", "unused=0", "unused=1")]
        status, output = self.run_script(bugs, "--only", "minus")
        self.assertTrue(output.endswith("1 of 1 planted bugs found\n"), output)
        self.assertEqual(status, 0)
        status, output = self.run_script(bugs, "--list")
        self.assertEqual((status, [line.split()[0] for line in output.splitlines()]), (0, ["minus", "unnoticed"]))
        self.assertEqual(self.run_script(bugs, "--only", "minsu")[0], 2)
        self.assertEqual(self.run_script(bugs, "--nonsense")[0], 2)


if __name__ == "__main__":
    unittest.main()
