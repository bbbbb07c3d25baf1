"""Inventory: settings, versions, storage, tables, figures and report of a home, as plain values.

Belongs here: reading the current state from storage alone, so that it is true after a crash too. Does not belong here:
how it is shown (``cli``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

import pyarrow.fs as pafs

from opengenome_assets import words
from opengenome_assets.engine.java import JavaNotFoundError, find_java
from opengenome_assets.framework.environment import libraries
from opengenome_assets.framework.table import Role, Specs
from opengenome_assets.settings import Setting, Settings
from opengenome_assets.storage.files import filesystem, read_bytes
from opengenome_assets.storage.record import Provenance, unsealed
from opengenome_assets.storage.tables import Home, Table

Outside = Callable[[str], str | None]


@dataclass(frozen=True)
class Usage:
    """Storage used by one part of the home."""

    part: str
    files: int
    bytes: int


@dataclass(frozen=True)
class TableState:
    """A table's current state. If it cannot be read, only ``uri`` and ``state`` are set.

    Attributes
    ----------
    version
        The version that first held these rows; compaction may have rearranged their files since.
    made
        The time of that commit, in ISO 8601 and UTC.
    state
        ``current``; ``from another corpus`` than the newest basis; ``without`` a readable basis; ``not in`` the
        variable that leaves the table out; or ``unreadable`` with the reason.
    """

    name: str
    uri: str
    state: str
    rows: int | None = None
    version: int | None = None
    files: int | None = None
    bytes: int | None = None
    made: str | None = None


@dataclass(frozen=True)
class FigureState:
    """A figure's pictures; ``state`` is as for tables, or ``without record`` if its provenance is missing."""

    name: str
    state: str
    files: list[str]


@dataclass(frozen=True)
class Inventory:
    """The current state of a home, with the settings and versions in use.

    ``unusable`` has the reason for each file that the newest basis leaves out.
    """

    settings: list[Setting]
    versions: dict[str, str]
    storage: list[Usage]
    tables: list[TableState]
    figures: list[FigureState]
    reports: list[str]
    unusable: list[str]


def take_inventory(settings: Settings, specs: Specs, outside: Outside) -> Inventory:
    """Return the inventory of a home.

    Parameters
    ----------
    settings
        The settings, with every group's section.
    specs
        The declarations of tables.
    outside
        From a table's name to the variable whose current value leaves it out; None for a table that is made.
    """
    files = _files(settings.home)
    return Inventory(
        settings=[shown for section in (settings, *settings.sections) for shown in section.shown()],
        versions=_versions(),
        storage=_usage(files),
        tables=table_states(settings.home, specs, outside),
        figures=_figures(settings.home, files, _Judge(Home(settings.home), specs, outside)),
        reports=reports(settings.home),
        unusable=_unusable(Home(settings.home), specs),
    )


def reports(home: str) -> list[str]:
    """Return the addresses of the reports, as HTML, sorted."""
    return [f"{home}/reports/{path}" for path in _files(f"{home}/reports") if path.endswith(".html")]


def table_states(uri: str, specs: Specs, outside: Outside) -> list[TableState]:
    """Return the state of each table of a home."""
    home = Home(uri)
    judge = _Judge(home, specs, outside)
    return [_table(home.table(name), judge) for name in home.names()]


def _unusable(home: Home, specs: Specs) -> list[str]:
    """Return the reasons of the files that the bases leave out, as their records have them."""
    reasons: list[str] = []
    for name in specs.named(Role.BASIS):
        with suppress(Exception):  # not made yet, or unreadable: its own row says so
            reasons += [row["reason"] for row in home.table(name).provenance().settings.get("unusable_files", [])]
    return reasons


def _versions() -> dict[str, str]:
    try:
        java = find_java()
        runtime = f"{java.version} ({java.origin})"
    except JavaNotFoundError:
        runtime = "none"
    return {"java": runtime, **libraries()}


def _files(home: str) -> dict[str, int]:
    """Return the size of each file of the home, by relative path, sorted."""
    fs, root = filesystem(home)
    infos = fs.get_file_info(pafs.FileSelector(root, recursive=True, allow_not_found=True))
    prefix = f"{root.rstrip('/')}/"
    sizes = {info.path.removeprefix(prefix): info.size for info in infos if info.type == pafs.FileType.File}
    return dict(sorted(sizes.items()))


def _usage(files: dict[str, int]) -> list[Usage]:
    parts: dict[str, list[int]] = {}
    for path, size in files.items():
        parts.setdefault(path.partition("/")[0], []).append(size)
    return [Usage(part, len(sizes), sum(sizes)) for part, sizes in parts.items()]


class _Judge:
    """Says whether a table or figure describes the newest version of its basis."""

    def __init__(self, home: Home, specs: Specs, outside: Outside) -> None:
        self.outside = outside
        self.basis = " or ".join(specs.named(Role.BASIS))
        self.corpora: set[str] = set()
        for name in specs.named(Role.BASIS):
            with suppress(Exception):  # not made yet, or unreadable: its own row says so
                self.corpora.add(home.table(name).provenance().corpus)

    def __call__(self, provenance: Provenance) -> str:
        variables = [self.outside(name) for name in provenance.inputs]
        # A figure of several tables is made as long as one of them is.
        if variable := self.outside(provenance.name) or (all(variables) and next(iter(variables), None)):
            return f"not in {variable}"
        if provenance.corpus in (*self.corpora, ""):  # a catalogue comes before the basis
            return "current"
        return "from another corpus" if self.corpora else f"without {self.basis}"


def _table(table: Table, judge: _Judge) -> TableState:
    try:
        now = table.at()
        current = now.history.current
        return TableState(
            name=table.name,
            uri=table.uri,
            state=judge(now.provenance),
            rows=now.rows,
            version=current.number,
            files=len(now.files),
            bytes=now.size,
            made=current.made.isoformat(timespec="seconds"),
        )
    except Exception as error:  # one damaged table must not hide the others
        return TableState(table.name, table.uri, _unreadable(error))


def _figures(home: str, files: Iterable[str], judge: _Judge) -> list[FigureState]:
    pictures: dict[str, list[str]] = {}
    for path in files:
        folder, _, name = path.rpartition("/")
        stem, _, ending = name.rpartition(".")
        if folder == "figures" and ending in ("png", "svg"):
            pictures.setdefault(stem, []).append(f"{home}/{path}")
    return [FigureState(name, _figure_state(home, name, judge), paths) for name, paths in pictures.items()]


def _figure_state(home: str, name: str, judge: _Judge) -> str:
    try:
        record = read_bytes(f"{home}/figures/{name}.json")
        if record is None:
            return "without record"
        return judge(Provenance.model_validate(unsealed(record)["provenance"]))
    except Exception as error:
        return _unreadable(error)


def _unreadable(error: Exception) -> str:
    # Shortened in the middle: the fault and the remedy stand at the ends.
    return words.shorten(f"unreadable: {error}", 300)
