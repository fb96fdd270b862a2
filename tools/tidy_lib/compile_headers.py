"""Compiles each header by itself. What passed is remembered below build/ under a hash of everything it was made of."""

import concurrent.futures
import hashlib
import os
import pathlib
import subprocess

from .tree import Problem

COMPILER = "clang++-19"


def flags_of(arguments):
    """The compiler's own flags of a compile command: without launcher, input, output and dependency files."""
    compiler = next(i for i, word in enumerate(arguments) if "clang" in os.path.basename(word))
    flags, skip = [], False
    for word in arguments[compiler + 1:]:
        if skip:
            skip = False
        elif word in ("-o", "-MF", "-MT", "-MQ"):
            skip = True
        elif word in ("-c", "-MD", "-MMD") or word.endswith((".cc", ".c")):
            continue
        else:
            flags.append(word)
    return flags


def nearest_command(header, commands):
    """The command of the source that shares the longest path with the header."""
    def common(source):
        return len(os.path.commonprefix([header, source]))
    return commands[max(sorted(commands), key=common)]


def closure_hashes(tree):
    """A function from a header's path to a hash of its text and of all project headers below it."""
    includes = {f.path: sorted({path for _, path in tree.includes(f)}) for f in tree.headers()}

    def digest(path):
        seen, waiting = set(), [path]
        while waiting:
            current = waiting.pop()
            if current not in seen:
                seen.add(current)
                waiting += includes.get(current, [])
        sha = hashlib.sha256()
        for name in sorted(seen):
            sha.update(name.encode() + b"\0" + tree.files[name].text.encode() + b"\0")
        return sha.hexdigest()

    return digest


def compile_one(tree, header, flags):
    result = subprocess.run([COMPILER, *flags, "-fsyntax-only", "-x", "c++", "-"], cwd=tree.root, text=True,
                            input=f'#include "{tree.root / header}"\n', capture_output=True)
    if result.returncode == 0:
        return None
    first = next((line for line in result.stderr.splitlines() if "error:" in line), result.stderr.strip()[:300])
    return Problem(header, 1, "header-alone",
                   "does not compile by itself. Include what it uses, so that the order of includes never matters: " +
                   first.replace(str(tree.root) + "/", ""))


def check_headers_alone(tree, commands, cache_folder):
    cache = pathlib.Path(cache_folder)
    cache.mkdir(parents=True, exist_ok=True)
    version = subprocess.run([COMPILER, "--version"], capture_output=True, text=True).stdout
    digest = closure_hashes(tree)
    due = []
    for file in tree.headers():
        flags = flags_of(nearest_command(file.path, commands))
        key = hashlib.sha256("\0".join([version, digest(file.path), *flags]).encode()).hexdigest()
        if not (cache / key).exists():
            due.append((file.path, flags, cache / key))

    def check(job):
        header, flags, remembered = job
        problem = compile_one(tree, header, flags)
        if problem is None:
            remembered.touch()
        return problem

    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return [problem for problem in pool.map(check, due) if problem is not None]
