"""What there is: settings, versions, storage, tables, figures and report, as plain values.

Read from what lies in storage, not from memory of any run, so that it is true after a crash too. How it is
shown is the command line's business (``cli.py``).
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata

import pyarrow.fs as pafs

from opengenome_assets.resources.files import filesystem
from opengenome_assets.resources.java import JavaNotFoundError, find_java
from opengenome_assets.resources.tables import Tables
from opengenome_assets.settings import Settings

LIBRARIES = ("opengenome-assets", "pyspark", "dagster", "deltalake", "pyarrow", "numba", "numpy", "pandas")


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
    """The newest version of a table; ``made`` is when it was committed, in ISO 8601 and UTC."""

    name: str
    rows: int
    version: int
    files: int
    bytes: int
    made: str
    uri: str


@dataclass(frozen=True)
class Inventory:
    """All of it."""

    settings: list[Setting]
    versions: dict[str, str]
    storage: list[Usage]
    tables: list[TableState]
    figures: list[str]
    reports: list[str]


def take_inventory(settings: Settings) -> Inventory:
    """Look at the settings, the libraries and the home."""
    files = _files(settings.home)
    return Inventory(
        settings=_settings(settings),
        versions=_versions(),
        storage=_usage(files),
        tables=_tables(Tables(home=settings.home)),
        figures=[f"{settings.home}/{path}" for path in files if path.startswith("figures/")],
        reports=[f"{settings.home}/{path}" for path in files if path.startswith("reports/") and path.endswith(".html")],
    )


def _settings(settings: Settings) -> list[Setting]:
    values = {
        "home": settings.home,
        "source": settings.source,
        "spark_master": settings.spark_master,
        "ks": ",".join(map(str, settings.ks)),
        "genetic_codes": ",".join(f"{source}={table}" for source, table in settings.genetic_codes.items()),
    }
    return [Setting(name, value, settings.origins.get(name, "default")) for name, value in values.items()]


def _versions() -> dict[str, str]:
    try:
        java = find_java()
        runtime = f"{java.version} ({java.origin})"
    except JavaNotFoundError:
        runtime = "none"
    libraries = {name: metadata.version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), "java": runtime, **libraries}


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


def _tables(tables: Tables) -> list[TableState]:
    states = []
    for name in tables.names():
        table = tables.open(name)
        files = tables.files(table)
        made = datetime.fromtimestamp(table.history(1)[0]["timestamp"] / 1000, UTC)
        states.append(
            TableState(
                name=name,
                rows=sum(file.rows for file in files),
                version=table.version(),
                files=len(files),
                bytes=sum(file.size for file in files),
                made=made.isoformat(timespec="seconds"),
                uri=tables.uri(name),
            )
        )
    return states
