"""The one exception of this package that a user is meant to read, and the one that becomes a check."""

MAX_LINE = 3_000
"""Characters of one line; the list of all assertion types fits in."""


class SuiteError(Exception):
    """Bad input or an impossible request; the message says what, where, and what is allowed.

    A line that repeats too much of a file to be read loses its middle.
    """

    def __init__(self, message: str) -> None:
        super().__init__("\n".join(map(_cut, message.split("\n"))))


class UnsupportedError(SuiteError):
    """An assertion asks for what is not here; the others of its suite can be checked without it."""


class UndecidedError(SuiteError):
    """An assertion can say nothing of this answer: who was asked did not reply, or not so that it can be read."""


def _cut(line: str) -> str:
    return line if len(line) <= MAX_LINE else f"{line[: MAX_LINE // 2]} ... {line[-MAX_LINE // 2 :]}"
