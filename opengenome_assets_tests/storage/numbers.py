"""A small table of numbers, each number a part of its own, as the tests of tables, packs and vacuum use it."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from opengenome_assets.storage.columns import column
from opengenome_assets.storage.packs import PackSizes, PartIndex
from opengenome_assets.storage.parts import Part, PartWriter
from opengenome_assets.storage.record import Input, Provenance
from opengenome_assets.storage.tables import Commit, Compaction, Home

NAME = "numbers"
SCHEMA = pa.schema([column("number", pa.int64(), "A number"), column("text", pa.large_string(), "It, as text")])
SIZES = PackSizes(small=50_000, size=10**6, parts=1000)


def rows(*numbers: int) -> pa.Table:
    return pa.table([list(numbers), [f"number {number}" for number in numbers]], schema=SCHEMA)


def make(home: Home, number: int, name: str = NAME) -> Part:
    """Find or write the part of a number: two files, of two row groups and one."""
    uri, key = home.table(name).uri, f"{number:03d}"
    if part := PartIndex(uri).find(key):
        return part
    with PartWriter(uri, key, SCHEMA) as writer:
        writer.write(rows(10 * number, 10 * number + 1))
        writer.write(rows(10 * number + 2))
        writer.close_file()
        writer.write(rows(10 * number + 3))
        return writer.finish(source=f"source {number}")


def commit(home: Home, numbers: Iterable[int], name: str = NAME, inputs: dict[str, int] | None = None) -> Commit:
    """Make a table consist of the parts of these numbers, from versions of others."""
    wanted = sorted(numbers)
    given = {upstream: Input(version=version, data_version="") for upstream, version in (inputs or {}).items()}
    record = Provenance(name=name, code_version=str(wanted), inputs=given, run_id="r")
    return home.table(name).commit(SCHEMA, [make(home, number, name) for number in wanted], record)


def compact(home: Home, **sizes: int) -> Compaction:
    return home.table(NAME).compact(replace(SIZES, **sizes))


def content(home: Home, version: int | None = None, name: str = NAME) -> list[dict[str, Any]]:
    """The rows of a table, in order."""
    return home.table(name).at(version).read().to_pylist()


def held(*numbers: int) -> list[dict[str, Any]]:
    """What a table of the parts of these numbers holds, in order."""
    return rows(*(10 * number + place for number in sorted(numbers) for place in range(4))).to_pylist()


def paths(home: Home, name: str = NAME) -> list[str]:
    return [file.path for file in home.table(name).at().files]


def stored(home: Home, name: str = NAME) -> set[str]:
    """Every file and folder of a table, without its log and the number of its newest version."""
    folder = Path(home.table(name).uri)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    return {path for path in found if not path.startswith(("_delta_log", ".newest"))}
