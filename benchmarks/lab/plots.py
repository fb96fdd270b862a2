"""Plots as SVG inside the page: curves over a number in the setting, bars with spread, series over time."""

import io
import re

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot  # noqa: E402  (the backend comes first)

from .report import parts, title_of  # noqa: E402

COLOURS = ["#0b62c4", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#7a3db8", "#a31515", "#222222"]
GREYS = {"direct": "#b0b0b0", "copy": "#8a8a8a", "splice": "#666666"}


def colour_of(target, targets):
    if target in GREYS:
        return GREYS[target]
    others = [one for one in targets if one not in GREYS and one != "weir"]
    return COLOURS[0] if target == "weir" else COLOURS[1 + others.index(target) % (len(COLOURS) - 1)]


def svg(figure):
    out = io.StringIO()
    figure.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
    text = out.getvalue()
    return text[text.index("<svg") :]


def leading_number(text):
    found = re.match(r"([\d,]+(?:\.\d+)?)", text)
    return float(found.group(1).replace(",", "")) if found else None


def curves(name, part):
    """A curve of each target over the number that the settings begin with; None if they are not such."""
    xs = [leading_number(setting) for setting in part["settings"]]
    names = [one for one in part["names"] if one[2] != "none"]
    if len(xs) < 3 or None in xs or not names:
        return None
    names = [one for one in names if one[0] in ("p50", "p99", "p99.9")] or names[:3]
    figure, axes = pyplot.subplots(1, len(names), figsize=(5 * len(names), 3.6), squeeze=False)
    for axis, (value, unit, _) in zip(axes[0], names):
        for target in part["targets"]:
            points = [(x, part["cells"].get((target, setting, value))) for x, setting in zip(xs, part["settings"])]
            points = [(x, one) for x, one in points if one and one["median"] is not None]
            if not points:
                continue
            colour = colour_of(target, part["targets"])
            axis.plot(
                [x for x, _ in points],
                [one["median"] for _, one in points],
                marker="o",
                markersize=3,
                color=colour,
                linewidth=2.2 if target == "weir" else 1.2,
                label=title_of(target),
            )
            axis.fill_between(
                [x for x, _ in points],
                [one["low"] for _, one in points],
                [one["high"] for _, one in points],
                color=colour,
                alpha=0.12,
                linewidth=0,
            )
        axis.set_title(f"{name}: {value}", fontsize=10)
        axis.set_xlabel(re.sub(r"^[\d,.]+\s*", "", part["settings"][0]))
        axis.set_ylabel(unit)
        axis.set_ylim(bottom=0) if unit != "ms" else axis.set_yscale("log")
        axis.grid(alpha=0.25)
    axes[0][0].legend(fontsize=8)
    return svg(figure)


def bars(name, part):
    """Bars with their spread, a group for each setting; one picture for each of the first two figures."""
    made = []
    for value, unit, better in [one for one in part["names"] if one[2] != "none"][:2]:
        settings = [s for s in part["settings"] if any((t, s, value) in part["cells"] for t in part["targets"])]
        targets = [t for t in part["targets"] if any((t, s, value) in part["cells"] for s in settings)]
        if len(targets) < 2:
            continue
        figure, axis = pyplot.subplots(figsize=(min(16, 2.5 + 0.32 * len(targets) * len(settings)), 3.4))
        width = 0.8 / len(targets)
        for number, target in enumerate(targets):
            for group, setting in enumerate(settings):
                one = part["cells"].get((target, setting, value))
                if not one or one["median"] is None:
                    continue
                spread = [[one["median"] - one["low"]], [one["high"] - one["median"]]]
                axis.bar(
                    group + (number - (len(targets) - 1) / 2) * width,
                    one["median"],
                    width * 0.9,
                    yerr=spread,
                    color=colour_of(target, targets),
                    ecolor="#333333",
                    capsize=2,
                    label=title_of(target) if group == 0 else None,
                )
        axis.set_xticks(
            range(len(settings)),
            [s or value for s in settings],
            fontsize=8,
            rotation=20 if len(settings) > 3 else 0,
            ha="right" if len(settings) > 3 else "center",
        )
        axis.set_title(f"{name}: {value} ({better} is better)", fontsize=10)
        axis.set_ylabel(unit)
        axis.legend(fontsize=7, bbox_to_anchor=(1.0, 1.0), loc="upper left")
        axis.grid(axis="y", alpha=0.25)
        made.append(svg(figure))
    return made


def over_time(document):
    made = []
    for part in dict.fromkeys(one["part"] for one in document["series"]):
        series = [one for one in document["series"] if one["part"] == part]
        targets = list(dict.fromkeys(one["target"] for one in series))
        figure, axis = pyplot.subplots(figsize=(9, 3.4))
        for one in series:
            axis.plot(
                [p[0] for p in one["points"]],
                [p[1] for p in one["points"]],
                linewidth=1.4,
                color=colour_of(one["target"], targets),
                label=f"{title_of(one['target'])}, {one['name']}",
            )
        axis.set_title(part, fontsize=10)
        axis.set_xlabel(series[0]["x_unit"])
        axis.set_ylabel(series[0]["y_unit"])
        axis.legend(fontsize=8)
        axis.grid(alpha=0.25)
        made.append(svg(figure))
    return made


def of(document):
    """The pictures of a script's document, as pieces of HTML."""
    made = []
    for name, part in parts(document).items():
        curve = curves(name, part)
        made += [curve] if curve else bars(name, part)
    return made + over_time(document)
