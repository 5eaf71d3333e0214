from __future__ import annotations

from pathlib import Path

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
