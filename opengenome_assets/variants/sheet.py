"""Sample sheets: CSV files with the columns of nf-core/sarek that say which reads belong to which sample.

Belongs here: reading a sheet, and refusing what cannot be meant. Does not belong here: finding and hashing the files
(``raw_reads.py``), and their content.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("patient", "sample", "sex", "lane", "fastq_1", "fastq_2", "bam", "cram")
INDEXES = ("bai", "crai")  # of sarek's sheets; files are read from end to end, without them
FASTQ = ("fastq_1", "fastq_2")
ALIGNED = ("bam", "cram")
SEXES = {"": "NA", "NA": "NA", "XX": "XX", "XY": "XY", "FEMALE": "XX", "MALE": "XY"}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class SheetError(ValueError):
    """A sample sheet cannot be used. The message names the file and line, and says what is expected."""


@dataclass(frozen=True)
class Lane:
    """One row of a sheet: the reads of a sample from one lane.

    Attributes
    ----------
    patient, sample, sex, lane
        As the sheet has them; the sex is XX, XY or NA.
    columns
        The columns that name its files: ``fastq_1`` and ``fastq_2``, or ``bam``, or ``cram``.
    files
        The files: absolute paths, or places on the Hub.
    named
        The same files as the sheet names them.
    line
        Its line in the sheet, from 1.
    """

    patient: str
    sample: str
    sex: str
    lane: str
    columns: tuple[str, ...]
    files: tuple[str, ...]
    named: tuple[str, ...]
    line: int


def read_sheet(path: Path) -> list[Lane]:
    """Read a sample sheet. Relative paths are relative to its folder.

    Raises
    ------
    SheetError
        If it cannot be read, or any row cannot be used.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SheetError(
            f"{path}: the sample sheet cannot be read ({error}). Name a CSV file in OPENGENOME_SAMPLES"
        ) from error
    return parse_sheet(path, text)


def parse_sheet(path: Path, text: str) -> list[Lane]:
    """Return the lanes of the text of a sheet, which is to lie at a path. Raises the errors of `read_sheet`."""
    lanes = list(_lanes(path, text))
    if not lanes:
        raise SheetError(f"{path}: expected at least one row below the header, found none")
    _refuse_contradictions(path, lanes)
    return lanes


def _lanes(path: Path, text: str) -> Iterator[Lane]:
    reader = csv.DictReader(io.StringIO(text), strict=True, skipinitialspace=True)
    header = [name.strip() for name in reader.fieldnames or []]
    reader.fieldnames = header
    if unknown := [name for name in header if name not in (*COLUMNS, *INDEXES)]:
        raise SheetError(
            f"{path}, line 1: unknown columns {', '.join(map(repr, unknown))}. Expected {', '.join(COLUMNS)}"
        )
    files = [] if set(ALIGNED) & set(header) else FASTQ
    if missing := [name for name in ("sample", *files) if name not in header]:
        raise SheetError(f"{path}, line 1: columns {', '.join(missing)} are missing. Expected {', '.join(COLUMNS)}")
    if len(set(header)) < len(header):
        raise SheetError(f"{path}, line 1: a column is there twice. Expected {', '.join(COLUMNS)}, each once")
    try:
        for row in reader:
            yield _lane(path, reader.line_num, row)
    except csv.Error as error:
        raise SheetError(f"{path}, line {reader.line_num}: no CSV ({error})") from error


def _lane(path: Path, line: int, row: dict[str, str]) -> Lane:
    where = f"{path}, line {line}"
    if None in row or None in row.values():
        raise SheetError(f"{where}: expected as many values as columns")
    cells = {name: value.strip() for name, value in row.items()}
    sample, lane = cells["sample"], cells.get("lane") or "1"
    for name, value in (("sample", sample), ("lane", lane), ("patient", cells.get("patient") or sample)):
        if not NAME.fullmatch(value):
            raise SheetError(
                f"{where}: {name} is {value!r}. Expected letters, digits, '.', '_' and '-', because files, regions and "
                "VCF have this name"
            )
    sex = cells.get("sex", "").upper()
    if sex not in SEXES:
        raise SheetError(f"{where}: sex is {cells['sex']!r}. Expected XX, XY or NA")
    columns = _filled(where, cells)
    named = tuple(cells[name] for name in columns)
    if len(set(named)) < len(named):
        raise SheetError(f"{where}: fastq_1 and fastq_2 are the same file, {named[0]}")
    files = tuple(name if "://" in name else str((path.parent / Path(name).expanduser()).absolute()) for name in named)
    return Lane(cells.get("patient") or sample, sample, SEXES[sex], lane, columns, files, named, line)


def _filled(where: str, cells: dict[str, str]) -> tuple[str, ...]:
    """Return the columns that name the files of a row."""
    aligned = [name for name in ALIGNED if cells.get(name)]
    fastq = [name for name in FASTQ if cells.get(name)]
    if len(aligned) > 1 or (aligned and fastq):
        raise SheetError(
            f"{where}: {' and '.join([*fastq, *aligned])} are filled. Expected either fastq_1 and fastq_2, or bam, or "
            "cram: else reads would count twice"
        )
    if aligned:
        return tuple(aligned)
    for name in FASTQ:
        if name not in fastq:
            raise SheetError(
                f"{where}: {name} is empty. Expected two files, since reads are aligned in pairs; or one in bam or cram"
            )
    return FASTQ


def _refuse_contradictions(path: Path, lanes: list[Lane]) -> None:
    first: dict[tuple[str, str], Lane] = {}
    files: dict[str, Lane] = {}
    samples: dict[str, Lane] = {}
    for lane in lanes:
        before = first.setdefault((lane.sample, lane.lane), lane)
        if before is not lane:
            raise SheetError(
                f"{path}, line {lane.line}: sample {lane.sample}, lane {lane.lane} is on line {before.line} too. Give "
                "each lane of a sample a name of its own, or remove one of the lines"
            )
        known = samples.setdefault(lane.sample, lane)
        for name in ("patient", "sex"):
            if getattr(known, name) != getattr(lane, name):
                raise SheetError(
                    f"{path}, line {lane.line}: sample {lane.sample} has {name} {getattr(lane, name)}, but "
                    f"{getattr(known, name)} on line {known.line}"
                )
        for file in lane.files:
            used = files.setdefault(file, lane)
            if used is not lane:
                raise SheetError(
                    f"{path}, line {lane.line}: {file} is on line {used.line} too. Its reads would count twice"
                )
