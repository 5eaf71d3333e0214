"""One hash over values: what makes two pieces of work the same piece of work."""

from __future__ import annotations

import hashlib
import json


def digest(*parts: object) -> str:
    """Sha256, in hex, of JSON-able values in their order."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
