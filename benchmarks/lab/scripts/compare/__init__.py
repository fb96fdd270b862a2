"""Head to head with the peers, in six parts of which each can be had alone."""

from ... import lab as labs
from ...script import Script
from .classic import Classic
from .hash_workload import HashWorkload
from .lifetime import Lifetime
from .open_loop import OpenLoop
from .processor import ProcessorTime
from .upstream import Upstream

PARTS = {part.key: part for part in (Classic, ProcessorTime, OpenLoop, Upstream, Lifetime, HashWorkload)}


class Compare(Script):
    name = "compare"
    title = "Head to head"
    about = "Weir beside its peers. Parts, each of which --parts can choose:\n" + "\n".join(
        f"  {part.key}: {part.about}" for part in PARTS.values()
    )
    goals_text = "a table of ratios; no more processor time per request than the best peer in any cell."
    shows_not = [
        "Proxies that do more than forward: the peers add the same fields as Weir, write no access log, and nothing "
        "else is switched on.",
        "TLS towards the backends: TLS is the clients' side only.",
    ]

    @staticmethod
    def add_options(parser):
        parser.add_argument(
            "--parts",
            type=labs.names(list(PARTS)),
            metavar="NAME[,NAME...]",
            help=f"of {', '.join(PARTS)} (default: all)",
        )
        parser.add_argument("--only", metavar="TEXT", help="steps that have this in what the progress calls them")

    def steps(self):
        chosen = getattr(self.options, "parts", None) or list(PARTS)
        self.parts = [PARTS[name](self) for name in PARTS if name in chosen]
        only = getattr(self.options, "only", None) or ""
        return [step for part in self.parts for step in part.steps() if only in step.label]

    def judge(self):
        for part in self.parts:
            part.judge()
