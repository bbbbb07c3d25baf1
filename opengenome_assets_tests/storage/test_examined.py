"""Examined parts: each part is read once for a question, and nothing but time is lost with what was kept."""

import os
from pathlib import Path

import pytest

from opengenome_assets.storage.examined import ExaminedParts
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.storage.numbers import NAME, commit, compact

KEPT = ".sums.json"


def examine(home: Home, code_version: str = "1") -> tuple[dict[str, int], list[str]]:
    """Add up the numbers of each part; return the sums, and the keys of the parts that were read for it."""
    parts = ExaminedParts(home.table(NAME).at(), "sums", code_version)
    read = {key: sum(sum(rows["number"].to_pylist()) for rows in groups) for key, groups in parts.unread(["number"])}
    parts.keep(read)
    return parts.found, list(read)


def sums(*numbers: int) -> dict[str, int]:
    return {f"{number:03}": 4 * 10 * number + 6 for number in numbers}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(str(tmp_path))
    commit(made, [1, 2])
    assert examine(made) == (sums(1, 2), ["001", "002"])
    return made


def test_only_new_parts_are_read_and_parts_of_no_version_are_forgotten(home: Home) -> None:
    assert examine(home) == (sums(1, 2), [])
    commit(home, [2, 3])
    assert examine(home) == (sums(2, 3), ["003"])
    commit(home, [1, 2, 3])
    assert examine(home) == (sums(1, 2, 3), ["001"])


def test_packed_parts_are_known(home: Home) -> None:
    assert compact(home).parts_packed == 2
    assert examine(home) == (sums(1, 2), [])


def test_another_version_of_the_question_reads_all(home: Home) -> None:
    assert examine(home, "2") == (sums(1, 2), ["001", "002"])


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"parts": [1]}', b'{"digest": "0", "parts": {}}'])
def test_without_what_was_kept_all_are_read(home: Home, damage: bytes) -> None:
    kept = Path(home.table(NAME).uri, KEPT)
    kept.write_bytes(damage)
    assert examine(home) == (sums(1, 2), ["001", "002"])
    assert examine(home) == (sums(1, 2), [])


def test_what_is_kept_is_written_only_if_it_is_new_and_a_home_that_cannot_be_written_is_examined(home: Home) -> None:
    kept = Path(home.table(NAME).uri, KEPT)
    before = os.stat(kept)
    examine(home)
    assert os.stat(kept) == before
    kept.unlink()
    kept.mkdir()
    assert examine(home) == (sums(1, 2), ["001", "002"])
    assert examine(home) == (sums(1, 2), ["001", "002"])
