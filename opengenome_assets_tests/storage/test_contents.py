"""Contents: another valid Parquet file in a file's place is refused, however much the two have in common."""

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from opengenome_assets.storage.contents import content_of
from opengenome_assets.storage.packs import PackSizes
from opengenome_assets.storage.parquet.file import DamagedFileError
from opengenome_assets.storage.parts import PartWriter
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home, Table

SCHEMA = pa.schema([("name", pa.string()), ("letters", pa.large_string()), ("length", pa.int64())])
KEYS = {"one": "ACGT" * 2000, "two": "TCGA" * 2000}


def made(table: Table) -> list[Path]:
    """Commit two parts whose files have the same size, rows and footer, and return the files."""
    parts = []
    for key, letters in KEYS.items():
        with PartWriter(table.uri, key, SCHEMA) as writer:
            writer.write(pa.table([[key] * 3, [letters] * 3, [len(letters)] * 3], schema=SCHEMA))
            parts.append(writer.finish())
    table.commit(SCHEMA, parts, Provenance(name=table.name, code_version="1"))
    return [Path(table.uri, file.path) for file in table.at().files]


def readings(table: Table):
    """Return every way to read a table."""
    return [
        lambda: table.read(),
        lambda: table.read(["length"]),
        lambda: list(table.row_groups(["name"])),
        lambda: list(table.row_groups(["name"], ("length", 8000))),
        lambda: list(table.at().by_part(["name"])),
        lambda: table.at().spread(["name"], 6),
        lambda: table.compact(PackSizes(small=10**6, size=10**6, parts=9)),
    ]


@pytest.fixture
def table(tmp_path) -> Table:
    return Home(str(tmp_path)).table("twins")


def test_a_sibling_of_the_same_size_rows_and_footer_is_refused_wherever_it_is_read(table):
    one, two = made(table)
    footers = [pq.read_metadata(path) for path in (one, two)]
    assert (one.stat().st_size, footers[0]) == (two.stat().st_size, footers[1])
    assert len(table.read()) == 6  # both contents are known to this process
    shutil.copyfile(two, one)
    for number, read in enumerate(readings(table)):
        with pytest.raises(DamagedFileError, match=rf"{one.name} is damaged.*another file than the one.*Delete the"):
            print(number, read())
    shutil.rmtree(one.parent)
    assert [row["name"] for row in Home(table.home.uri).table("twins").at().row_groups(["name"], parts={"two"})]


def test_a_sibling_is_refused_in_an_old_version_and_in_a_pack(table):
    made(table)
    table.compact(PackSizes(small=10**6, size=10**6, parts=9))
    (pack,) = (Path(table.uri, file.path) for file in table.at().files)
    content = bytearray(pack.read_bytes())
    content[40] ^= 1  # in a page
    stamps = pack.stat()
    pack.write_bytes(content)
    os.utime(pack, ns=(stamps.st_atime_ns, stamps.st_mtime_ns))  # not even its time tells
    for read in readings(table)[:-1]:
        with pytest.raises(DamagedFileError, match="another file"):
            read()


def test_a_restored_version_keeps_its_contents(table):
    one, two = made(table)
    with PartWriter(table.uri, "three", SCHEMA) as writer:
        writer.write(pa.table([["three"], ["A"], [1]], schema=SCHEMA))
        three = writer.finish()
    table.commit(SCHEMA, [three], Provenance(name=table.name, code_version="2"))
    shutil.copyfile(two, one)
    table.restore(0, "run")
    with pytest.raises(DamagedFileError, match="another file"):
        table.read()


def test_a_table_without_contents_is_read_and_its_next_commit_records_them(table):
    made(table)
    for log in Path(table.uri, "_delta_log").glob("*.json"):
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        for line in lines:
            for key in ("opengenome_contents", "opengenome_seal"):  # as an older package wrote it
                line.get("commitInfo", {}).pop(key, None)
        log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert table.at().history.contents == {}
    assert len(table.read()) == 6
    table.compact(PackSizes(small=10**6, size=10**6, parts=9))
    assert table.at().history.contents == {
        file.path: content_of(f"{table.uri}/{file.path}") for file in table.at().files
    }
