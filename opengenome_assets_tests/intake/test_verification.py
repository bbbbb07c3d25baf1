"""Checksums: a cache that saves reading, and never decides what a file is."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.intake.sources import list_source
from opengenome_assets.intake.verification import take_checksums

CONTENT = b">a\nACGT\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path) -> Path:
    """A file that is old enough for its times to be trusted."""
    path = tmp_path / "fasta" / "a.fa"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


def take(file: Path, monkeypatch) -> tuple[str, int]:
    """Return a file's checksum, and how many files were read for it; at a later time, so that its age is trusted."""
    later = os.stat(file).st_mtime_ns + 10**10
    monkeypatch.setattr("time.time_ns", lambda: later)
    checksums, read = take_checksums(list_source(str(file), FASTA).files, f"{file.parents[1]}/checksums.json")
    return checksums[str(file)], len(read)


def cut(text: str) -> str:
    return text[: len(text) // 2]


def alter_digest(text: str) -> str:
    return text.replace(SHA256, "0" * 64)


def alter_size(text: str) -> str:
    (entries,) = json.loads(text).values()
    return text.replace(f"{entries[0]}", "7", 1)


@pytest.mark.parametrize(
    "damage",
    [cut, alter_digest, alter_size, lambda _: "", lambda _: "[1]", lambda _: '{"a": 3}', lambda _: "\0" * 99],
)
def test_a_damaged_cache_is_ignored_and_the_file_read_again(file, monkeypatch, damage):
    assert take(file, monkeypatch) == (SHA256, 1)
    assert take(file, monkeypatch) == (SHA256, 0)
    memory = file.parents[1] / "checksums.json"
    memory.write_text(damage(memory.read_text()))
    assert take(file, monkeypatch) == (SHA256, 1)
    assert take(file, monkeypatch) == (SHA256, 0)


def test_a_cache_in_bytes_that_are_no_text_is_ignored(file, monkeypatch):
    (file.parents[1] / "checksums.json").write_bytes(b"\xff\xfe\x00")
    assert take(file, monkeypatch) == (SHA256, 1)
