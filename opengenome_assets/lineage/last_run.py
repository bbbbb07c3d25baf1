"""The last run: what decided it, what it left, and what was told at its end.

A run whose program, settings and input are those of the last run, in a home that is as that run left it, would find
nothing to make. So it need not begin. Files are compared as ``git status`` compares them, by size and time stamps.

Belongs here: that comparison, and the record that it needs. Does not belong here: which files a group reads (its
``group.py``), and how a run is told (``cli/run.py``).
"""

from __future__ import annotations

import os
import site
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import opengenome_assets
from opengenome_assets.settings import Settings, dagster_home, local_home
from opengenome_assets.storage.files import YOUNG_NANOSECONDS, read_bytes, stamp, write_bytes
from opengenome_assets.storage.record import digest, sealed, unsealed

RECORD = ".last_run.json"
OTHERS = ("access", "dagster", "jobs")  # folders of a home that no asset writes
TABLES_AND_FIGURES = ("tables", "figures")
TICK_NANOSECONDS = 10_000_000

Stamp = tuple[str, int, int, int]
"""Path, and what `stamp` says of it."""


@dataclass(frozen=True)
class Told:
    """What a run told at its end.

    Attributes
    ----------
    run_id, ended
        Its id in Dagster's records, and its end in ISO 8601 and UTC.
    found
        Titles, each with lines: what the groups' tables hold.
    warnings
        Cells of two columns: what it warned of.
    """

    run_id: str
    ended: str
    found: Sequence[tuple[str, Sequence[str]]]
    warnings: Sequence[tuple[str, str]]


def decision(settings: Settings, asked: Sequence[str | None], read: Iterable[str]) -> str | None:
    """Return a digest of all that decides a run except the home.

    Parameters
    ----------
    settings
        The settings, with every group's section.
    asked
        What else the command was given: the selection and the run config.
    read
        Local files and folders that the assets read, and places elsewhere with their state.

    Returns
    -------
    str or None
        64 hexadecimal digits; None if a file has just changed, so that a second change might not be seen.

    Raises
    ------
    OSError
        If a file cannot be looked at.
    """
    places = sorted(set(read))
    stamps = [each for place in places if "://" not in place for each in _stamps(Path(place))]
    program = [each for each in _stamps(Path(opengenome_assets.__file__).parent) if not each[0].endswith(".pyc")]
    if any(changed > time.time_ns() - YOUNG_NANOSECONDS for *_, changed in (*stamps, *program)):
        return None
    sections = (settings, *settings.sections)
    return digest(
        {
            "program": [sys.version, _libraries(), program],
            "settings": [section.model_dump(mode="json", exclude={"sections"}) for section in sections],
            "dagster_home": str(dagster_home().absolute()),
            "asked": asked,
            "places": places,
            "stamps": stamps,
        }
    )


def remember(home: str, decided: str | None, told: Told, started: float, made: Collection[str]) -> None:
    """Record a run that has succeeded, unless something else wrote to its home meanwhile.

    Parameters
    ----------
    home
        The home's address. Of an object store nothing is recorded, since listing it costs as much as it saves.
    decided
        The `decision` before the run.
    told
        What the run told.
    started
        A moment before the run, in seconds since 1970.
    made
        Tables, figures and reports whose records name this run.
    """
    if decided is None or "://" in home:
        return
    since = int(started * 1e9) - TICK_NANOSECONDS
    with suppress(OSError):  # a full disk, or a file that is gone meanwhile, costs the next run its haste
        left = list(_left(home))
        if not any(changed >= since and _is_of_another(home, path, made) for path, *_, changed in left):
            write_bytes(f"{home}/{RECORD}", sealed({"decided": decided, "left": digest(left), "told": asdict(told)}))


def recall(home: str, decided: str | None) -> Told | None:
    """Return what the last run told; None if a run might find something to make, or Dagster does not know that run."""
    if decided is None or "://" in home:
        return None
    try:
        record = unsealed(read_bytes(f"{home}/{RECORD}") or b"")
        told = Told(**record["told"])
        if record["decided"] != decided or record["left"] != digest(list(_left(home))):
            return None
    except (OSError, ValueError, KeyError, TypeError):  # none yet, damaged, or of another version
        return None
    return told if (local_home(home) / "dagster" / "history" / "runs" / f"{told.run_id}.db").exists() else None


def _left(home: str) -> Iterator[Stamp]:
    """Yield the files of a home that assets write. Those with a dot at the start are locks and hints."""
    for place in sorted(Path(home).iterdir()):
        if place.name not in OTHERS:
            yield from (each for each in _stamps(place) if not os.path.basename(each[0]).startswith("."))


def _is_of_another(home: str, path: str, made: Collection[str]) -> bool:
    """Tell whether a file belongs to a table or figure that is not among those made."""
    kind, name, *_ = Path(path).relative_to(home).parts
    return kind in TABLES_AND_FIGURES and name.partition(".")[0] not in made


def _stamps(place: Path) -> Iterator[Stamp]:
    """Yield the stamps of a file, or of all files below a folder, sorted by path; links are followed, each once."""
    if not place.is_dir():
        yield _stamp(place)
        return
    visited: set[str] = set()
    for parent, folders, names in os.walk(place, followlinks=True):
        folder = os.path.realpath(parent)
        if folder in visited:
            folders.clear()
            continue
        visited.add(folder)
        folders.sort()
        for name in sorted(names):
            yield _stamp(Path(parent, name))


def _stamp(file: Path) -> Stamp:
    size, content, anything = stamp(file)
    return str(file), size, content, anything


def _libraries() -> list[str]:
    """Return the installed distributions, each with its version, by the names of their folders."""
    folders = [Path(folder) for folder in site.getsitepackages() if os.path.isdir(folder)]
    return sorted(entry.name for folder in folders for entry in folder.iterdir() if entry.suffix == ".dist-info")
