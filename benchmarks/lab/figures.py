"""Medians with their spread, and what may be said of two of them."""

import statistics

TIE = "tie"


def quantile(values, share):
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def summarize(samples):
    """Median, low and high end. The ends are the quartiles of five samples and more, else the smallest and largest."""
    if not samples:
        return {"median": None, "low": None, "high": None}
    if len(samples) >= 5:
        low, high = quantile(samples, 0.25), quantile(samples, 0.75)
    else:
        low, high = min(samples), max(samples)
    return {"median": statistics.median(samples), "low": low, "high": high}


def figure(part, target, setting, name, unit, better, samples, void=(), note=""):
    """One number of a report. `better` is higher, lower or none; `void` says why slices were thrown away."""
    counted = {}
    for reason in void:
        counted[reason] = counted.get(reason, 0) + 1
    return {
        "part": part,
        "target": target,
        "setting": setting,
        "name": name,
        "unit": unit,
        "better": better,
        **summarize(samples),
        "samples": [round(float(one), 6) for one in samples],
        "void": [{"reason": reason, "slices": count} for reason, count in counted.items()],
        "note": note,
    }


def ratio(ours, theirs):
    """(median, low, high) of ours / theirs as their spreads allow it; None where one is missing."""
    if ours["median"] is None or not theirs["median"] or not theirs["low"] or not theirs["high"]:
        return None
    return ours["median"] / theirs["median"], ours["low"] / theirs["high"], ours["high"] / theirs["low"]


def verdict(ours, theirs):
    """`better`, `worse` or `tie`, from our side; empty where nothing may be said: one slice has no spread."""
    found = ratio(ours, theirs)
    if found is None or ours["better"] == "none" or min(len(ours["samples"]), len(theirs["samples"])) < 2:
        return ""
    _, low, high = found
    if low <= 1.0 <= high:
        return TIE
    return "better" if (low > 1.0) == (ours["better"] == "higher") else "worse"


def best_of(figures, better):
    """The figure with the best median; None if there is none."""
    known = [one for one in figures if one["median"] is not None]
    if not known:
        return None
    return (max if better == "higher" else min)(known, key=lambda one: one["median"])


def number(value):
    """Three or four digits that count, and no more."""
    if value is None:
        return "void"
    if value == 0:
        return "0"
    size = abs(value)
    if size < 1000 and float(value).is_integer():
        return f"{value:.0f}"
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 0.1:
        return f"{value:.2f}"
    return f"{value:.3g}"
