"""Keys of endpoints: read from the environment when a request is made, and kept out of all that is written."""

from __future__ import annotations

import os
import re

from harness.errors import HarnessError
from harness.records import Endpoint

USABLE = re.compile(r"[\x21-\x7e]+")
"""What can stand in a header."""
SECRET_LENGTH = 12
"""A shorter key, such as the word "none" for a server that asks for no key, is no secret and may occur in any text."""


def key_of(endpoint: Endpoint) -> str | None:
    """The key, or None where the plan names no variable. Raises HarnessError if the variable holds none."""
    name = endpoint.api_key_env
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        raise HarnessError(f"api_key_env: the environment variable {name} is not set")
    if not USABLE.fullmatch(key):
        raise HarnessError(f"api_key_env: what the environment variable {name} holds is no key")
    return key


def without(key: str | None, text: str) -> str:
    """The text of a reply, in which a server may have repeated the key."""
    return text if key is None or len(key) < SECRET_LENGTH else text.replace(key, "[key]")
