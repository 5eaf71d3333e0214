"""The scripts of the site write numbers as Python does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_mini_racer import MiniRacer

from reports import figures

SCRIPTS = Path(__file__).parents[2] / "reports" / "templates" / "site" / "scripts"
NUMBERS = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, 0.745, 0.0004, 0.00005, -0.00005, 1.0005, 9.9996, 12.3456, 999.6, 1000.0, 1234.5),
    *(99_999.5, 1e6, 268e6, -28.6e6, 5.3e9, 1e12, 7.77e15, 3.3e-7, 1e-4, 123456.789, 41.3, 100.0),
)
UNITS = ("share", "bytes", "parameters", "count", "", "ratio", "tokens/s", "cases")


@pytest.fixture(scope="module")
def engine() -> Iterator[MiniRacer]:
    with MiniRacer() as started:
        started.eval((SCRIPTS / "figures.js").read_text("utf-8"))
        yield started


def written(engine: MiniRacer, function: str, values: list[float], unit: str) -> list[str]:
    code = f"JSON.stringify({json.dumps(values)}.map((value) => {function}(value, {json.dumps(unit)})))"
    found: list[str] = json.loads(str(engine.eval(code)))
    return found


@pytest.mark.parametrize("unit", UNITS)
def test_numbers_are_written_as_python_writes_them(engine: MiniRacer, unit: str) -> None:
    values = list(NUMBERS)
    assert written(engine, "quantity", values, unit) == [figures.quantity(value, unit) for value in values]
    assert written(engine, "difference", values, unit) == [figures.difference(value, unit) for value in values]
    assert json.loads(str(engine.eval("JSON.stringify([quantity(null, 'share'), difference(undefined, '')])"))) == [
        figures.MISSING,
        figures.MISSING,
    ]


@settings(max_examples=100, deadline=None)
@given(st.floats(-1e9, 1e9, allow_subnormal=False).map(lambda value: float(f"{value:.7g}")), st.sampled_from(UNITS))
def test_any_number_is_written_alike(engine: MiniRacer, value: float, unit: str) -> None:
    (text,) = written(engine, "quantity", [value], unit)
    assert text == figures.quantity(value, unit)
