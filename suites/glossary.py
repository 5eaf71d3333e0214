"""What assertion types there are, a line each."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, fields

from suites.assertions import load, names
from suites.unsupported import UNSUPPORTED

SPELLED = {"scores": "options.factuality", "wording": "rubricPrompt"}
"""Options that have another name, or place, in a file."""


def glossary() -> Iterator[str]:
    """Yield a line a type: its options, those in brackets that may be left out, and what it checks."""
    for name in names():
        kind = load(name)
        named = [(SPELLED.get(each.name, each.name), each.default) for each in fields(kind) if each.compare]
        options = [name if default is MISSING else f"[{name}]" for name, default in named]
        sentence = (kind.__doc__ or "").strip().partition("\n")[0]
        yield f"{name:22} {' '.join(options):42} {sentence}"
    yield f"{'assert-set':22} {'assert [threshold]':42} Assertions that count as one."
    yield ""
    yield "Before each but assert-set, not- turns it round. Known, and not checked here:"
    yield from textwrap.wrap(", ".join(sorted(UNSUPPORTED)), width=110, break_on_hyphens=False)
