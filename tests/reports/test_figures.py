from __future__ import annotations

import math

import pytest

from reports.figures import difference, interval, quantity


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (None, "share", "–"),
        (math.nan, "bytes", "–"),
        (0.0, "share", "0.0 %"),
        (0.7034, "share", "70.3 %"),
        (-0.0004, "share", "0.0 %"),
        (269_060_352, "bytes", "269 MB"),
        (1_340_000_000, "bytes", "1.34 GB"),
        (134_515_008, "parameters", "135 M"),
        (1234, "count", "1,234"),
        (1.0, "cases", "1 case"),
        (2.0, "cases", "2 cases"),
        (1.0, "ratio", "1.000"),
        (142.345, "ratio", "142.3"),
        (0.06131, "nats", "0.0613 nats"),
        (-1.2, "tokens/s", "−1.20 tokens/s"),
        (41.34, "tokens/s", "41.3 tokens/s"),
        (0.0000123, "nats", "1.23e−05 nats"),
        (math.inf, "nats", "∞ nats"),
    ],
)
def test_quantity(value: float | None, unit: str, shown: str) -> None:
    assert quantity(value, unit) == shown


def test_a_share_drops_by_points() -> None:
    assert difference(0.021, "share") == "2.1 points"
    assert interval(-0.009, 0.019, "share") == "−0.9 to 1.9"
    assert interval(None, 0.019, "share") == "–"
