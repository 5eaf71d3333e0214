"""The one exception of this package that a user is meant to read."""


class ReportError(Exception):
    """Bad input or an impossible request; the message says what, where, and what is allowed."""
