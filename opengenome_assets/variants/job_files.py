"""Files of a job of samples: the sheet, the reads that it names, and where they lie.

Belongs here: which files belong to a job, and whether the server may read them. Does not belong here: what is in them,
which is looked at when the job is sent (``jobs.py``).

A relative name in the sheet is a file that was sent; folders before it do not count. An absolute one is a file that the
server reads itself, below one of the folders of OPENGENOME_READ_FOLDERS. It is not copied, so the job fails by its name
if it is gone or changed when the work begins.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from opengenome_assets.framework.jobs import RefusedError, Sent, SentFile
from opengenome_assets.variants.settings import VariantsSettings
from opengenome_assets.variants.sheet import COLUMNS, Lane, SheetError, parse_sheet
from opengenome_assets.words import listing

SHEET, READS, OWN_REFERENCE = "sheet", "reads", "reference"
OWN_SHEET = "sheet.csv"


def role_of(name: str) -> str:
    """Return the role of a file by the ending of its name."""
    from opengenome_assets.intake.kinds import FASTA

    return SHEET if name.lower().endswith(".csv") else OWN_REFERENCE if FASTA.has_name(name) else READS


def named_by(sheet: Path) -> list[tuple[str, Path]]:
    """Return the files of this machine that a sheet names by relative paths, with their role; they are sent with it.

    Raises
    ------
    SheetError
        If the sheet cannot be read.
    """
    try:
        text = sheet.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SheetError(f"{sheet}: the sample sheet cannot be read ({error}). Name a CSV file") from error
    found = [
        Path(file)
        for lane in parse_sheet(sheet, text)
        for name, file in zip(lane.named, lane.files, strict=True)
        if not is_on_server(name)
    ]
    return [(READS, path) for path in found]


def lanes_of(sent: Sent) -> list[Lane]:
    """Return the lanes of the sheet that was sent.

    Raises
    ------
    RefusedError
        If there is not one sheet, or it cannot be used.
    """
    try:
        text = sheet_of(sent).path.read_text(encoding="utf-8-sig")
        return parse_sheet(Path(sheet_of(sent).name), text)
    except UnicodeDecodeError as error:
        raise RefusedError([f"{sheet_of(sent).name}: expected CSV in UTF-8, found other bytes ({error})"]) from error
    except SheetError as error:
        raise RefusedError([str(error).replace(f"{Path.cwd()}/", "")]) from error


def sheet_of(sent: Sent) -> SentFile:
    """Return the sheet that was sent.

    Raises
    ------
    RefusedError
        If there is not one, or there are several references.
    """
    if len(sheets := sent.of(SHEET)) != 1:
        names = listing([file.name for file in sheets], 10) or "none"
        raise RefusedError([f"expected one sample sheet, found {names}. Send a job for each sheet"])
    if len(sent.of(OWN_REFERENCE)) > 1:
        raise RefusedError(["expected one reference at most, found several. Put all contigs into one FASTA file"])
    return sheets[0]


def is_on_server(name: str) -> bool:
    """Return whether a sheet names a file that the server reads itself."""
    return name.startswith("/") or "://" in name


def place_of(sent: Sent, name: str) -> str:
    """Return where a file that the sheet names lies.

    Raises
    ------
    ValueError
        If it was not sent, or the server may not read it. The message does not say whether a file outside exists.
    """
    from opengenome_assets.intake.kinds import ALIGNED, FASTQ

    if not (FASTQ.has_name(Path(name).name) or ALIGNED.has_name(Path(name).name)):
        endings = ", ".join((*FASTQ.endings, *ALIGNED.endings))
        raise ValueError(f"expected a name that ends in {endings}, compressed or not; found {name[:200]!a}")
    if not is_on_server(name):
        sent_file = next((file for file in sent.of(READS) if file.name == Path(name).name), None)
        if sent_file is None:
            raise ValueError(
                f"{Path(name).name[:200]!a} was not sent. Send it with the role {READS}, or name a file of the server "
                "by its absolute path"
            )
        return str(sent_file.path)
    given = sent.platform.section(VariantsSettings).read_folders.split(",")
    folders = [folder for each in given if (folder := each.strip())]
    place = Path(os.path.realpath(name))  # so that neither .. nor a link leads out
    if "://" in name or not any(place.is_relative_to(os.path.realpath(folder)) for folder in folders):
        raise ValueError(
            f"{name[:200]!a} is not below a folder that the server may read: expected "
            f"{listing(folders, 5) or 'none, since OPENGENOME_READ_FOLDERS is not set'}. Send the file instead"
        )
    try:
        with place.open("rb"):
            pass
    except OSError as error:
        raise ValueError(f"{name[:200]!a} cannot be read: {error.strerror}") from error
    return str(place)


def copies_in(sent: Sent) -> Iterator[str]:
    """Yield files that hold the same bytes."""
    first: dict[str, SentFile] = {}
    for file in sent.of(READS):
        if (before := first.setdefault(file.sha256, file)) is not file:
            yield f"{file.name} holds the same bytes as {before.name}: its reads would count twice. Remove one of them"


def write_own_sheet(sent: Sent) -> str:
    """Write the sheet with the places of the files, beside those that were sent; return its path."""
    path = sent.folder / "files" / READS / OWN_SHEET
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for lane in lanes_of(sent):
            files = {
                column: name if is_on_server(name) else Path(name).name
                for column, name in zip(lane.columns, lane.named, strict=True)
            }
            row = {"patient": lane.patient, "sample": lane.sample, "sex": lane.sex, "lane": lane.lane}
            writer.writerow({**row, **files})
    return str(path)


def state_or_none(name: str) -> Sequence[int] | None:
    """Return the state of a file that a setting names; None if it is gone."""
    try:
        return state_of(Path(name).expanduser().absolute())
    except OSError:
        return None


def state_of(path: Path) -> Sequence[int]:
    """Return what changes when a file does: size and time of change, in nanoseconds."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]
