"""Tables: a commit is whole or not at all, adds no version for nothing, and says what made it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from opengenome_assets.framework.assets import column_schema
from opengenome_assets.framework.table import Column, TableSpec
from opengenome_assets.storage.columns import column
from opengenome_assets.storage.packs import PackSizes
from opengenome_assets.storage.parquet.file import DamagedFileError
from opengenome_assets.storage.parts import PartWriter, write_part
from opengenome_assets.storage.record import Input, Provenance
from opengenome_assets.storage.snapshot import MissingTableError
from opengenome_assets.storage.tables import Home, Table

SCHEMA = pa.schema([column("number", pa.int64(), "A number")])


@pytest.fixture
def table(tmp_path):
    return Home(str(tmp_path)).table("numbers")


def made(version: str) -> Provenance:
    return Provenance(name="numbers", code_version=version, run_id=f"run {version}")


def part(table: Table, number: int):
    return write_part(table.uri, f"key{number}", pa.table({"number": [number]}, schema=SCHEMA))


def numbers(table: Table, version: int | None = None) -> list[int]:
    return sorted(table.at(version).read()["number"].to_pylist())


def test_a_commit_makes_the_table_exactly_its_parts(table):
    first = table.commit(SCHEMA, [part(table, 1), part(table, 2)], made("1"))
    second = table.commit(SCHEMA, [part(table, 2), part(table, 3)], made("2"))
    assert (first.version, second.version) == (0, 1)
    assert (second.rows, second.files, second.files_added, second.files_removed) == (2, 2, 2, 2)
    assert numbers(table) == [2, 3]
    assert numbers(table, version=0) == [1, 2]
    assert DeltaTable(table.uri).to_pandas()["number"].sum() == 5


def test_the_same_parts_again_add_no_version(table):
    parts = [part(table, 1)]
    table.commit(SCHEMA, parts, made("1"))
    again = table.commit(SCHEMA, parts, made("1").model_copy(update={"run_id": "later"}))
    assert (again.version, again.files_added, again.rows) == (0, 0, 1)
    assert table.provenance().run_id == "run 1"


def test_the_same_rows_from_other_code_are_recorded_as_such(table):
    parts = [part(table, 1)]
    table.commit(SCHEMA, parts, made("1"))
    assert table.commit(SCHEMA, parts, made("2")).version == 1
    assert table.provenance() == made("2")
    assert table.provenance(version=0) == made("1")


def test_an_empty_table_is_a_table(table):
    assert table.commit(SCHEMA, [], made("1")).rows == 0
    assert numbers(table) == []


def test_a_changed_schema_replaces_the_columns_and_keeps_the_past(table):
    table.commit(SCHEMA, [part(table, 1)], made("1"))
    wider = SCHEMA.append(column("name", pa.string(), "A name"))
    table.write(pa.table({"number": [2], "name": ["two"]}, schema=wider), made("2"))
    assert table.read().to_pylist() == [{"number": 2, "name": "two"}]
    assert table.at(0).read().to_pylist() == [{"number": 1}]


@pytest.mark.long
def test_commits_at_the_same_time_never_double_or_lose_a_part(table):
    parts = [part(table, number) for number in range(6)]
    table.commit(SCHEMA, [], made("0"))

    def commit(count: int) -> None:
        table.commit(SCHEMA, parts[:count], made(str(count)))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(commit, range(1, 7)))
    for version in range(table.history().newest + 1):
        count = int(table.provenance(version).code_version)
        assert numbers(table, version) == list(range(count))


def test_two_who_create_a_table_at_the_same_time_both_succeed(table):
    parts = [part(table, 1)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda version: table.commit(SCHEMA, parts, made(version)), "1111"))
    assert numbers(table) == [1]


def test_a_table_that_nobody_made_is_asked_for_with_the_command_that_makes_it(table):
    with pytest.raises(
        MissingTableError, match=r"dagster asset materialize -m opengenome_assets.definitions --select '\*numbers'"
    ):
        table.read()
    assert table.home.names() == []


def test_a_table_without_a_record_is_named(table):
    DeltaTable.create(table.uri, SCHEMA)
    with pytest.raises(MissingTableError, match="nothing in its history says what made it"):
        table.provenance()


def test_input_and_names(table):
    table.write(pa.table({"number": [1]}, schema=SCHEMA), made("1"))
    assert table.input() == Input(version=0, data_version=made("1").data_version)
    assert table.home.names() == ["numbers"]


def test_descriptions_reach_dagster_and_the_table_itself(table):
    spec = TableSpec("numbers", "Numbers.", (Column("number", pa.int64(), "A number"),), key=("number",))
    table.write(pa.table({"number": [1]}, schema=spec.schema), made("1"))
    assert column_schema(spec) == dg.TableSchema(columns=[dg.TableColumn("number", "int64", description="A number")])
    field = table.at().delta.schema().fields[0]
    assert field.metadata["comment"] == "A number"


def test_row_groups_that_cannot_hold_a_value_are_not_read(tmp_path):
    table = Home(str(tmp_path)).table("words")
    schema = pa.schema([("k", pa.int32()), ("word", pa.string())])
    with PartWriter(table.uri, "key", schema) as writer:
        for ks, words in (([6, 6], ["six", "sixth"]), ([7, 8], ["seven", "eight"]), ([6, 9], ["half a dozen", "nine"])):
            writer.write(pa.table([ks, words], schema=schema))
        part = writer.finish()
    # Of a file whose content is not known, only what is read is verified.
    table.commit(schema, [replace(part, files=(replace(part.files[0], content="- - -"),))], made("1"))
    six = table.row_groups(["word"], ("k", 6))
    assert [rows.to_pydict() for rows in six] == [{"word": ["six", "sixth"]}, {"word": ["half a dozen"]}]
    (path,) = (file.path for file in table.at().files)
    content = bytearray(Path(table.uri, path).read_bytes())
    content[content.index(b"seven")] ^= 1
    Path(table.uri, path).write_bytes(content)
    assert len(list(table.row_groups(["word"], ("k", 6)))) == 2
    with pytest.raises(DamagedFileError):
        list(table.row_groups(["word"], ("k", 7)))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("most", "found"), [(0, []), (1, [0]), (2, [0, 9]), (5, [0, 2, 4, 6, 9]), (10, range(10)), (99, range(10))]
)
def test_rows_are_taken_evenly_from_wherever_they_lie(table, packed, most, found):
    """Ten rows in parts of one to four, of row groups of at most two."""
    parts, first = [], 0
    for number, rows in enumerate((1, 4, 2, 3)):
        with PartWriter(table.uri, f"key{number}", SCHEMA) as writer:
            for start in range(first, first + rows, 2):
                writer.write(pa.table({"number": range(start, min(start + 2, first + rows))}, schema=SCHEMA))
            parts.append(writer.finish())
        first += rows
    table.commit(SCHEMA, parts, made("1"))
    if packed:
        assert table.compact(PackSizes(small=2**20, size=2**20, parts=2)).files_after == 2
    assert table.at().spread(["number"], most)["number"].to_pylist() == list(found)
