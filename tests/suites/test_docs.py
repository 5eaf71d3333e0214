"""What docs/suites.md says of suites is so."""

import re
from pathlib import Path

from suites import grade, load

TEXT = (Path(__file__).parents[2] / "docs" / "suites.md").read_text("utf-8")


def test_the_example_loads_and_grades(tmp_path):
    example, _ = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "capitals.yaml").write_text(example, "utf-8")
    suite = load(tmp_path / "capitals.yaml")
    right = ["Paris", "Lima", "Santiago", '{"order": 4821}']
    assert [grade(case, answer).passed for case, answer in zip(suite.cases, right, strict=True)] == [True] * 4
    assert not any(grade(case, "I do not know.").passed for case in suite.cases)
