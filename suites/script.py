"""JavaScript code of a suite, in an engine without files, network and modules, where the user allows it."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from suites.errors import SuiteError, UnsupportedError

SECONDS = 5.0
MAX_BYTES = 256 * 2**20
KEPT = 20_000
"""Results kept, since every answer is graded once for the verdict and once for the page."""
NEEDS = frozenset({"code"}) if importlib.util.find_spec("py_mini_racer") else frozenset({"code", "mini-racer"})
QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`""", re.DOTALL)
DECLARES = re.compile(r"(?:const|let|var)\s")
IMPORT = re.compile(r"""(?:^\s*import\b[^(;]*?|\brequire\(\s*)['"]([^'"]+)['"]""", re.MULTILINE)
DEFAULT = re.compile(r"^([ \t]*)export\s+default\b", re.MULTILINE)
EXPORTED = re.compile(
    r"^([ \t]*)export\s+(?=(?:async\s+)?function\s*\*?\s*(\w+)|(?:const|let|var|class)\s+(\w+))", re.MULTILINE
)
LISTED = re.compile(r"^[ \t]*export\s*\{([^}]*)\}\s*;?", re.MULTILINE)
CALL = """\
var said = 'pending';
(async () => {
  const module = {exports: {}}, name = %s;
  (%s)(module, module.exports, {env: {}});
  const all = module.exports;
  const called = name && all[name] || (typeof all === 'function' ? all : all.default);
  if (typeof called !== 'function') throw new Error(`it exports no function ${name}`);
  return JSON.stringify({value: await called(...%s) ?? null});
})().then(text => { said = text; }, error => { said = JSON.stringify({error: String(error)}); });
"""


@dataclass(frozen=True)
class Script:
    """One function of a piece of JavaScript: what it exports by that name, or by default."""

    code: str
    function: str = ""

    def result(self, *arguments: object) -> object:
        """Return what the function returns, or its promise brings, both ways as JSON.

        Raises SuiteError if it fails, takes longer than 5 seconds or 256 MiB, or returns what JSON cannot hold.
        """
        try:
            said = json.loads(_said(self, json.dumps(arguments)))
        except (ValueError, RecursionError) as error:
            raise SuiteError(f"it returned what is no JSON: {error}") from error
        if "error" in said:
            raise SuiteError(str(said["error"]).partition("\n")[0])
        return said["value"]


def inline_script(text: str) -> Script:
    """Return the script of an expression, or of a function's body if it has several lines, over output and context."""
    return Script(f"module.exports = function (output, context) {{\n{_body(text)}\n}};")


def file_script(text: str, function: str) -> Script:
    """Return the script of a file, whether it exports as CommonJS or as a module does.

    Raises UnsupportedError for one that brings in other modules, which are not there.
    """
    brought = IMPORT.search(text)
    if brought:
        raise UnsupportedError(f"it brings in {brought[1]!r}; JavaScript runs here without modules")
    code = LISTED.sub("", EXPORTED.sub(r"\1", DEFAULT.sub(r"\1module.exports.default =", text)))
    named = [f"module.exports.{outer} = {inner};" for outer, inner in _exported(text)]
    return Script("\n".join([code, *named]), function)


def _exported(text: str) -> Iterator[tuple[str, str]]:
    """Yield what a module exports by name: that name, and the name inside."""
    for found in EXPORTED.finditer(text):
        yield found[2] or found[3], found[2] or found[3]
    for listed in LISTED.findall(text):
        for one in filter(None, map(str.strip, listed.split(","))):
            inner, _, outer = one.partition(" as ")
            yield outer.strip() or inner, inner


def _body(code: str) -> str:
    """Return the body of a function: one line returns its last expression, several lines return what they say."""
    code = code.rstrip()
    if "\n" in code:
        return code
    line = code.strip().rstrip("; ")
    if not DECLARES.match(line):
        return f"return {line}"
    bare = QUOTED.sub(lambda quoted: " " * len(quoted[0]), line)
    last = bare.rfind(";") + 1
    return f"{line[:last]} return {line[last:]}" if last and line[last:].strip() else line


@functools.lru_cache(maxsize=KEPT)
def _said(script: Script, arguments: str) -> str:
    """Return what the function returns as JSON; each call has an engine of its own, so that none knows of another."""
    from py_mini_racer import JSEvalException, MiniRacer

    run = f"new Function('module', 'exports', 'process', {json.dumps(script.code)})"
    try:
        with contextlib.closing(MiniRacer()) as engine:
            engine.eval(CALL % (json.dumps(script.function), run, arguments), timeout_sec=SECONDS, max_memory=MAX_BYTES)
            said = str(engine.eval("said", timeout_sec=SECONDS))
    except JSEvalException as error:
        raise SuiteError(str(error).strip().partition("\n")[0]) from error
    if said == "pending":
        raise SuiteError("its promise never ends: there are no timers here")
    return said
