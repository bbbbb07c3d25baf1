"""Submission: one more row in the sample sheet.

Belongs here: the row, looking at its files, and writing the sheet. Does not belong here: what a sheet may say
(``sheet.py``), and the command's words (``commands.py``).

The sheet is replaced atomically and one submission waits for another, so that none is lost.
"""

from __future__ import annotations

import csv
import fcntl
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.storage.files import write_bytes
from opengenome_assets.variants.passes.extraction import refuse_truncated
from opengenome_assets.variants.passes.pairs import LaneReads, paired
from opengenome_assets.variants.sheet import COLUMNS, Lane, SheetError, parse_sheet

NEW = ("patient", "sample", "sex", "lane", "fastq_1", "fastq_2")  # the header of a sheet that is begun


def submit(sheet: Path, row: Mapping[str, str]) -> Lane:
    """Add a row to a sheet, or begin the sheet.

    Parameters
    ----------
    sheet
        The CSV file.
    row
        Values by column. Paths are absolute, or places on the Hub.

    Returns
    -------
    Lane
        The row, as it is read.

    Raises
    ------
    SheetError
        If the sheet cannot be read, or the row contradicts it. The sheet stays as it is.
    OSError, FastqError, StreamError, UnusableReadsError
        If a file is not there, or does not begin as one of its kind.
    """
    with _alone(sheet):
        text = sheet.read_text(encoding="utf-8-sig") if sheet.exists() else ""
        before = parse_sheet(sheet, text) if text.strip() else []
        _refuse_known(sheet, before, row)
        changed = _added(text, row)
        lane = parse_sheet(sheet, changed)[-1]
        _look_at(lane)
        write_bytes(str(sheet), changed.encode())
    return lane


@contextmanager
def _alone(sheet: Path) -> Iterator[None]:
    """Wait until nobody else submits to a sheet of this folder. The system lets go when this process dies."""
    sheet.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(sheet.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _refuse_known(sheet: Path, lanes: list[Lane], row: Mapping[str, str]) -> None:
    known = [lane for lane in lanes if lane.sample == row["sample"]]
    if known and not row.get("lane"):
        listed = ", ".join(f"{lane.lane} on line {lane.line}" for lane in known)
        raise SheetError(
            f"{sheet}: sample {row['sample']} is there already, lane {listed}. Name another lane with --lane to add "
            "reads to it, or give the sample another name"
        )


def _added(text: str, row: Mapping[str, str]) -> str:
    """Return the text of a sheet with a row more, and with columns more if the row needs them."""
    rows = list(csv.reader(io.StringIO(text), skipinitialspace=True)) or [list(NEW)]
    header = [name.strip() for name in rows[0]]
    missing = [name for name in COLUMNS if row.get(name) and name not in header]
    values = [row.get(name, "") for name in (*header, *missing)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if missing or not text.strip():
        writer.writerow([*header, *missing])
        writer.writerows([*cells, *[""] * len(missing)] for cells in rows[1:] if cells)
    else:  # lines that are there stay as they were written
        out.write(text if text.endswith("\n") else f"{text}\n")
    writer.writerow(values)
    return out.getvalue()


def _look_at(lane: Lane) -> None:
    """Refuse files that are not there, or whose first reads are not what the sheet says."""
    local = [StoredFile(named, file) for named, file in zip(lane.named, lane.files, strict=True) if "://" not in file]
    for file in local:
        with open(file.uri, "rb"):
            pass
    if len(local) < len(lane.files):
        return  # the Hub's are looked at when they are fetched
    if len(local) == 1:
        refuse_truncated(local[0])
    else:
        next(paired(LaneReads(lane.lane, tuple(local))), None)
