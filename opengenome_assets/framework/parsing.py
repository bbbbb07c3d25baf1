"""Files that are parsed into two tables, accepted rows and refused records, and those that cannot be used.

Belongs here: how a faulty file becomes a result, which share of such files is borne, and how they are named in a
record and in the table of refused records. Does not belong here: the parsers (``passes/parse.py`` of a group), and what
is refused in a file that can be read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa

from opengenome_assets.framework.table import TableSpec
from opengenome_assets.intake.streams import ChangedError, StreamError
from opengenome_assets.kernels.fasta import FastaError
from opengenome_assets.storage.parts import Part, write_part
from opengenome_assets.storage.record import digest
from opengenome_assets.storage.tables import Home

UNUSABLE = "unusable_files"  # in the record of a table: files that were left out, each with source, file and reason
UNUSABLE_KIND = "the file cannot be used"  # in the table of refused records
NAMED = 20

Task = TypeVar("Task")


class TooManyUnusableError(ValueError):
    """More files cannot be used than a setting allows; the message names them and says what to do."""


@dataclass(frozen=True)
class Parsed:
    """Result of a file: its parts in the two tables, or the reason why it could not be used."""

    accepted: Part | None = None
    rejected: Part | None = None
    error: str | None = None


def attempt(parse: Callable[[Task], Parsed], task: Task, catalogue: TableSpec) -> Parsed:
    """Return what ``parse`` makes of a file. A faulty file is a result, not an exception: the others go on."""
    try:
        return parse(task)
    except ChangedError as error:
        return Parsed(error=f"{error}. Materialise {catalogue.name} again")
    except (FastaError, StreamError) as error:
        return Parsed(error=str(error))


def allowing(spec: TableSpec, share: float) -> str:
    """Return the run config, as JSON, that allows a share of refused records, in [0, 1], in the step of a table."""
    config = {"max_rejected_share": math.ceil(100 * share) / 100}
    return json.dumps({"ops": {spec.name: {"config": config}}})


def usable_parts(
    files: Sequence[tuple[str, str]], results: Iterable[Parsed | None], most: float, advice: str
) -> tuple[list[tuple[Part, Part]], list[dict[str, str]]]:
    """Return the parts (accepted rows, refused records) of every file that can be used, and the others with the reason.

    Parameters
    ----------
    files, results
        Source and path of each file, and what became of it; None if it was not parsed.
    most
        The share of all files that may be unusable, in [0, 1].
    advice
        What to do if there are more; the end of the message.

    Raises
    ------
    TooManyUnusableError
        The message names the files. The parts of the others are kept for the next run.
    """
    parts, unusable = [], []
    for (source, path), result in zip(files, results, strict=True):
        if result is None or result.accepted is None or result.rejected is None:
            reason = (result and result.error) or f"{path}: not parsed"
            unusable.append({"source": source, "file": path, "reason": reason})
        else:
            parts.append((result.accepted, result.rejected))
    if len(unusable) > most * len(files):
        listed = "\n".join(f"- {row['reason']}" for row in unusable[:NAMED])
        more = f"\n- and {len(unusable) - NAMED:,} more" if len(unusable) > NAMED else ""
        raise TooManyUnusableError(
            f"{len(unusable):,} of {len(files):,} files cannot be used, more than the {most:.0%} that "
            f"max_unusable_share allows:\n{listed}{more}\n{advice}. Nothing was published; the {len(parts):,} files "
            "parsed are kept and will not be parsed again"
        )
    return parts, unusable


def unusable_part(home: Home, spec: TableSpec, unusable: Iterable[Mapping[str, str]]) -> Part:
    """Write the refused records that name the files that are left out, each as the record 0 of its file."""
    rows = [{**row, "record": 0, "line": 0, "header": "", "kind": UNUSABLE_KIND} for row in unusable]
    key = digest([spec.code_version, UNUSABLE, rows])
    if found := home.table(spec).parts().find(key):
        return found
    return write_part(home.table(spec).uri, key, pa.Table.from_pylist(rows, schema=spec.schema))
