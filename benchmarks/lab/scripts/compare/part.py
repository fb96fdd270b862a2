"""What the parts of the comparison share."""

from ...targets import FLOORS, Scenario


class Part:
    """One of the six. It measures with the script's means and leaves its figures there."""

    key = ""
    about = ""

    def __init__(self, script):
        self.script = script
        self.lab = script.lab
        self.quick = script.quick

    def steps(self):
        raise NotImplementedError

    def judge(self):
        """Goals and tables, once it has been measured."""

    def targets(self, *floors):
        return [*floors, "weir", *self.script.peers]

    def slice_seconds(self, full, quick, targets, rounds):
        """What alternating takes, starts included."""
        return (self.script.duration(full, quick) + 0.25) * rounds * len(targets) + 0.5 * len(targets)

    def backends(self, count=3, cores="backend", **more):
        cores = self.lab.backend_cores if cores == "backend" else cores
        return [self.lab.backend(cores=cores, **more)[0] for _ in range(count)]


def share_of(part, setting, script, name="requests/s", floor="direct", better="higher"):
    """A figure for every target but the floor: its median as a share of the floor's."""
    base = script.find(part, floor, name, setting)
    if not base or not base["median"]:
        return
    for one in [one for one in script.figures if (one["part"], one["setting"], one["name"]) == (part, setting, name)]:
        if one["target"] != floor and one["samples"]:
            samples = [100 * value / base["median"] for value in one["samples"]]
            script.add(part, one["target"], setting, f"of the {floor} line", "%", better, samples)


__all__ = ["FLOORS", "Part", "Scenario", "share_of"]
