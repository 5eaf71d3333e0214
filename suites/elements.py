"""XML read as a tree of names, strictly or out of the middle of a text."""

from __future__ import annotations

import re
import xml.parsers.expat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from suites.errors import SuiteError

NAME = r"[A-Za-z_:\u00c0-\ufffd][-.\w:\u00b7]*"
ATTRIBUTE = re.compile(rf"""({NAME})(?:\s*=\s*("[^"]*"|'[^']*'))?""")
ASIDE = (
    r"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)|<\?.*?(?:\?>|\Z)"
    r"""|<!(?:"[^"]*"|'[^']*'|\[[^\]]*\]|[^"'\[>])*(?:>|.*)"""
)
"""What holds no elements; what has no end takes all that follows."""
TAG = re.compile(rf"""{ASIDE}|<(/?)({NAME})((?:[^<>"']|"[^"]*"|'[^']*')*)>""", re.DOTALL)
MAX_DEPTH = 500


@dataclass
class Element:
    """An element with what is inside it, while the text is read; attributes are names that begin with @_."""

    name: str
    attributes: list[str] = field(default_factory=list)
    inside: list[Element] = field(default_factory=list)
    closed: bool = False

    def has(self, path: Sequence[str]) -> bool:
        """Return whether the path of names leads somewhere in it; of several with one name, a number says which."""
        if not path:
            return True
        name, *rest = path
        if name in self.attributes:
            return not rest
        named = [element for element in self.inside if element.name == name]
        if len(named) > 1 and rest:
            number, *rest = rest
            if not re.fullmatch("0|[1-9][0-9]{0,8}", number) or int(number) >= len(named):
                return False
            named = [named[int(number)]]
        return bool(named) and (not rest or named[0].has(rest))


def document(text: str) -> Element:
    """Return an element around a whole XML document.

    Raises SuiteError for what is not well-formed, with namespaces looked after, for a DTD inside the document, whose
    entities could grow without end, and for nesting beyond 500 levels.
    """
    stack = [Element("")]
    parser = xml.parsers.expat.ParserCreate(namespace_separator=" ")
    parser.namespace_prefixes = True

    def opened(name: str, attributes: dict[str, str]) -> None:
        if len(stack) > MAX_DEPTH:
            raise SuiteError(f"it is nested deeper than {MAX_DEPTH} levels")
        stack[-1].inside.append(Element(_prefixed(name), [f"@_{_prefixed(key)}" for key in attributes]))
        stack.append(stack[-1].inside[-1])

    def doctype(name: str, system: str | None, public: str | None, has_inside: int) -> None:
        if has_inside:
            raise SuiteError("a DTD inside the document is not allowed")

    parser.StartElementHandler = opened
    parser.EndElementHandler = lambda name: stack.pop()
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(text.encode("utf-8", "surrogatepass"), True)
    except xml.parsers.expat.ExpatError as error:
        raise SuiteError(f"it is not well-formed XML: {error}") from error
    return stack[0]


def _prefixed(name: str) -> str:
    """Return a name of expat, "address name prefix", as it is written."""
    _, _, local = name.partition(" ")
    word, _, prefix = local.partition(" ")
    return f"{prefix}:{word}" if prefix else word or name


def fragments(text: str) -> Iterator[Element]:
    """Yield what in a text are elements, opened and closed: the outermost ones, neighbours together.

    An element around each; attributes need no value here, and nothing is looked at but tags.
    """
    top = Element("")
    stack = [top]
    for match in TAG.finditer(text):
        if match[2] is None:
            continue
        if match[1]:
            _close_(stack, match[2])
            continue
        attributes = [f"@_{found[1]}" for found in ATTRIBUTE.finditer(match[3].rstrip("/"))]
        element = Element(match[2], attributes, closed=match[3].rstrip().endswith("/"))
        stack[-1].inside.append(element)
        if not element.closed:
            stack.append(element)
    yield from (Element("", inside=group) for group in _groups(top))


def _close_(stack: list[Element], name: str) -> None:
    """Close the innermost element; a tag that closes another leaves all that is open so."""
    if len(stack) > 1 and stack[-1].name == name:
        stack.pop().closed = True
    else:
        del stack[1:]


def _groups(parent: Element) -> list[list[Element]]:
    """Return the closed elements by their parent, down to the first closed ones."""
    found, pending = [], [parent]
    while pending:
        inside = pending.pop(0).inside
        closed = [element for element in inside if element.closed]
        found += [closed] if closed else []
        pending += [element for element in inside if not element.closed]
    return found
