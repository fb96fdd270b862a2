"""Just enough of C++ to find functions and calls: a heuristic reader, no compiler."""

import dataclasses
import re

_TOKENS = re.compile(
    r"""//[^\n]*
      | /\*.*?\*/
      | R"(?P<delimiter>[^()\s\\"]{0,16})\(.*?\)(?P=delimiter)"
      | "(?:\\.|[^"\\\n])*"
      | (?<![\w.])\d[\w.']*
      | '(?:\\.|[^'\\\n])+'
    """, re.S | re.X)


def blank(text):
    """The text without comments and without what stands in string and character literals; lines keep their numbers."""

    def replace(match):
        token = match.group(0)
        if token[0].isdigit():
            return token
        newlines = "\n" * token.count("\n")
        if token[0] == "/":
            return " " + newlines
        return token[0].replace("R", '"') + newlines + ("'" if token[0] == "'" else '"')

    return _TOKENS.sub(replace, text)


def without_preprocessor(blanked):
    """Directives with their continuation lines become empty lines: braces in macros need not balance."""
    lines, continued = [], False
    for line in blanked.split("\n"):
        directive = continued or line.lstrip().startswith("#")
        continued = directive and line.endswith("\\")
        lines.append("" if directive else line)
    return "\n".join(lines)


@dataclasses.dataclass
class Function:
    name: str
    head_line: int   # where its declaration starts, from 1
    open_line: int   # of its {
    close_line: int  # of its }

    @property
    def body_lines(self):
        return max(0, self.close_line - self.open_line - 1)


_SCOPE = re.compile(r"(^|[\s;>\]])(namespace|class|struct|union|enum|extern)\b")


def _opens_scope(head):
    head = re.sub(r"alignas\s*\([^)]*\)|\[\[.*?\]\]", "", head)
    return bool(_SCOPE.search(head)) and "(" not in _SCOPE.split(head, 1)[-1]  # `struct X f() {` is a function


def _opens_function(head):
    text = head.strip()
    if not text or text[0] in ":,":
        return not text or ")" in text  # what follows the braces of a constructor's initialisers
    return ")" in text and not re.search(r"(=|\breturn|[,(\[])$", text)


def functions(text):
    """Function bodies at namespace or class scope, lambdas and local classes included in the one around them."""
    code = without_preprocessor(blank(text))
    found, stack = [], []  # stack: (kind, head line, name, line of the brace)
    head_start = 0
    inside = 0             # how many braces of a function, or of an initialiser, are open
    line = 1
    for position, character in enumerate(code):
        if character == "\n":
            line += 1
        elif character == "{":
            head = code[head_start:position]
            if inside:
                kind = "block"
            elif _opens_scope(head):
                kind = "scope"
            else:
                kind = "function" if _opens_function(head) else "initialiser"
            if kind != "scope":
                inside += 1
            head_line = line - head.lstrip().count("\n")
            stack.append((kind, head_line, _name(head), line))
            head_start = position + 1
        elif character == "}" and stack:
            kind, head_line, name, open_line = stack.pop()
            if kind != "scope":
                inside -= 1
            if kind == "function":
                found.append(Function(name, head_line, open_line, line))
            head_start = position + 1
        elif character == ";" and not inside:
            head_start = position + 1
    return found


def _name(head):
    names = re.findall(r"([~\w:]+|operator\s*\S+?)\s*\(", head)
    return names[0] if names else "(constructor)"
