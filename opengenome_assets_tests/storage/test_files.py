"""Small files: whole or not at all."""

import pytest

from opengenome_assets.storage.files import read_bytes, write_bytes


def test_what_is_written_is_read_and_replaced_whole(tmp_path):
    uri = str(tmp_path / "new folder" / "a.json")
    assert read_bytes(uri) is None
    write_bytes(uri, b"one")
    write_bytes(uri, b"two")
    assert read_bytes(uri) == b"two"
    assert [file.name for file in (tmp_path / "new folder").iterdir()] == ["a.json"]


def test_uris_are_paths_too(tmp_path):
    write_bytes(f"file://{tmp_path}/a", b"x")
    assert (tmp_path / "a").read_bytes() == b"x"


def test_a_write_that_fails_says_where_and_leaves_nothing(tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "inside").touch()
    with pytest.raises(OSError, match=r"target could not be written .*OPENGENOME_HOME"):
        write_bytes(str(tmp_path / "target"), b"x")
    assert [file.name for file in tmp_path.iterdir()] == ["target"]
