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

COLUMNS = ("patient", "sample", "sex", "lane", "fastq_1", "fastq_2")
REQUIRED = ("sample", "fastq_1", "fastq_2")
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
    fastq
        The files of mates 1 and 2: absolute paths, or places on the Hub.
    named
        The same files as the sheet names them.
    line
        Its line in the sheet, from 1.
    """

    patient: str
    sample: str
    sex: str
    lane: str
    fastq: tuple[str, str]
    named: tuple[str, str]
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
    lanes = list(_lanes(path, text))
    if not lanes:
        raise SheetError(f"{path}: expected at least one row below the header, found none")
    _refuse_contradictions(path, lanes)
    return lanes


def _lanes(path: Path, text: str) -> Iterator[Lane]:
    reader = csv.DictReader(io.StringIO(text), strict=True, skipinitialspace=True)
    header = [name.strip() for name in reader.fieldnames or []]
    reader.fieldnames = header
    aligned = {"bam", "cram", "bai", "crai"} & set(header)
    if unknown := [name for name in header if name not in (*COLUMNS, *aligned)]:
        raise SheetError(
            f"{path}, line 1: unknown columns {', '.join(map(repr, unknown))}. Expected {', '.join(COLUMNS)}"
        )
    if missing := [name for name in REQUIRED if name not in header]:
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
    for name in ("bam", "cram"):
        if cells.get(name):
            raise SheetError(
                f"{where}: {name} is {cells[name]!r}, but reads are taken as FASTQ. Write them with: samtools collate "
                f"-Ou {cells[name]} | samtools fastq -1 1.fq.gz -2 2.fq.gz -0 /dev/null -s /dev/null"
            )
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
    for name in ("fastq_1", "fastq_2"):
        if not cells[name]:
            raise SheetError(f"{where}: {name} is empty. Expected two files: reads are aligned in pairs")
    named = cells["fastq_1"], cells["fastq_2"]
    if named[0] == named[1]:
        raise SheetError(f"{where}: fastq_1 and fastq_2 are the same file, {named[0]}")
    first, second = (
        name if "://" in name else str((path.parent / Path(name).expanduser()).absolute()) for name in named
    )
    return Lane(cells.get("patient") or sample, sample, SEXES[sex], lane, (first, second), named, line)


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
        for file in lane.fastq:
            used = files.setdefault(file, lane)
            if used is not lane:
                raise SheetError(
                    f"{path}, line {lane.line}: {file} is on line {used.line} too. Its reads would count twice"
                )
