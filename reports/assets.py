"""The pages' own style and script: every file of a folder as one text, and the policy that allows no other.

A style may lean on base.css, which comes first. A script only declares; start.js comes last and begins.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

FIRST, LAST = "base.css", "start.js"


def style() -> str:
    """The style of all pages."""
    return joined("styles")


def script() -> str:
    """The script of all pages."""
    return joined("scripts")


def policy(style: str, script: str, loads: bool = False) -> str:
    """A Content-Security-Policy that allows this style and this script by their hashes, and nothing else.

    `loads`: the script may run files that lie beside the page. They cannot be named by hash, since a browser refuses to
    check the hash of a file on disk; only a script that is allowed itself can ask for them.
    """
    more = " 'strict-dynamic'" if loads else ""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'{more}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def joined(folder: str) -> str:
    """All files of a folder of templates as one text."""
    found = files("reports").joinpath("templates", folder).iterdir()
    ordered = sorted(found, key=lambda file: (file.name != FIRST, file.name == LAST, file.name))
    return "\n".join(file.read_text("utf-8") for file in ordered)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
