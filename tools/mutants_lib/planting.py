"""Finds the place of a planted bug in the source, and puts the bug there."""

import re


class WrongEdit(Exception):
    """A bug's `old` does not stand in its file exactly once."""


def pattern_of(snippet):
    """Matches the snippet however it is broken into lines and indented."""
    return re.compile(r"\s+".join(re.escape(word) for word in snippet.split()))


def plant(bug, text):
    """`text` with the bug in it."""
    found = list(pattern_of(bug.old).finditer(text))
    if len(found) != 1:
        raise WrongEdit(f"{bug.name}: {bug.file} has its text {len(found)} times instead of once:\n    {bug.old}\n"
                        "  Bring its definition in tools/mutants_lib/bugs.py up to date with the code.")
    return text[:found[0].start()] + bug.new + text[found[0].end():]


def check(bugs, root):
    """What is wrong with the definitions, as a list of texts."""
    problems = []
    names = [bug.name for bug in bugs]
    problems += [f"{name}: there are two of that name" for name in sorted({n for n in names if names.count(n) > 1})]
    for bug in bugs:
        path = root / bug.file
        if not path.exists():
            problems.append(f"{bug.name}: there is no {bug.file}")
        elif not bug.tests:
            problems.append(f"{bug.name}: it names no test program")
        else:
            try:
                plant(bug, path.read_text())
            except WrongEdit as wrong:
                problems.append(str(wrong))
    return problems
