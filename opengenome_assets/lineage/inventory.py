"""What there is: settings, versions, storage, tables, figures and report, as plain values.

Read from what lies in storage, not from memory of any run, so that it is true after a crash too. How it is
shown is the command line's business (``cli``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import pyarrow.fs as pafs

from opengenome_assets import words
from opengenome_assets.engine.java import JavaNotFoundError, find_java
from opengenome_assets.framework.environment import libraries
from opengenome_assets.settings import Settings
from opengenome_assets.storage.files import filesystem, read_bytes
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Tables


@dataclass(frozen=True)
class Setting:
    """A setting, its value, and the environment variable it came from (or ``default``)."""

    name: str
    value: str
    origin: str


@dataclass(frozen=True)
class Usage:
    """Storage used by one part of the home."""

    part: str
    files: int
    bytes: int


@dataclass(frozen=True)
class TableState:
    """A table as it is now; of one that cannot be read only where it lies.

    Attributes
    ----------
    version
        The version that first held these rows; upkeep may have rearranged their files since.
    made
        When that was committed, in ISO 8601 and UTC.
    state
        ``current``, ``from another corpus`` than the newest sequence_shards, ``without
        sequence_shards`` that could be compared, ``not in OPENGENOME_KS``, or ``unreadable`` with the reason.
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
    """A figure's pictures; ``state`` is as for tables, or ``without record`` of what made it."""

    name: str
    state: str
    files: list[str]


@dataclass(frozen=True)
class Inventory:
    """All of it."""

    settings: list[Setting]
    versions: dict[str, str]
    storage: list[Usage]
    tables: list[TableState]
    figures: list[FigureState]
    reports: list[str]


def take_inventory(settings: Settings) -> Inventory:
    """Look at the settings, the libraries and the home."""
    files = _files(settings.home)
    judge = _Judge(Tables(home=settings.home), settings.ks)
    return Inventory(
        settings=_settings(settings),
        versions=_versions(),
        storage=_usage(files),
        tables=table_states(settings),
        figures=_figures(settings.home, files, judge),
        reports=[f"{settings.home}/{path}" for path in files if path.startswith("reports/") and path.endswith(".html")],
    )


def table_states(settings: Settings) -> list[TableState]:
    """Look at the tables alone."""
    tables = Tables(home=settings.home)
    judge = _Judge(tables, settings.ks)
    return [_table(tables, name, judge) for name in tables.names()]


def _settings(settings: Settings) -> list[Setting]:
    values = {
        "home": settings.home,
        "source": settings.source,
        "queries": settings.queries or "none",
        "spark_master": settings.spark_master,
        "ks": ",".join(map(str, settings.ks)),
        "genetic_codes": ",".join(f"{source}={table}" for source, table in settings.genetic_codes.items())
        or "by source: the sample's its own, else 1",
    }
    return [Setting(name, value, settings.origins.get(name, "default")) for name, value in values.items()]


def _versions() -> dict[str, str]:
    try:
        java = find_java()
        runtime = f"{java.version} ({java.origin})"
    except JavaNotFoundError:
        runtime = "none"
    return {"java": runtime, **libraries()}


def _files(home: str) -> dict[str, int]:
    """Return the size of every file under the home, by its path there, sorted."""
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
    """Says whether what was made describes the newest corpus."""

    def __init__(self, tables: Tables, ks: Sequence[int]) -> None:
        self.ks = ks
        self.corpus: str | None = None
        with suppress(Exception):  # not made yet, or its own row says what is wrong
            self.corpus = tables.provenance("sequence_shards").corpus

    def __call__(self, name: str, made: Provenance) -> str:
        k = re.fullmatch(r"(?:kmer_freq|figure_kmers)_k(\d+)", name)
        if k and int(k[1]) not in self.ks:
            return "not in OPENGENOME_KS"
        if made.corpus in (self.corpus, ""):  # raw_fasta comes before the corpus
            return "current"
        return "from another corpus" if self.corpus else "without sequence_shards"


def _table(tables: Tables, name: str, judge: _Judge) -> TableState:
    uri = tables.uri(name)
    try:
        table = tables.open(name)
        files = tables.files(table)
        current = tables.history(name).current
        return TableState(
            name=name,
            uri=uri,
            state=judge(name, tables.provenance(name)),
            rows=sum(file.rows for file in files),
            version=current.number,
            files=len(files),
            bytes=sum(file.size for file in files),
            made=current.made.isoformat(timespec="seconds"),
        )
    except Exception as error:  # whatever is wrong with one table, the others are there
        return TableState(name, uri, _unreadable(error))


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
        return judge(name, Provenance.model_validate(json.loads(record)["provenance"]))
    except Exception as error:
        return _unreadable(error)


def _unreadable(error: Exception) -> str:
    # Both ends: what is wrong, and what to do.
    return words.shorten(f"unreadable: {error}", 300)
