"""SQL: the answer as a whole, or in its code blocks."""

from __future__ import annotations

import importlib.util
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from suites.assertions import Check, found, shown
from suites.assertions.pattern import Regex, search
from suites.errors import SuiteError
from suites.reply import Reply

if TYPE_CHECKING:
    from sqlglot import exp

NEEDS = frozenset() if importlib.util.find_spec("sqlglot") else frozenset({"sqlglot"})
DIALECTS = {
    "athena": "athena",
    "bigquery": "bigquery",
    "db2": "",
    "flinksql": "",
    "hive": "hive",
    "mariadb": "mysql",
    "mysql": "mysql",
    "noql": "",
    "postgresql": "postgres",
    "redshift": "redshift",
    "snowflake": "snowflake",
    "sqlite": "sqlite",
    "transactsql": "tsql",
    "trino": "trino",
}
"""promptfoo's names in lower case -> sqlglot's."""
FENCE = re.compile(r"^[ \t]{0,3}(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[^\n]*?)[ \t]*$", re.MULTILINE)
QUOTED = re.compile(r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*"|`[^`]*`|--[^\n]*|#[^\n]*|/\*.*?\*/""", re.DOTALL)
WRONG_COMMA = re.compile(
    r"\bselect\s+(?:(?:all|distinct)\s+)*(?!(?:all|distinct)\b)[a-z_]\w*\s+[a-z_]\w*\s+from\b|,\s*from\b", re.IGNORECASE
)
"""Two names without a comma between them, where SQL takes the second for another name of the first; one too many."""


@dataclass(frozen=True)
class IsSql:
    """The whole answer is SQL of a dialect, MySQL if none is given, and touches only what is allowed.

    Value: databaseType, allowedTables (select::database::table), allowedColumns (select::table::column), both
    patterns. It is parsed by sqlglot, which takes more than promptfoo's parser.
    """

    value: object = None
    needs: ClassVar[frozenset[str]] = NEEDS

    def __post_init__(self) -> None:
        _rules("is-sql", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        why = _against(answer.text, _rules("is-sql", self.value))
        return found("is-sql", why is None, f"the answer {shown(answer.text)} {why or 'is SQL'}")


@dataclass(frozen=True)
class ContainsSql:
    """A code block of the answer, with no language or sql, is SQL as in is-sql; without blocks, the whole answer."""

    value: object = None
    needs: ClassVar[frozenset[str]] = NEEDS

    def __post_init__(self) -> None:
        _rules("contains-sql", self.value)

    def check(self, answer: Reply, original: Reply | None) -> Check:
        rules, why = _rules("contains-sql", self.value), "the answer is empty"
        for block in list(_blocks(answer.text)) or [answer.text]:
            against = _against(block, rules)
            if against is None:
                return found("contains-sql", True, f"{shown(block)} is SQL")
            why = f"{shown(block)} {against}"
        return found("contains-sql", False, why)


@dataclass(frozen=True)
class _Rules:
    """What SQL is allowed. dialect: as sqlglot names it."""

    dialect: str
    tables: tuple[str, ...] | None
    columns: tuple[str, ...] | None


def _rules(type: str, value: object) -> _Rules:
    given = {} if value is None else value
    if not isinstance(given, dict) or not given.keys() <= {"databaseType", "allowedTables", "allowedColumns"}:
        raise SuiteError(f"{type}: the value must be a mapping of databaseType, allowedTables and allowedColumns")
    name = str(given.get("databaseType") or "MySQL")
    if name.lower() not in DIALECTS:
        raise SuiteError(f"{type}: unknown databaseType {name!r}; allowed: {', '.join(sorted(DIALECTS))}")
    allowed = [_allowed(type, given.get(key)) for key in ("allowedTables", "allowedColumns")]
    return _Rules(DIALECTS[name.lower()], *allowed)


def _allowed(type: str, patterns: object) -> tuple[str, ...] | None:
    if patterns is None:
        return None
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        raise SuiteError(f"{type}: allowedTables and allowedColumns must be lists of text")
    for pattern in patterns:
        Regex(pattern)
    return tuple(patterns)


def _against(text: str, rules: _Rules) -> str | None:
    """Return what speaks against the SQL, None if nothing does."""
    bare = QUOTED.sub(" ? ", text)
    if not text.strip():
        return "is empty"
    if "`" in bare or WRONG_COMMA.search(bare):
        return "is no SQL: a comma or a quote is missing, or there is one too many"
    try:
        statements = _statements(text, rules.dialect)
    except SuiteError as error:
        return f"is no SQL: {error}"
    for kind, used, allowed in (("table", _tables, rules.tables), ("column", _columns, rules.columns)):
        for name in (name for statement in statements for name in used(statement)):
            if allowed is not None and not any(search(f"(?i)^(?:{pattern})$", name) for pattern in allowed):
                return f"uses {kind} {name}, which is not allowed"
    return None


def _statements(text: str, dialect: str) -> list[exp.Expr]:
    """Return the statements of the text; raises SuiteError where there are none, or something else."""
    import sqlglot
    from sqlglot.errors import SqlglotError

    # It would warn of every answer that is no SQL.
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    try:
        found = [one for one in sqlglot.parse(text, dialect=dialect) if one is not None]
        if not found:
            raise SuiteError("there is no statement in it")
    except (SqlglotError, RecursionError) as error:
        raise SuiteError(str(error).partition("\n")[0]) from error
    words = len(text.split()) if len(found) == 1 else 0
    if any(_is_prose(one, words) for one in found):
        raise SuiteError("it is no statement")
    return found


def _is_prose(statement: exp.Expr, words: int) -> bool:
    """Return whether sqlglot read a statement into what is none.

    It takes "hello world" for a column with another name, what it does not know for a command, words after a first
    "use" or "begin" for part of it, a select of nothing and a delete without from. words: 0 where there are several
    statements.
    """
    from sqlglot import exp

    begins = isinstance(statement, exp.Use | exp.Transaction | exp.Commit | exp.Rollback)
    begins = begins or (isinstance(statement, exp.Describe) and not statement.find(exp.Query))
    return (
        isinstance(statement, exp.Condition | exp.Alias | exp.Command)
        or (begins and words > 2)
        or any(not select.expressions for select in statement.find_all(exp.Select))
        or (isinstance(statement, exp.Delete) and not statement.this)
    )


def _tables(statement: exp.Expr) -> Iterator[str]:
    """Yield the tables of a statement as verb::database::table; only what is written to has its verb."""
    from sqlglot import exp

    target = statement.find(exp.Table) if statement.key in ("insert", "update", "delete") else None
    temporary = {each.alias for each in statement.find_all(exp.CTE)}
    for table in statement.find_all(exp.Table):
        if table.name not in temporary:
            verb = statement.key if table is target else "select"
            yield f"{verb}::{table.db or 'null'}::{table.name}"


def _columns(statement: exp.Expr) -> Iterator[str]:
    """Yield the columns of a statement as select::table::column; other names of tables are looked up."""
    from sqlglot import exp

    tables = {table.alias_or_name: table.name for table in statement.find_all(exp.Table)}
    for column in statement.find_all(exp.Column):
        yield f"select::{tables.get(column.table, column.table) or 'null'}::{column.name}"
    if statement.find(exp.Star):
        yield "select::null::(.*)"


def _blocks(text: str) -> Iterator[str]:
    """Yield the code blocks that may be SQL."""
    opened: re.Match[str] | None = None
    for match in FENCE.finditer(text.replace("\r\n", "\n").replace("\r", "\n")):
        if opened is None:
            opened = match
        elif not match["language"] and match["fence"].startswith(opened["fence"]):
            if opened["language"].lower() in ("", "sql"):
                yield match.string[opened.end() : match.start()].strip()
            opened = None


TYPES: dict[str, type] = {"contains-sql": ContainsSql, "is-sql": IsSql}
