"""JavaScript's dialect of patterns -> that of the regex package, where the two read the same signs differently."""

from __future__ import annotations

import re

SPACE = r"\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
LINE_ENDS = r"\n\r\u2028\u2029"
SIGN = re.compile(
    r"\\k<(?P<name>\w+)>|\\(?P<number>[1-9]\d?)|\\(?P<escaped>.)|\[(?P<not>\^?)(?P<letters>(?:\\.|[^\]\\])*)\]|[$.]",
    re.DOTALL,
)
FLAGS = re.compile(r"\(\?([a-zA-Z]+)")
EVERYTHING, NOTHING = r"(?s:.)", r"(?!)"


def translated(pattern: str) -> str:
    r"""Return the pattern as regex should read it, with its flag ASCII.

    $ is the very end, . stops at every end of a line, \s is white space beyond ASCII too, \k<name> is a group by its
    name, a group that took no part matches nothing, [] and [^] match never and always. What JavaScript does not know,
    such as (?i), (?s) and \Z, keeps its meaning in Python.
    """
    groups = _groups(pattern)
    flags = set("".join(FLAGS.findall(pattern)))
    dollar, dot = "$" if "m" in flags else r"\Z", "." if "s" in flags else f"[^{LINE_ENDS}]"

    def sign(match: re.Match[str]) -> str:
        whole = match[0]
        if match["name"] and f"(?<{match['name']}>" not in pattern:
            return whole[1:]
        if match["name"]:
            return f"(?({match['name']})(?P={match['name']}))"
        if match["number"]:
            return f"(?({match['number']}){whole})" if int(match["number"]) <= groups else whole
        if match["escaped"]:
            return {"s": f"[{SPACE}]", "S": f"[^{SPACE}]"}.get(match["escaped"], whole)
        if match["letters"] is not None:
            return _class(match["not"], match["letters"])
        return dot if whole == "." else dollar

    return SIGN.sub(sign, pattern)


def _class(negation: str, letters: str) -> str:
    if not letters:
        return EVERYTHING if negation else NOTHING
    known = {r"\s": SPACE, "[": r"\["}
    letters = re.sub(r"\\.|\[", lambda sign: known.get(sign[0], sign[0]), letters)
    return f"[{negation}{letters}]"


def _groups(pattern: str) -> int:
    """Return how many groups can be referred to by number."""
    bare = re.sub(r"\\.|\[(?:\\.|[^\]\\])*\]", "", pattern, flags=re.DOTALL)
    return len(re.findall(r"\((?!\?)|\(\?P?<(?![=!])", bare))
