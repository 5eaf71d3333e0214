"""The whole store as a folder of pages: what is drawn, in which files, and when it must be drawn again."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from harness.digest import digest
from reports.site.pages import SitePage

PLAIN = re.compile(r"[0-9a-z]{1,32}", re.ASCII)


@dataclass(frozen=True)
class Sheet:
    """One file of the site."""

    name: str
    """From the top of the site."""
    inputs: str
    """Digest of all that is on it: while it stays the same the file is not drawn again."""
    page: Callable[[], SitePage]


def file_name(folder: str, *identity: str) -> str:
    """A file for what is called so; a name that anyone may have chosen never becomes part of it."""
    plain = identity[0] if len(identity) == 1 and PLAIN.fullmatch(identity[0]) else digest(*identity)[:16]
    return f"{folder}/{plain}.html"


def job_file(job: str) -> str:
    return file_name("jobs", job)


def history_file(plan: str, candidate: str) -> str:
    return file_name("trends", plan, candidate)


def suite_file(suite: str) -> str:
    return file_name("suites", "suite", suite)


def readable(moment: str) -> str:
    """A moment of the store, to the minute."""
    return f"{moment[:10]} {moment[11:16]} UTC"
