"""Results of a job: pages of the versions that it made, in the forms that people and programs read.

Belongs here: pages, and the forms of any table. Does not belong here: forms of one group only, which its kind of job
has.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from opengenome_assets.service.jobs.job import SHORT, Job, NotDoneError, UnknownTableError
from opengenome_assets.service.jobs.records import Result
from opengenome_assets.storage.tables import Home

PAGE = 1_000  # rows
LARGEST_PAGE = 100_000
PARQUET = "application/vnd.apache.parquet"
MEDIA = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "tsv": "text/tab-separated-values",
    "parquet": PARQUET,
}


@dataclass(frozen=True)
class Page:
    """Rows of a table of results, in the order of its key.

    Attributes
    ----------
    table
        The table, with its version and number of rows.
    offset
        Rows before the first.
    rows
        The rows.
    """

    table: Result
    offset: int
    rows: pa.Table

    @property
    def next(self) -> int | None:
        """Offset of the next page; None if this is the last."""
        after = self.offset + self.rows.num_rows
        return after if after < self.table.rows else None


def done_tables(job: Job) -> list[Result]:
    """Return the tables of results of a job.

    Raises
    ------
    NotDoneError
        If it is not done.
    """
    outcome, short = job.outcome, job.id[:SHORT]
    if outcome is None:
        raise NotDoneError(f"job {short} is {job.state}: it has no results yet. Ask for its status, and try again")
    if outcome.state != "done":
        why = f": {outcome.error}" if outcome.error else ". Send it again to have it done"
        raise NotDoneError(f"job {short} is {outcome.state}, and has no results{why}")
    return outcome.tables


def table_of(job: Job, named: str | None) -> Result:
    """Return a table of results by name, or the first.

    Raises
    ------
    NotDoneError
        If the job is not done.
    UnknownTableError
        If it has no such table.
    """
    tables = {each.name: each for each in done_tables(job)}
    name = named or next(iter(tables))
    if name not in tables:
        raise UnknownTableError(f"job {job.id[:SHORT]} has no table {name!a:.80}: expected one of {', '.join(tables)}")
    return tables[name]


def read_page(job: Job, named: str | None = None, offset: int = 0, limit: int | None = PAGE) -> Page:
    """Return rows of a table of results, in the version that the job made.

    Parameters
    ----------
    job
        The job.
    named
        The table; its first if None.
    offset, limit
        Rows to leave out, and maximum number of rows; all if None.

    Raises
    ------
    NotDoneError
        If the job is not done.
    UnknownTableError
        If it has no such table.
    """
    result = table_of(job, named)
    spec = next(each for each in job.kind.results if each.name == result.name)
    rows = Home(str(job.folder)).table(result.name).at(result.version).read()
    rows = rows.sort_by([(name, "ascending") for name in spec.key]) if spec.key else rows
    return Page(result, offset, rows.slice(offset, limit))


def written(rows: pa.Table, form: str) -> bytes:
    """Return rows in a form: ``json`` (a list), ``ndjson``, ``tsv`` with a header, or ``parquet``."""
    if form == "parquet":
        sink = io.BytesIO()
        pq.write_table(rows, sink, compression="zstd")
        return sink.getvalue()
    plain = [_plain(row) for row in rows.to_pylist()]
    if form == "json":
        return json.dumps(plain, ensure_ascii=False).encode()
    if form == "ndjson":
        return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in plain).encode()
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(rows.column_names)
    writer.writerows([_cell(value) for value in row.values()] for row in plain)
    return text.getvalue().encode()


def special(job: Job, form: str) -> tuple[str, bytes]:
    """Return media type and text of a form that the job's kind has.

    Raises
    ------
    NotDoneError
        If the job is not done.
    """
    done_tables(job)
    media, write = job.kind.forms[form]
    return media, write(job.home()).encode()


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as JSON can hold it: it has no numbers that are none."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()
    }


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "" if value is None else value
