"""What the gates of a plan can show with the items they have, counted without loading weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.gates import Gate
from harness.plan import Plan
from harness.statistics.power import detectable_drop, failing_drop, passing_items, smallest_passing
from harness.verdicts.outcome import rule
from harness.verdicts.pairing import CASE_RATE
from suites import Suite

DISCORDANCE = 0.10
"""Share of items assumed to flip where one share must do."""
DISCORDANCES = (0.02, 0.05, DISCORDANCE)
POWER = 0.8


@dataclass(frozen=True)
class GateOutlook:
    """What one gate can show with the items it has."""

    gate: Gate
    items: int | None
    """None: not known before the task is loaded, or not made of items."""
    yes_or_no: bool
    """Whether it is a margin on items that pass or fail, so that something can be said beforehand."""

    @property
    def name(self) -> str:
        return self.gate.title

    @property
    def smallest(self) -> int | None:
        """Fewest items with which the gate can PASS at all."""
        return smallest_passing(self.gate.margin, self.gate.alpha) if self.yes_or_no and self.gate.margin else None

    @property
    def hopeless(self) -> bool:
        """Whether the gate cannot PASS whatever the models answer."""
        return self.items is not None and self.smallest is not None and self.items < self.smallest

    def detectable(self, discordance: float) -> float | None:
        """Smallest true drop that is found with 80 % power if so many of the items flip."""
        if not self.yes_or_no or not self.items:
            return None
        return detectable_drop(self.items, discordance, self.gate.alpha, POWER)

    def line(self) -> str:
        is_share = self.yes_or_no or self.gate.metric.endswith(".pass_rate")
        parts = [f"{self.name}: {rule(self.gate, 'share' if is_share else '')}"]
        if self.items is not None:
            parts.append(f"{self.items} items")
        found = self.detectable(DISCORDANCE)
        if found is not None:
            parts.append(f"finds a true drop of {100 * found:.1f} points if {DISCORDANCE:.0%} of items flip")
        if self.hopeless:
            parts.append(f"CANNOT PASS: needs at least {self.smallest} items without a single flip")
        return "; ".join(parts)


def outlook(plan: Plan, suites: Sequence[Suite]) -> list[GateOutlook]:
    """What each gate can show."""
    return [_outlook(gate, plan, {suite.name: suite for suite in suites}) for gate in plan.gates]


def _outlook(gate: Gate, plan: Plan, suites: dict[str, Suite]) -> GateOutlook:
    source, _, metric = gate.metric.rpartition(".")
    items = cases_of(gate, suites[source]) if source in suites else documents_of(source, plan)
    # The share of a case's answers that pass is no yes or no.
    repeated = source in suites and suites[source].tries > 1
    share = metric == (CASE_RATE if repeated else "pass_rate") or metric.startswith(("acc", "exact_match"))
    return GateOutlook(gate, items, share and gate.margin is not None and gate.margin < 1)


def cases_of(gate: Gate, suite: Suite) -> int:
    """Cases of the suite that the gate looks at."""
    return sum(gate.where is None or gate.where.tag in case.tags for case in suite.cases)


def documents_of(task: str, plan: Plan) -> int | None:
    """Documents of a benchmark, after its limit."""
    from harness.benchmarks import count_items

    for benchmark in plan.benchmarks:
        if benchmark.task == task:
            return count_items(benchmark, Path(plan.data_root) if plan.data_root else None)
    return None


def hopeless(plan: Plan, suites: Sequence[Suite]) -> list[str]:
    """A line for every gate on a suite that cannot PASS whatever the models answer. Benchmarks are not looked at."""
    names = {suite.name for suite in suites}
    of_suites = plan.model_copy(update={"gates": [g for g in plan.gates if g.metric.rpartition(".")[0] in names]})
    return [one.line() for one in outlook(of_suites, suites) if one.hopeless]


def powered(plan: Plan, suites: Sequence[Suite]) -> list[str]:
    """What `secateur power` says: for every margin on yes-or-no items, what it shows and what it takes to PASS."""
    found = outlook(plan, suites)
    rows = [
        ("gate", "margin", "items", "shows a true drop of", "REGRESSION from one of", "PASSes an equal model from"),
        *(_power_cells(one) for one in found if one.yes_or_no),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    flips = " / ".join(f"{100 * share:g}" for share in DISCORDANCES)
    heading = f"plan {plan.name}, with a power of {100 * POWER:g} % if {flips} % of the items flip:"
    cannot = [f"{one.name}: CANNOT PASS with fewer than {one.smallest} items" for one in found if one.hopeless]
    others = ", ".join(one.name for one in found if not one.yes_or_no)
    unknown = [f"no margin on yes-or-no items, so nothing is known beforehand: {others}"] if others else []
    return [heading, *(table if len(rows) > 1 else []), *cannot, *unknown]


def _power_cells(one: GateOutlook) -> tuple[str, str, str, str, str, str]:
    margin, alpha = one.gate.margin or 0.0, one.gate.alpha
    shown = [one.detectable(share) for share in DISCORDANCES]
    failing = [failing_drop(one.items, share, margin, alpha, POWER) if one.items else None for share in DISCORDANCES]
    passing = " / ".join(str(passing_items(share, margin, alpha, POWER)) for share in DISCORDANCES)
    items = "unknown" if one.items is None else str(one.items)
    return one.name, f"{100 * margin:g} points", items, _points(shown), _points(failing), f"{passing} items"


def _points(drops: Sequence[float | None]) -> str:
    """A drop of all items is no answer: then the items are too few."""
    return " / ".join("none" if drop is None or drop >= 1 else f"{100 * drop:.1f}" for drop in drops) + " points"
