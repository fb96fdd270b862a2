"""The form of a script's JSON, as docs/benchmarks.md describes it."""

NUMBER = (int, float)
OPTIONAL_NUMBER = (int, float, type(None))

FIGURE = {
    "part": str,
    "target": str,
    "setting": str,
    "name": str,
    "unit": str,
    "better": {"higher", "lower", "none"},
    "median": OPTIONAL_NUMBER,
    "low": OPTIONAL_NUMBER,
    "high": OPTIONAL_NUMBER,
    "samples": [NUMBER],
    "void": [{"reason": str, "slices": int}],
    "note": str,
}
DOCUMENT = {
    "schema": {"weir-lab/1"},
    "script": str,
    "title": str,
    "about": str,
    "started": str,
    "seconds": NUMBER,
    "quick": bool,
    "interrupted": bool,
    "complete": bool,
    "machine": dict,
    "versions": dict,
    "missing": dict,
    "settings": dict,
    "commands": [{"title": str, "command": str}],
    "figures": [FIGURE],
    "tables": [{"title": str, "text": str}],
    "series": [{"part": str, "target": str, "name": str, "x_unit": str, "y_unit": str, "points": list}],
    "goals": [{"goal": str, "met": (bool, type(None)), "value": str}],
    "notes": [str],
    "shows_not": [str],
}


def check(value, form, place):
    if isinstance(form, dict):
        if not isinstance(value, dict):
            yield f"{place} is not an object"
            return
        for key in form.keys() - value.keys():
            yield f"{place}.{key} is missing"
        for key in value.keys() - form.keys():
            yield f"{place}.{key} is unknown"
        for key in form.keys() & value.keys():
            yield from check(value[key], form[key], f"{place}.{key}")
    elif isinstance(form, list):
        if not isinstance(value, list):
            yield f"{place} is not a list"
            return
        for index, one in enumerate(value):
            yield from check(one, form[0], f"{place}[{index}]")
    elif isinstance(form, set):
        if value not in form:
            yield f"{place} is {value!r}, not one of {sorted(form)}"
    elif not isinstance(value, form) or isinstance(value, bool) and form in (NUMBER, OPTIONAL_NUMBER, int):
        yield f"{place} is a {type(value).__name__}"


def sanity(figure, place):
    """What must hold whatever the machine's speed."""
    median, low, high = figure["median"], figure["low"], figure["high"]
    if median is None:
        if figure["samples"]:
            yield f"{place} has samples and no median"
        if not figure["void"]:
            yield f"{place} has no value and no reason"
        return
    if not low <= median <= high:
        yield f"{place}: the median lies outside of its spread"
    if not figure["samples"]:
        yield f"{place} has a median of nothing"
    if min(figure["samples"]) < 0 and figure["better"] != "none":
        yield f"{place} is negative"


def problems(document):
    """What is wrong with a document; empty if nothing is."""
    found = list(check(document, DOCUMENT, "document"))
    if found:
        return found
    for index, figure in enumerate(document["figures"]):
        found += sanity(figure, f"figures[{index}] ({figure['part']}, {figure['target']}, {figure['name']})")
    for index, series in enumerate(document["series"]):
        for point in series["points"]:
            if not (isinstance(point, list) and len(point) == 2 and all(isinstance(one, NUMBER) for one in point)):
                found.append(f"series[{index}] has a point that is not two numbers")
                break
    return found
