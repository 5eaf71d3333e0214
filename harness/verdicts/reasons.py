"""The sentence that says why a gate was decided as it was."""

from __future__ import annotations

from harness.statistics.delta import Delta

NAMES = {
    "margin": "margin",
    "max": "maximum",
    "min": "minimum",
    "max_ratio": "largest ratio allowed",
    "min_ratio": "smallest ratio allowed",
}


def amount(value: float | None, delta: Delta, unit: bool = True) -> str:
    """A number on the delta's scale: points for the drop of a share, percent for a share, x for a ratio."""
    if value is None:
        return "unknown"
    if delta.of == "ratio":
        return f"{value:.3f}" + ("x" if unit else "")
    if delta.unit == "share":
        points = f"{100 * value:.1f}"
        return points + ("" if not unit else " points" if delta.of == "drop" else " %")
    name = "case" if delta.unit == "cases" and value == 1 else delta.unit
    return f"{value:.4g}" + (f" {name}" if unit and name not in ("", "ratio") else "")


def estimated(delta: Delta) -> str:
    """For example "the drop is 2.1 points"."""
    return f"the {delta.of} is {amount(delta.estimate, delta)}"


def limited(name: str, limit: float, delta: Delta) -> str:
    """For example "the margin is 5.0 points"."""
    return f"the {NAMES[name]} is {amount(limit, delta)}"


def bounded(delta: Delta, side: str, alpha: float) -> str:
    """For example "at most 3.4 points with 95 % confidence"; side: "low", "high" or "both"."""
    sure = f"with {100 * (1 - alpha):g} % confidence"
    if side == "low":
        return f"at least {amount(delta.low, delta)} {sure}"
    if side == "high":
        return f"at most {amount(delta.high, delta)} {sure}"
    return f"between {amount(delta.low, delta, unit=False)} and {amount(delta.high, delta)}, each bound {sure}"


def counted(delta: Delta, before: str) -> str:
    """For example "216 items, 5 losses, 1 gain". before: what the candidate is held against."""
    parts = [_plural(delta.n, "item")] if delta.n else []
    if delta.drawn_from is not None:
        parts = [f"{delta.n} of {_plural(delta.drawn_from, 'item')}"]
    if 1 < delta.clusters < delta.n:
        parts.append(_plural(delta.clusters, "cluster"))
    if delta.table:
        parts += [_plural(delta.losses, "loss"), _plural(delta.gains, "gain")]
    if delta.unanswered:
        parts.append(f"{delta.unanswered} unanswered by the candidate")
    if delta.dropped:
        parts.append(f"{delta.dropped} left out, unanswered by {before}")
    return f" ({', '.join(parts)})" if parts else ""


def why_left_out(before: str) -> str:
    """Why an item has no pair. before: whose result it was to be compared with."""
    return f"{before} did not answer them, or a judge did not grade both answers"


def _plural(count: int, noun: str) -> str:
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun}{'es' if noun.endswith('s') else 's'}"
