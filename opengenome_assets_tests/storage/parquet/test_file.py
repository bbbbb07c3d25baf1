"""Parquet files: readers that nobody here wrote find in them what was written."""

import gc
import random
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opengenome_assets.storage.parquet.file import DamagedFileError, ParquetWriter, open_parquet
from opengenome_assets_tests.examples import share

SCHEMA = pa.schema(
    [
        pa.field("name", pa.string(), metadata={"comment": "what it is called"}),
        pa.field("length", pa.int64()),
        pa.field("sequence", pa.large_string()),
        pa.field("counts", pa.list_(pa.int64())),
        pa.field("more", pa.large_string()),
        pa.field("gc", pa.float64()),
    ]
)


def rows(*sequences: str) -> pa.Table:
    columns = {
        "name": [f"n{number}" if number else None for number in range(len(sequences))],
        "length": [len(sequence) for sequence in sequences],
        "sequence": sequences,
        "counts": [[len(sequence), -1] for sequence in sequences],
        "more": [sequence[::-1] for sequence in sequences],
        "gc": [None if not sequence else sequence.count("G") / len(sequence) for sequence in sequences],
    }
    return pa.table(columns, schema=SCHEMA)


def write(path: Path, *groups: pa.Table, compression: str = "zstd") -> pa.Table:
    with pa.OSFile(str(path), "wb") as file:
        writer = ParquetWriter(file, SCHEMA, compression)
        for group in groups:
            writer.write(group)
        writer.close()
    return pa.concat_tables(groups)


def text(path: Path, name: str = "sequence") -> list[str]:
    with open_parquet(str(path)) as file:
        pages = [page for group in range(file.num_row_groups) for page in file.read_text(group, name, "length")]
        return [value for page in pages for value in page.to_pylist()]


@pytest.fixture(scope="module", params=["zstd", "gzip"])
def random_rows(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A file whose second row group has several pages of random letters, and these."""
    sequences = [random_sequence(4000 + row % 7, row) for row in range(600)]
    path = tmp_path_factory.mktemp("random") / "a.parquet"
    write(path, rows("A"), rows(*sequences), compression=request.param)
    return path, sequences


@pytest.mark.long
@pytest.mark.parametrize("wanted", [[], [0], [599], [1, 2, 300, 598]])
def test_values_are_read_by_their_rows(random_rows, wanted):
    path, sequences = random_rows
    with open_parquet(str(path)) as file:
        found = [
            (row, letters.tobytes().decode()) for row, letters in file.read_values(1, "sequence", "length", wanted)
        ]
    assert found == [(row, sequences[row]) for row in wanted]


def random_sequence(length: int, seed: int) -> str:
    return "".join(random.Random(seed).choices("ACGT", k=length))


LONG = "GATTACA" * 300_000  # longer than a page
GROUPS = [rows("ACGT", "", LONG), rows(), rows("TTT"), rows(*["ACGTN" * 100] * 5000)]


@pytest.mark.parametrize("compression", ["zstd", "snappy", "lz4", "gzip"])
@pytest.mark.long
def test_arrow_duckdb_and_polars_read_what_was_written(tmp_path, compression):
    import polars as pl

    path = tmp_path / "a.parquet"
    expected = write(path, *GROUPS, compression=compression)
    found = pq.read_table(path, page_checksum_verification=True)
    assert found.cast(SCHEMA).equals(expected)
    assert found.schema.field("name").metadata[b"comment"] == b"what it is called"
    for group, table in enumerate(GROUPS):
        assert pq.ParquetFile(path).read_row_group(group).cast(SCHEMA).equals(table)
    assert duckdb.sql(f"SELECT sequence, more, length FROM '{path}'").fetchall() == list(
        zip(*expected.select(["sequence", "more", "length"]).to_pydict().values(), strict=True)
    )
    assert pl.read_parquet(path)["sequence"].to_list() == expected["sequence"].to_pylist()
    assert text(path) == expected["sequence"].to_pylist()
    assert text(path, "more") == expected["more"].to_pylist()


@settings(max_examples=share(30))
@given(groups=st.lists(st.lists(st.text("ACGTNR", max_size=30), max_size=10), max_size=4))
def test_any_rows_come_back(tmp_path_factory, groups):
    path = tmp_path_factory.mktemp("any") / "a.parquet"
    expected = write(path, rows(), *(rows(*group) for group in groups))
    assert pq.read_table(path).cast(SCHEMA).equals(expected)
    assert text(path) == expected["sequence"].to_pylist()


def test_the_footer_accounts_for_every_byte(tmp_path):
    path = tmp_path / "a.parquet"
    write(path, *GROUPS)
    metadata = pq.read_metadata(path)
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        columns = [group.column(place) for place in range(group.num_columns)]
        assert group.total_byte_size == sum(column.total_uncompressed_size for column in columns)
        assert group.total_byte_size >= 2 * sum(map(len, GROUPS[number]["sequence"].to_pylist()))
        assert all(column.data_page_offset + column.total_compressed_size < path.stat().st_size for column in columns)
    stored = sum(
        metadata.row_group(number).column(place).total_compressed_size
        for number in range(metadata.num_row_groups)
        for place in range(metadata.num_columns)
    )
    # Arrow has put empty values in the place of texts.
    assert 0 <= path.stat().st_size - stored - metadata.serialized_size < 1000


@pytest.mark.long
def test_text_that_arrow_wrote_is_read(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.concat_tables(GROUPS), path, row_group_size=2, compression="zstd", use_dictionary=False)
    assert text(path) == [value for group in GROUPS for value in group["sequence"].to_pylist()]


@pytest.mark.parametrize("given_up", [ParquetWriter.abandon, lambda writer: None], ids=["abandoned", "dropped"])
def test_a_file_that_is_given_up_cannot_be_read(tmp_path, given_up):
    path = tmp_path / "a.parquet"
    with pa.OSFile(str(path), "wb") as file:
        writer = ParquetWriter(file, SCHEMA, "zstd")
        writer.write(rows("ACGT"))
        given_up(writer)
        del writer
        gc.collect()
    with pytest.raises(DamagedFileError, match="Delete the folder"):
        text(path)


@pytest.mark.long
def test_a_file_without_its_end_cannot_be_read(tmp_path):
    path = tmp_path / "a.parquet"
    write(path, rows("ACGT", "GG"), rows("TTT"))
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(DamagedFileError):
            text(path)


def test_every_reader_finds_a_changed_letter(tmp_path):
    path = tmp_path / "a.parquet"
    write(path, rows("ACGT" * 1000))
    column = pq.read_metadata(path).row_group(0).column(2)
    content = bytearray(path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size - 9] ^= 4
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match="checksum"):
        text(path)
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(path, page_checksum_verification=True)


def test_a_column_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    write(path, rows("ACGT"))
    with pytest.raises(
        DamagedFileError, match="expected the columns sequences and length, found name, length, sequence"
    ):
        text(path, "sequences")


FLIPS = """
import sys
from opengenome_assets.storage.parquet.file import DamagedFileError
from opengenome_assets_tests.storage.parquet.test_file import text
path, expected = sys.argv[1], sys.argv[2].split(",")
whole = open(path, "rb").read()
footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
refused = 0
for place in range(footer, len(whole)):
    for bit in range(0, 8, 3):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        open(path, "wb").write(damaged)
        try:
            found = text(path)
        except DamagedFileError:
            refused += 1
        else:
            # Rows may be gone, of which the footer alone says how many there are.
            assert found == expected or found == [], (place, bit, found)
print(refused)
"""


@pytest.mark.slow
def test_a_damaged_footer_is_an_error_or_changes_no_letter_and_never_ends_the_process(tmp_path):
    path = tmp_path / "a.parquet"
    write(path, rows("ACGT" * 20, "GATTACA"))
    command = [sys.executable, "-c", FLIPS, str(path), f"{'ACGT' * 20},GATTACA"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stderr[-2000:]
    assert int(answer.stdout) > 100
