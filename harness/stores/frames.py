"""Tables and views as pandas, for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.stores.rows import Connection
from suites.document import suggestion

if TYPE_CHECKING:
    from pandas import DataFrame


def framed(db: Connection, name: str, where: Mapping[str, object]) -> DataFrame:
    """The rows of a table or view with these values; an empty value asks for empty ones."""
    import pandas

    tables = "SELECT table_name FROM duckdb_tables() UNION SELECT view_name FROM duckdb_views() WHERE NOT internal"
    _refuse_unknown("table or view", name, sorted(_strings(db, tables)))
    columns = _strings(db, f"SELECT column_name FROM duckdb_columns() WHERE table_name = '{name}'")
    for column in where:
        _refuse_unknown(f"column of {name}", column, columns)
    conditions = " AND ".join(f'"{column}" IS NOT DISTINCT FROM ?' for column in where) or "true"
    frame = db.execute(f'SELECT * FROM "{name}" WHERE {conditions}', list(where.values())).df()
    for column in {"started", "finished", "created", "due", "blessed"} & set(frame.columns):
        frame[column] = pandas.to_datetime(frame[column], utc=True)
    return frame


def _strings(db: Connection, sql: str) -> list[str]:
    return [row[0] for row in db.execute(sql).fetchall()]


def _refuse_unknown(what: str, name: str, known: list[str]) -> None:
    if name not in known:
        raise HarnessError(f"no {what} {name!r}{suggestion(name, known) or ';'} there are: {', '.join(known)}")
