"""Does everything in a store belong together?"""

from __future__ import annotations

from collections.abc import Iterator

from harness.stores.file import DuckdbFile

LACKING = {
    "verdicts whose runs are gone": "SELECT count(*) FROM verdicts WHERE before_run != '' AND NOT EXISTS"
    " (SELECT 1 FROM runs WHERE id = before_run)",
    "runs whose stages are gone": "SELECT count(*) FROM run_stages WHERE NOT EXISTS"
    " (SELECT 1 FROM stages WHERE id = stage)",
    # A sequential plan asks no more of a suite than its gates need.
    "runs with stages that are not finished": "SELECT count(DISTINCT l.run) FROM run_stages l"
    " JOIN stages s ON s.id = l.stage JOIN runs r ON r.id = l.run JOIN jobs j ON j.id = r.job"
    " WHERE s.finished IS NULL"
    " AND NOT (s.kind = 'suite' AND coalesce(CAST(j.plan->>'$.sequential' AS BOOLEAN), false))",
    "verdicts without derived rows; `secateur store check --rebuild` makes them": "SELECT count(*) FROM verdicts v"
    " WHERE before_run != '' AND NOT EXISTS (SELECT 1 FROM deltas d WHERE (d.job, d.candidate) = (v.job, v.candidate))",
}
"""What may be wrong -> how often it is."""


def counted(file: DuckdbFile) -> Iterator[str]:
    """A line a table."""
    for (table,) in file.rows("SELECT table_name FROM duckdb_tables() ORDER BY table_name"):
        yield f"{table:16}{file.rows(f'SELECT count(*) FROM {table}')[0][0]:>12,}"


def faults(file: DuckdbFile) -> list[str]:
    """What does not belong together, a line each; none for a sound store."""
    found = {what: file.rows(sql)[0][0] for what, sql in LACKING.items()}
    return [f"{number} {what}" for what, number in found.items() if number]
