"""Results: what was measured, one JSON file per processor, so that each row is measured alone and kept.

Belongs here: reading and writing these files. Does not belong here: the page that is drawn from them (``page.py``).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter

from benchmarks.report import Row

ENDING = ".json"


@dataclass(frozen=True)
class Measured:
    """A row as it was measured once.

    Attributes
    ----------
    date
        The day, as 2026-11-28.
    bases
        The size that was asked for.
    row
        The row.
    load
        Processes that others ran or waited to run when it began (load average over a minute), if it is known.
    """

    date: str
    bases: int
    row: Row
    load: float | None = None


@dataclass(frozen=True)
class Processor:
    """The rows measured on a processor.

    Attributes
    ----------
    name
        The processor.
    rows
        The rows, by name.
    machines
        The machine and its software by the day of a row.
    """

    name: str
    rows: Mapping[str, Measured] = field(default_factory=dict)
    machines: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


_JSON = TypeAdapter(Processor)


def read_all(folder: Path) -> list[Processor]:
    """Return the processors whose results a folder holds, by name.

    Raises
    ------
    ValueError
        If a file is not such a result; it names the file and the field.
    """
    return sorted((_read(file) for file in folder.glob(f"*{ENDING}")), key=lambda processor: processor.name)


def keep(folder: Path, machine: Mapping[str, str], rows: Mapping[str, Measured]) -> None:
    """Replace the rows that were measured on this machine, and leave its others and other processors as they are."""
    file = folder / f"{_slug(machine['processor'])}{ENDING}"
    before = _read(file) if file.exists() else Processor(machine["processor"])
    kept = {**before.rows, **rows}
    machines = {**before.machines, **{each.date: dict(machine) for each in rows.values()}}
    days = {each.date for each in kept.values()}
    after = replace(before, rows=kept, machines={day: machines[day] for day in sorted(days)})
    folder.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".tmp")
    temporary.write_bytes(_JSON.dump_json(after, indent=2, exclude_defaults=True) + b"\n")
    temporary.replace(file)


def _read(file: Path) -> Processor:
    try:
        return _JSON.validate_json(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"{file}: expected a processor's results. {error}") from error


def _slug(processor: str) -> str:
    """Return a processor's name for a file: letters and digits."""
    return "-".join(re.findall("[a-z0-9]+", processor.lower()))
