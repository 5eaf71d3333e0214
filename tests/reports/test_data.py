"""What is in a page is in its data, in a form that no page can be broken by."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from reports.data import as_json
from reports.page import MetricRow, Page


def test_everything_but_the_cases_is_there(example: Page) -> None:
    content = json.loads(as_json(example))
    assert content["plan"] == "support-bot"
    broken = content["candidates"][2]
    assert "cases" not in broken
    assert broken["gates"][0]["low"] == 0.352
    assert broken["divergences"][0]["passages"][0]["texts"][1] == " river"
    assert content["tradeoffs"][0]["points"][0] == {"name": "original", "x": 1.0, "y": 0.703, "low": None, "high": None}


def test_what_is_no_number_is_null_and_no_tag_ends_the_block(example: Page) -> None:
    rows = (MetricRow("</script><!--", "share", math.nan, math.inf),)
    text = as_json(replace(example, candidates=(replace(example.candidates[0], numbers=rows),)))
    assert "<" not in text
    (row,) = json.loads(text)["candidates"][0]["numbers"]
    assert (row["metric"], row["before"], row["after"]) == ("</script><!--", None, None)
