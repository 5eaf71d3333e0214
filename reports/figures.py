"""Numbers as people read them. None and NaN are missing, shown as a dash and never as zero."""

from __future__ import annotations

import math

MISSING = "–"
MINUS = "−"

POWERS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def is_missing(value: float | None) -> bool:
    """Whether nothing was measured."""
    return value is None or math.isnan(value)


def quantity(value: float | None, unit: str) -> str:
    """A value in its unit: 0.745 share is "74.5 %", 269e6 bytes is "269 MB"."""
    if value is None or math.isnan(value):
        return MISSING
    if unit == "share":
        return f"{_fixed(100 * value, 1)} %"
    if unit == "bytes":
        return _with_prefix(value, "B")
    if unit in ("parameters", "count", ""):
        return _with_prefix(value, "").rstrip() if abs(value) >= 1e6 else _plain(value)
    if unit == "cases" and value == 1:
        return "1 case"
    return _ratio(value) if unit == "ratio" else f"{_plain(value)} {unit}"


def difference(value: float | None, unit: str) -> str:
    """A drop in the metric's unit; a share drops by points, not by percent."""
    if value is None or math.isnan(value):
        return MISSING
    return f"{_fixed(100 * value, 1)} points" if unit == "share" else quantity(value, unit)


def interval(low: float | None, high: float | None, unit: str) -> str:
    """Both bounds without their unit, for example "1.2 to 6.8"; the unit stands beside the estimate."""
    if is_missing(low) or is_missing(high):
        return MISSING
    return f"{_bare(low, unit)} to {_bare(high, unit)}"


def tick(value: float | None, unit: str) -> str:
    """As short as can be, without the unit, for what stands at an axis: 0.05 share is "5"."""
    if value is None or math.isnan(value):
        return MISSING
    shown = 100 * value if unit == "share" else value
    text = _with_prefix(shown, "").rstrip() if 1e6 <= abs(shown) < math.inf else _plain(shown)
    return text.rstrip("0").rstrip(".") if "." in text and text[-1] == "0" else text


def relative(before: float | None, after: float | None) -> str:
    """How much more or less than before, for example "−39 %"."""
    if before is None or after is None or is_missing(before) or is_missing(after) or before <= 0:
        return MISSING
    change = 100 * (after / before - 1)
    return ("+" if change > 0 else "") + f"{_fixed(change, 0 if abs(change) >= 9.5 else 1)} %"


def percent(share: float | None) -> str:
    """A share of 0 to 1 as percent."""
    return quantity(share, "share")


def _bare(value: float | None, unit: str) -> str:
    """The number alone, except where a prefix belongs to it."""
    if value is None:
        return MISSING
    if unit == "share":
        return _fixed(100 * value, 1)
    return quantity(value, unit) if unit in ("ratio", "bytes") else _plain(value)


def _fixed(value: float, digits: int) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else MINUS + "∞"
    text = f"{value:,.{digits}f}"
    is_zero = not any(digit in text for digit in "123456789")
    return text.lstrip("-") if is_zero else text.replace("-", MINUS)


def _plain(value: float, significant: int = 3) -> str:
    """Few significant digits, without an exponent where that is short; whole numbers whole."""
    if math.isinf(value):
        return _fixed(value, 0)
    if value == int(value) and abs(value) < 1e12:
        return _fixed(value, 0)
    if abs(value) >= 1e12 or abs(value) < 1e-4:
        return f"{value:.2e}".replace("-", MINUS)
    return _fixed(value, max(0, significant - 1 - math.floor(math.log10(abs(value)))))


def _ratio(value: float) -> str:
    """Always as a decimal, since 1 and 1.000 do not say the same."""
    return _fixed(value, 3) if abs(value) < 10 else _plain(value, 4)


def _with_prefix(value: float, unit: str) -> str:
    for power, prefix in POWERS:
        if abs(value) >= power:
            scaled = value / power
            return f"{_fixed(scaled, max(0, 2 - math.floor(math.log10(abs(scaled)))))} {prefix}{unit}"
    return f"{_plain(value)} {unit}"
