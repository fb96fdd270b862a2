"""Reports from documents: text for the terminal, report.md, report.html that needs nothing from outside."""

import html
import json

from . import figures
from .script import TITLES
from .targets import FLOORS

MARK = {"better": "▲", "worse": "▼", "tie": "=", "": ""}


def title_of(target):
    return TITLES.get(target, target)


def parts(document):
    """{part: {"settings": [...], "names": [(name, unit, better)], "targets": [...]}} in order of appearance."""
    found = {}
    for one in document["figures"]:
        part = found.setdefault(one["part"], {"settings": [], "names": [], "targets": [], "cells": {}})
        for key, value in (
            ("settings", one["setting"]),
            ("names", (one["name"], one["unit"], one["better"])),
            ("targets", one["target"]),
        ):
            if value not in part[key]:
                part[key].append(value)
        part["cells"][one["target"], one["setting"], one["name"]] = one
    for part in found.values():
        order = {name: at for at, name in enumerate(FLOORS)}
        part["targets"].sort(key=lambda name: order.get(name, len(order)))  # the machine's limits come first
    return found


def best_peer(part, setting, name, better):
    peers = [
        part["cells"].get((target, setting, name))
        for target in part["targets"]
        if target not in FLOORS and target != "weir"
    ]
    return figures.best_of([one for one in peers if one], better)


def cell(figure, short=False):
    if figure is None:
        return ""
    if figure["median"] is None:
        return "void: " + ", ".join(one["reason"] for one in figure["void"])
    text = figures.number(figure["median"])
    if len(figure["samples"]) > 1 and not short:
        text += f" [{figures.number(figure['low'])}..{figures.number(figure['high'])}]"
    thrown = sum(one["slices"] for one in figure["void"])
    if thrown and not short:
        text += f" ({thrown} void)"
    if figure["note"] and not short:
        text += f" ({figure['note']})"
    return text


def tables(document):
    """[(title, header, rows)]: one table for each part and setting, targets down, figures across."""
    made = []
    for name, part in parts(document).items():
        for setting in part["settings"]:
            names = [
                one for one in part["names"] if any((t, setting, one[0]) in part["cells"] for t in part["targets"])
            ]
            header = [""] + [f"{n}, {u}" if u and u != n else n for n, u, _ in names]
            rows = []
            for target in part["targets"]:
                if any((target, setting, n) in part["cells"] for n, _, _ in names):
                    rows.append(
                        [title_of(target)] + [cell(part["cells"].get((target, setting, n))) for n, _, _ in names]
                    )
            compared = comparison(part, setting, names)
            if compared:
                rows.append(compared)
            made.append((", ".join(filter(None, (name, setting))), header, rows))
    return made


def comparison(part, setting, names):
    """The row that sets Weir against the best peer, as ratio with its spread."""
    row = ["Weir to the best peer"]
    for name, _, better in names:
        ours = part["cells"].get(("weir", setting, name))
        best = best_peer(part, setting, name, better) if ours and better != "none" else None
        ratio = figures.ratio(ours, best) if ours and best else None
        if ratio is None:
            row.append("")
            continue
        said = figures.verdict(ours, best)
        row.append(
            f"{ratio[0]:.2f} [{ratio[1]:.2f}..{ratio[2]:.2f}] {MARK[said]} {said or 'one slice'} ({best['target']})"
        )
    return row if any(row[1:]) else None


def aligned(header, rows):
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    return "\n".join(
        "  ".join(value.ljust(width) for value, width in zip(row, widths)).rstrip() for row in [header, *rows]
    )


def markdown_table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(value.replace("|", "\\|") for value in line) + " |" for line in lines)


def goal_line(goal):
    word = {True: "met", False: "MISSED", None: "not told"}[goal["met"]]
    return f"{word}: {goal['goal']}: {goal['value']}"


def headline(document):
    """A line for each goal, for the terminal."""
    lines = [f"  {goal_line(goal)}" for goal in document["goals"]]
    if not document["complete"]:
        lines.append(f"  {document['script']} is not complete")
    return lines


def text(document):
    out = [document["title"], "=" * len(document["title"]), ""]
    for table in document["tables"]:
        out += [table["title"], table["text"], ""]
    for title, header, rows in tables(document):
        out += [title, aligned(header, rows), ""]
    out += headline(document) + [f"  note: {one}" for one in document["notes"]]
    out += [f"  {name} is {version}" for name, version in document["versions"].items()]
    out += [f"  {name} is not here: {why}" for name, why in document["missing"].items()]
    return "\n".join(out)


def void_share(documents):
    void = sum(one["slices"] for d in documents for f in d["figures"] for one in f["void"])
    kept = sum(len(f["samples"]) for d in documents for f in d["figures"])
    return void, kept


def sections(documents):
    """What both forms of the report say: [(level, title, kind, content)]."""
    first = documents[0]
    yield 1, "Weir beside its peers", "text", [
        f"Started {first['started']}"
        + (", quick" if first["quick"] else "")
        + "."
        + (" INTERRUPTED: what had been measured by then." if any(d["interrupted"] for d in documents) else "")
    ]
    yield 2, "Goals", "table", (
        ["script", "goal", "", "measured"],
        [
            [d["script"], g["goal"], {True: "met", False: "MISSED", None: "not told"}[g["met"]], g["value"]]
            for d in documents
            for g in d["goals"]
        ],
    )
    for document in documents:
        yield from script_sections(document)
    yield from closing_sections(documents)


def script_sections(document):
    yield 2, document["title"], "text", [document["about"].replace("\n", " ")]
    for table in document["tables"]:
        yield 3, table["title"], "pre", table["text"]
    yield 0, document["script"], "plots", document
    for title, header, rows in tables(document):
        yield 3, title, "table", (header, rows)
    if document["notes"]:
        yield 3, "Notes", "list", document["notes"]


def closing_sections(documents):
    first = documents[0]
    void, kept = void_share(documents)
    yield 2, "How to read this", "list", [
        "A figure is the median of its slices; in brackets the quartiles of five and more, else the smallest and "
        "largest.",
        "Weir to the best peer: the ratio of medians, in brackets how far the spreads let it reach. If that holds 1, "
        "it is a tie.",
        "The direct line is the load straight at one backend; copiers move bytes and know nothing of HTTP. What they "
        "reach is the machine's limit, not a proxy's.",
        f"Slices with an error, a non-2xx, a missing byte, a saturated load generator or more than 5 % stolen time are "
        f"void: {void} reasons for that were counted beside {kept} samples that were kept.",
    ]
    shows_not = [text for d in documents for text in d["shows_not"]]
    yield 2, "What this does not show", "list", list(
        dict.fromkeys(
            shows_not
            + [
                "One machine for client, proxy and backend: ratios carry over to others, absolute figures do not.",
                "Loopback has no latency, no loss and no limit of bandwidth.",
            ]
        )
    )
    machine = [[key.replace("_", " "), str(value)] for key, value in first["machine"].items()]
    settings = [
        [key.replace("_", " "), json.dumps(value) if not isinstance(value, str) else value]
        for key, value in first["settings"].items()
    ]
    yield 2, "Machine and settings", "table", (["", ""], machine + settings)
    versions = [[name, version] for name, version in first["versions"].items()]
    missing = [[name, f"not here: {why}"] for name, why in first["missing"].items()]
    yield 2, "Versions", "table", (["", ""], versions + missing)
    commands = {one["title"]: one["command"] for d in documents for one in d["commands"]}
    yield 2, "Commands", "pre", "\n".join(f"# {title}\n{command}" for title, command in commands.items())


def markdown(documents):
    out = []
    for level, title, kind, content in sections(documents):
        if kind == "plots":
            continue
        out += ["#" * level + " " + title, ""]
        if kind == "text":
            out += [*content, ""]
        elif kind == "list":
            out += [*(f"- {one}" for one in content), ""]
        elif kind == "pre":
            out += ["```", content, "```", ""]
        elif kind == "table":
            out += [markdown_table(*content), ""]
    return "\n".join(out)


STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 1em 0; font-size: 13px; }
td, th { border-bottom: 1px solid #ddd; padding: .25em .7em; text-align: left; vertical-align: top; }
pre { background: #f5f5f5; padding: .8em; overflow-x: auto; font-size: 12px; }
.met, .better { color: #11692f; } .missed, .worse, .void { color: #a31515; font-weight: 600; }
.tie { color: #666; } .weir td { background: #eef4fb; } svg { max-width: 100%; height: auto; }
@media (prefers-color-scheme: dark) { body { background: #1b1b1b; color: #ddd; } pre { background: #262626; }
  .weir td { background: #1d2b3a; } td, th { border-color: #444; } svg { background: #fff; } }
"""


def mark_of(value):
    if value in ("met", "MISSED"):
        return value.lower()
    for word in ("better", "worse", "tie"):
        if f" {word} (" in value:
            return word
    return "void" if value.startswith("void") else ""


def html_table(header, rows):
    def line(values, tag, name=""):
        cells = "".join(f'<{tag} class="{mark_of(one)}">{html.escape(one)}</{tag}>' for one in values)
        return f'<tr class="{name}">{cells}</tr>'

    body = "\n".join(line(row, "td", "weir" if row[0].lower() == "weir" else "") for row in rows)
    return f"<table>\n{line(header, 'th')}\n{body}\n</table>"


def html_page(documents):
    try:
        from . import plots
    except ImportError:
        plots = None
    out = []
    for level, title, kind, content in sections(documents):
        if kind == "plots":
            out += plots.of(content) if plots else ["<p>No plots: matplotlib is missing.</p>"]
            continue
        out.append(f"<h{level}>{html.escape(title)}</h{level}>")
        if kind == "text":
            out += [f"<p>{html.escape(one)}</p>" for one in content]
        elif kind == "list":
            out.append("<ul>" + "".join(f"<li>{html.escape(one)}</li>" for one in content) + "</ul>")
        elif kind == "pre":
            out.append(f"<pre>{html.escape(content)}</pre>")
        elif kind == "table":
            out.append(html_table(*content))
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Weir beside its peers</title>'
        f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(out) + "\n</body>\n</html>\n"
    )


def write(folder, documents):
    (folder / "report.md").write_text(markdown(documents))
    (folder / "report.html").write_text(html_page(documents))
