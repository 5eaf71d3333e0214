from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from reports import assets

TEMPLATES = Path(assets.__file__).parent / "templates"


def test_every_style_and_script_is_in_the_page_base_first_and_start_last() -> None:
    for joined, folder, ends in (
        (assets.style(), "styles", (0, "base.css")),
        (assets.script(), "scripts", (-1, "start.js")),
    ):
        texts = {file.name: file.read_text("utf-8") for file in (TEMPLATES / folder).iterdir()}
        order = sorted(texts, key=lambda name: joined.index(texts[name]))
        assert len(joined) == sum(map(len, texts.values())) + len(texts) - 1
        assert order[ends[0]] == ends[1]


def test_no_two_scripts_declare_the_same_name() -> None:
    names = re.findall(r"^(?:async )?(?:function|class|const|let) (\w+)", assets.script(), re.MULTILINE)
    assert [name for name, count in Counter(names).items() if count > 1] == []


@pytest.mark.skipif(shutil.which("tsc") is None, reason="no TypeScript compiler: npm install --global typescript")
def test_types_of_the_scripts() -> None:
    checks = ["--noEmit", "--allowJs", "--checkJs", "--strict"]
    language = ["--target", "es2022", "--lib", "es2023,dom,dom.iterable"]
    scripts = sorted((TEMPLATES / "scripts").iterdir())
    done = subprocess.run(["tsc", *checks, *language, *scripts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
