"""The rules that need no compiler. Each takes the tree and yields problems; each message says what to do and why."""

import re

from . import cpp
from .tree import Problem

FILE_LINES_MAX = 1000
FUNCTION_LINES_MAX = 70
LINE_LENGTH_MAX = 120
LINE_LENGTH_SUFFIXES = {".h", ".cc", ".py", ".sh", ".cmake", ".yaml", ""}

TABLE = re.compile(r"tidy: table\b(.*)")


def marked_as_table(file, first_line, last_line):
    """Whether one of these lines (from 1) has a `tidy: table` marker with a reason."""
    for line in file.lines[max(0, first_line - 1):last_line]:
        match = TABLE.search(line)
        if match and match.group(1).strip(" :-*/"):
            return True
    return False


def check_text(tree):
    for file in tree.files.values():
        if not file.text:
            continue
        if not file.text.endswith("\n"):
            yield Problem(file.path, len(file.lines), "final-newline",
                          "the last line has no line end. Add one: tools that join files would join it to the next.")
        if file.text.endswith("\n\n"):
            yield Problem(file.path, len(file.lines) - 1, "final-newline", "empty lines at the end. Remove them.")
        for number, line in enumerate(file.lines, 1):
            if line != line.rstrip() and file.suffix != ".md":
                yield Problem(file.path, number, "trailing-space",
                              "white space at the end of the line. Remove it: it makes changes that say nothing.")
            if len(line) > LINE_LENGTH_MAX and file.suffix in LINE_LENGTH_SUFFIXES and not file.allows(
                    number, "line-length"):
                yield Problem(file.path, number, "line-length",
                              f"{len(line)} columns, at most {LINE_LENGTH_MAX}. Break it, so that two files fit side "
                              "by side.")


UNFINISHED = re.compile(r"\b(TOD[O]|FIXM[E]|XX[X])\b|\b[Ff]or no[w]\b")
MACHINE_PATH = re.compile(r"(?<![\w./*-])/(home|Users|root|work|workspace)/[\w.-]+")


def check_words(tree):
    for file in tree.files.values():
        for number, line in enumerate(file.lines, 1):
            match = UNFINISHED.search(line)
            if match and not file.allows(number, "unfinished"):
                yield Problem(file.path, number, "unfinished",
                              f"'{match.group(0)}': finish it now, refuse the case clearly, or open an issue. A note "
                              "in the code is read by nobody who plans.")
            match = MACHINE_PATH.search(line)
            if match and not file.allows(number, "machine-path"):
                yield Problem(file.path, number, "machine-path",
                              f"'{match.group(0)}' exists on one machine only. Make it relative to the project's root, "
                              "or take it from an argument.")


def check_size(tree):
    for file in tree.code():
        count = len(file.lines) - 1
        if count > FILE_LINES_MAX and not marked_as_table(file, 1, 10):
            yield Problem(file.path, FILE_LINES_MAX + 1, "file-length",
                          f"{count} lines, at most {FILE_LINES_MAX} (most files have 100 to 300). Take a part with a "
                          "name of its own into a file of its own; a generated or plain table says "
                          "`// tidy: table REASON` at its top.")
        for function in cpp.functions(file.text):
            if function.body_lines <= FUNCTION_LINES_MAX:
                continue
            if marked_as_table(file, function.head_line - 1, function.open_line + 1):
                continue
            yield Problem(file.path, function.head_line, "function-length",
                          f"{function.name} has {function.body_lines} lines, at most {FUNCTION_LINES_MAX}: what is "
                          "longer can't be seen at once. Name its steps and make them functions; a table or a "
                          "tokeniser says `// tidy: table REASON` above it.")


def check_headers(tree):
    for file in tree.headers():
        code = cpp.blank(file.text)
        if not re.search(r"^#pragma once$", file.text, re.M):
            yield Problem(file.path, 1, "pragma-once",
                          "no `#pragma once`. Make it the first line: a header that comes in twice must count once.")
        for number, line in enumerate(code.split("\n"), 1):
            match = re.search(r"\busing\s+namespace\s+([\w:]+)", line)
            if match and not match.group(1).endswith("_literals"):
                yield Problem(file.path, number, "using-namespace",
                              f"`using namespace {match.group(1)}` in a header changes what names mean in every file "
                              "that includes it. Write the names out, or alias the one you need.")


def check_layers(tree):
    layers = tree.layers
    for layer in layers.by_name.values():
        for name in layer.deps:
            if name in layers.by_name and layers.by_name[name].order > layer.order:
                yield Problem("CMakeLists.txt", layer.line, "layers",
                              f"{layer.name} links {name}, which stands below it in the list: the list goes from the "
                              "lowest layer to the highest, so that no circle can arise. Move what both need into a "
                              "lower one.")
    for file in tree.code():
        if not file.path.startswith("src/"):
            continue
        layer = layers.owner(file.path)
        if layer is None:
            continue  # check_dead says so
        beside = re.search(r"_(test|fuzz|bench)\.cc$", file.path) is not None
        visible = layers.visible(layer, with_test_deps=beside)
        for number, path in tree.includes(file):
            target = layers.owner(path)
            if target is not None and target.name in visible or file.allows(number, "layers"):
                continue
            where = f"{target.folder} ({target.name})" if target else path.rsplit("/", 1)[0]
            yield Problem(file.path, number, "layers",
                          f"{layer.folder} may not see {where}. Includes go downwards (docs/adr/001-layers.md): pass "
                          f"in an interface that a lower folder declares, or, if the edge is right, add it to "
                          f"{layer.name}'s DEPS in CMakeLists.txt.")


# (pattern, what to do instead)
CLOCK = "Take the time from the runtime::Clock that is passed in: what reads a clock of its own can't be simulated."
NETWORK = "Only src/net talks to the kernel's sockets; go through its interface, or the simulated engine won't see it."
SLEEP = "Nothing sleeps: on a worker it stalls every connection, in a test it is slow and races. Wait for the event."
RANDOM = "Take the Rng that is passed in: one seed must replay everything."
BANNED = [
    (r"\b(?:steady|system|high_resolution)_clock::now\b", CLOCK),
    (r"\b(?:clock_gettime|gettimeofday)\s*\(|(?<![\w.>])(?:std::)?time\s*\(\s*(?:nullptr|NULL|0)\s*\)", CLOCK),
    (r"(?<![\w.>:])(?:::|std::)?s?rand\s*\(", RANDOM),
    (r"\brandom_device\b|(?<![\w.>])(?:::)?getrandom\s*\(", RANDOM),
    (r"(?<![\w>])::(?:socket|socketpair|connect|send|sendto|sendmsg|recv|recvfrom|recvmsg|accept4?|bind|listen|"
     r"shutdown|[gs]etsockopt|getaddrinfo|splice)\s*\(", NETWORK),
    (r"(?<![\w.>:])socket\s*\(\s*(?:AF|PF)_|(?<![\w.>:])getaddrinfo\s*\(", NETWORK),
    (r"\bepoll_(?:create1?|ctl|p?wait2?)\b|<sys/epoll\.h>", NETWORK),
    (r"\bsleep_(?:for|until)\b|(?<![\w.>:])(?:::)?(?:usleep|nanosleep|sleep)\s*\(", SLEEP),
]
MAY_CALL_ALL = ("src/net/", "src/runtime/")
# Programs and the tests that drive real processes live in real time on real sockets.
MAY_USE_CLOCK_AND_NETWORK = ("apps/", "test/", "bench/", "benchmarks/")
MAY_SLEEP = ("apps/", "test/integration/", "test/fault/", "test/soak/", "benchmarks/")


def is_banned_in(path, reason):
    if path.startswith(MAY_CALL_ALL):
        return False
    if reason in (CLOCK, NETWORK):
        return not path.startswith(MAY_USE_CLOCK_AND_NETWORK)
    if reason == SLEEP:
        return not path.startswith(MAY_SLEEP)
    return not (reason == RANDOM and path.startswith("apps/"))


def check_banned_calls(tree):
    compiled = [(re.compile(pattern), reason) for pattern, reason in BANNED]
    for file in tree.code():
        for number, line in enumerate(cpp.blank(file.text).split("\n"), 1):
            for pattern, reason in compiled:
                match = pattern.search(line)
                if match and is_banned_in(file.path, reason) and not file.allows(number, "banned-call"):
                    yield Problem(file.path, number, "banned-call", f"'{match.group(0).strip()}'. {reason}")


def check_dead(tree, built):
    """`built` holds the sources that the development build compiles, as paths from the root."""
    cmake_text = "".join(f.text for f in tree.files.values() if f.path.endswith("CMakeLists.txt"))
    used = set()
    for file in tree.code():
        stem = re.sub(r"(_test|_fuzz|_bench)?\.(cc|h)$", "", file.path)
        used.update(path for _, path in tree.includes(file) if path.removesuffix(".h") != stem)
    for file in tree.code():
        layer = tree.layers.owner(file.path)
        in_layer = layer is not None and file.path.rsplit("/", 1)[0] == layer.folder
        if file.suffix == ".h" and file.path not in used and not file.allows(1, "dead-file"):
            yield Problem(file.path, 1, "dead-file",
                          "nobody but its own source and test includes this header. Remove it, or use it where it was "
                          "meant for.")
        elif file.suffix == ".cc" and file.path not in built:
            if in_layer and file.path.endswith("_fuzz.cc") or file.path.rsplit("/", 1)[-1] in cmake_text:
                continue  # a fuzz target, or built under another preset
            yield Problem(file.path, 1, "dead-file",
                          "no target compiles it. Add its folder to CMakeLists.txt (weir_library) or remove the file: "
                          "what is not built rots.")


CASE = {".cc": re.compile(r"^TEST(?:_F|_P)?\(\w+,\s*Case(\d{3})", re.M),
        ".py": re.compile(r"^ *def test_case_?(\d{3})", re.M)}


def check_case_numbers(tree):
    taken = {}
    for file in tree.files.values():
        if not file.path.endswith(("_test.cc", "_test.py")):
            continue
        for match in CASE[file.suffix].finditer(file.text):
            case = match.group(1)
            line = file.text.count("\n", 0, match.start()) + 1
            first = taken.setdefault(case, (file.path, line))
            if first != (file.path, line):
                yield Problem(file.path, line, "case-number",
                              f"case {case} is {first[0]}:{first[1]} already. Give the newer one the next free number: "
                              "a number says which bug is meant.")


def check_all(tree, built):
    for check in (check_text, check_words, check_size, check_headers, check_layers, check_banned_calls,
                  check_case_numbers):
        yield from check(tree)
    yield from check_dead(tree, built)
