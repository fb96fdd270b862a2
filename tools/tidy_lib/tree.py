"""The files under check, the problems found in them, and the layers that CMakeLists.txt declares."""

import dataclasses
import json
import pathlib
import re
import shlex
import subprocess

# Folders whose content is data, not text written by us.
DATA_FOLDERS = ("fuzz/corpus/", "benchmarks/results/")
TEXT_SUFFIXES = {".h", ".cc", ".py", ".sh", ".cmake", ".md", ".yaml", ".yml", ".json", ".txt", ".toml", ".js", ".css",
                 ".html", ""}
CODE_SUFFIXES = {".h", ".cc"}

# What a line must say so that a rule leaves it, or the line below it, alone.
ALLOW = re.compile(r"tidy: allow\(([a-z-]+)\): \S")


@dataclasses.dataclass(order=True)
class Problem:
    path: str
    line: int
    rule: str
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


class File:
    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.lines = text.split("\n")
        self.suffix = pathlib.PurePath(path).suffix

    @property
    def is_code(self):
        return self.suffix in CODE_SUFFIXES

    def allows(self, line, rule):
        """Whether a marker with a reason stands on this line (from 1) or right above it."""
        for candidate in self.lines[max(0, line - 2):line]:
            match = ALLOW.search(candidate)
            if match and match.group(1) == rule:
                return True
        return False


class Tree:
    """All text files of the project that are, or would be, committed."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.files = {}
        for path in self._list_paths():
            self._load(path)
        self.layers = Layers(self.files["CMakeLists.txt"].text if "CMakeLists.txt" in self.files else "")

    def _list_paths(self):
        command = ["git", "-C", str(self.root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, capture_output=True)
        if listed.returncode == 0:
            return sorted(set(listed.stdout.decode().split("\0")) - {""})
        skipped = {"build", "run", "__pycache__", ".git"}  # no repository: an unpacked archive
        paths = (p.relative_to(self.root) for p in self.root.rglob("*"))
        return sorted(str(p) for p in paths if not skipped & set(p.parts))

    def _load(self, path):
        full = self.root / path
        if path.startswith(DATA_FOLDERS) or full.suffix not in TEXT_SUFFIXES or not full.is_file() or full.is_symlink():
            return
        data = full.read_bytes()
        if b"\0" not in data and path != "LICENSE":
            self.files[path] = File(path, data.decode(errors="replace"))

    def code(self):
        return [f for f in self.files.values() if f.is_code]

    def headers(self):
        return [f for f in self.files.values() if f.suffix == ".h"]

    def includes(self, file):
        """(line, path) of what `file` includes of the project's own headers."""
        found = []
        for number, line in enumerate(file.lines, 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if match:
                found.append((number, self.resolve(file.path, match.group(1))))
        return [(number, path) for number, path in found if path is not None]

    def resolve(self, includer, name):
        for base in (pathlib.PurePath("src"), pathlib.PurePath(includer).parent, pathlib.PurePath("."),
                     pathlib.PurePath("test")):
            parts = []
            for part in (base / name).parts:
                if part == "..":
                    parts = parts[:-1]
                else:
                    parts.append(part)
            path = "/".join(parts)
            if path in self.files:
                return path
        return None


@dataclasses.dataclass
class Layer:
    name: str
    folder: str
    deps: list
    test_deps: list
    line: int
    order: int


class Layers:
    """What the weir_library(NAME FOLDER DEPS ...) lines of the root CMakeLists.txt say."""

    KEYWORDS = {"DEPS", "TEST_DEPS", "LABELS", "TEST_TIMEOUT_S"}

    def __init__(self, cmake_text):
        self.by_name = {}
        text = re.sub(r"#[^\n]*", "", cmake_text)
        for order, match in enumerate(re.finditer(r"weir_library\(([^)]*)\)", text)):
            words = match.group(1).split()
            lists = {"DEPS": [], "TEST_DEPS": []}
            keyword = None
            for word in words[2:]:
                if word in self.KEYWORDS:
                    keyword = word
                elif keyword in lists and word.startswith("weir::"):
                    lists[keyword].append(word.removeprefix("weir::"))
            line = text.count("\n", 0, match.start()) + 1
            self.by_name[words[0]] = Layer(words[0], words[1], lists["DEPS"], lists["TEST_DEPS"], line, order)

    def owner(self, path):
        """The layer in whose folder, or deepest enclosing folder, the file lies; None outside all of them."""
        fits = [layer for layer in self.by_name.values() if path.startswith(layer.folder + "/")]
        return max(fits, key=lambda layer: len(layer.folder), default=None)

    def visible(self, layer, with_test_deps=False):
        """Names of all layers that `layer` may include, itself among them."""
        seen = {layer.name}
        waiting = layer.deps + (layer.test_deps if with_test_deps else [])
        while waiting:
            name = waiting.pop()
            if name not in seen and name in self.by_name:
                seen.add(name)
                waiting = waiting + self.by_name[name].deps
        return seen


def read_compile_commands(path):
    """{source path relative to its root or absolute: list of arguments}"""
    commands = {}
    for entry in json.loads(pathlib.Path(path).read_text()):
        commands[entry["file"]] = shlex.split(entry["command"])
    return commands
