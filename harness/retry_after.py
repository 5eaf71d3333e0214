"""How long to leave a server alone: as long as it asks, and longer every time it fails."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def asked_seconds(header: str) -> float | None:
    """Seconds from a header that holds a number or a date; None if it holds neither, or a date without a zone."""
    if header.strip().isdecimal():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds()) if moment.tzinfo else None


def back_off(failures: int, first_seconds: float, most_seconds: float, asked_seconds: float | None = None) -> float:
    """Seconds before the next try: doubling with the failures so far, and never less than was asked for.

    Of that a random half to all, so that many who failed together do not come back together.
    """
    doubled = min(first_seconds * 2.0 ** min(failures - 1, 32), most_seconds)
    return max(doubled * random.uniform(0.5, 1.0), asked_seconds or 0.0)
