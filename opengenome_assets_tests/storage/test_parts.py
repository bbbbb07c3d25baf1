"""Parts: they exist when finished, and only then."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from opengenome_assets.storage.parquet.file import DamagedFileError, open_parquet
from opengenome_assets.storage.parts import PartWriter, find_part, write_part
from opengenome_assets.storage.record import digest

SCHEMA = pa.schema([pa.field("number", pa.int64())])


def rows(*numbers: int) -> pa.Table:
    return pa.table({"number": numbers}, schema=SCHEMA)


def test_a_finished_part_is_found_with_its_files_and_facts(tmp_path):
    with PartWriter(str(tmp_path), "key", SCHEMA) as writer:
        writer.write(rows(1, 2))
        writer.write(rows(3))
        writer.close_file()
        writer.write(rows(4))
        made = writer.finish(source="s")
    found = find_part(str(tmp_path), "key")
    assert found == made
    assert found.rows == 4
    assert found.facts == {"source": "s"}
    assert [pq.read_table(tmp_path / f.path)["number"].to_pylist() for f in found.files] == [[1, 2, 3], [4]]


def test_a_part_may_have_no_rows(tmp_path):
    with PartWriter(str(tmp_path), "key", SCHEMA) as writer:
        writer.finish(seen=0)
    assert find_part(str(tmp_path), "key").files == ()


def test_an_interrupted_part_does_not_exist_and_can_be_made_again(tmp_path):
    def interrupted() -> None:
        with PartWriter(str(tmp_path), "key", SCHEMA) as writer:
            writer.write(rows(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert find_part(str(tmp_path), "key") is None
    write_part(str(tmp_path), "key", rows(2))
    (file,) = find_part(str(tmp_path), "key").files
    assert pq.read_table(tmp_path / file.path)["number"].to_pylist() == [2]


def test_two_attempts_at_the_same_part_do_not_write_the_same_file(tmp_path):
    with PartWriter(str(tmp_path), "key", SCHEMA) as one, PartWriter(str(tmp_path), "key", SCHEMA) as other:
        one.write(rows(1))
        other.write(rows(1))
        assert one.finish().files[0].path != other.finish().files[0].path
    assert find_part(str(tmp_path), "key").rows == 1


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_part_whose_file_is_missing_or_cut_is_not_used(tmp_path, damage):
    part = write_part(str(tmp_path), "key", rows(1, 2))
    file = tmp_path / part.files[0].path
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1])
    assert find_part(str(tmp_path), "key") is None


@pytest.mark.parametrize("compression", ["zstd", "snappy", "lz4", "gzip"])
def test_every_compression_reads_back(tmp_path, compression):
    with PartWriter(str(tmp_path), "key", SCHEMA, compression) as writer:
        writer.write(rows(1))
        part = writer.finish()
    stored = pq.ParquetFile(tmp_path / part.files[0].path).metadata.row_group(0).column(0).compression
    assert stored == compression.upper()
    assert pq.read_table(tmp_path / part.files[0].path)["number"].to_pylist() == [1]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"files": [{}]}'])
def test_a_part_with_a_damaged_manifest_is_not_used(tmp_path, content):
    write_part(str(tmp_path), "key", rows(1))
    (tmp_path / "key" / "_manifest.json").write_bytes(content)
    assert find_part(str(tmp_path), "key") is None


@pytest.mark.parametrize("numbers", [(1,), ()])
def test_the_manifest_of_another_part_is_not_used(tmp_path, numbers):
    """Else the next run would count that part's rows twice, and lose the rows of this one."""
    for key in ("key", "other"):
        with PartWriter(str(tmp_path), key, SCHEMA) as writer:
            if numbers:
                writer.write(rows(*numbers))
            writer.finish(source=key)
    manifest = tmp_path / "key" / "_manifest.json"
    manifest.write_bytes((tmp_path / "other" / "_manifest.json").read_bytes())
    assert find_part(str(tmp_path), "key") is None
    assert find_part(str(tmp_path), "other").facts == {"source": "other"}
    older = json.loads(manifest.read_bytes())  # before manifests named their key
    del older["key"], older["digest"]
    manifest.write_text(json.dumps({**older, "digest": digest(older)}))
    assert find_part(str(tmp_path), "key") is None or not numbers


def test_a_changed_byte_in_a_page_is_found_when_it_is_read(tmp_path):
    part = write_part(str(tmp_path), "key", rows(*range(1000)))
    file = tmp_path / part.files[0].path
    content = bytearray(file.read_bytes())
    page = pq.ParquetFile(file).metadata.row_group(0).column(0)
    content[page.data_page_offset + page.total_compressed_size - 100] ^= 1
    file.write_bytes(content)

    def read() -> None:
        with open_parquet(str(file)) as opened:
            opened.read()

    with pytest.raises(DamagedFileError, match=f"Delete the folder {tmp_path / 'key'}"):
        read()
