"""One large file parsed by several tasks: the parts are those of one task, byte for byte."""

import bz2
import gzip
import hashlib
import logging
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from opengenome_assets.corpus.passes import parse, pieces
from opengenome_assets.corpus.passes.parse import ParseTask, parse_file
from opengenome_assets.corpus.passes.pieces import LARGE, is_large, parse_in_pieces, survey
from opengenome_assets.engine.processes import Processes
from opengenome_assets.framework.parsing import Parsed
from opengenome_assets.intake import spans, streams
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.kernels import fasta
from opengenome_assets.kernels.fasta import read_records
from opengenome_assets.storage.parts import find_part
from opengenome_assets_tests.corpus.passes.test_parse import DEFAULTS
from opengenome_assets_tests.examples import share
from opengenome_assets_tests.parts import parts

LOG = logging.getLogger("test")
HERE = Processes(1)  # a task is a call
TEXT = b"".join(b">%d some\n%s\n" % (n, b"ACGTN"[n % 5 :] * n) for n in range(1, 40)) + b">bad\nAC!\n>7 again\nAC\n"


def bgzip(text: bytes, sizes: Sequence[int] = (65280,)) -> bytes:
    """Compress to blocks that hold these numbers of bytes in turn, and an empty one at the end."""
    blocks, start = [], 0
    while start < len(text):
        blocks.append(text[start : start + sizes[len(blocks) % len(sizes)]])
        start += len(blocks[-1])
    return b"".join(map(block, [*blocks, b""]))


def block(plain: bytes) -> bytes:
    """Compress to one block, as the specification of SAM describes BGZF."""
    deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
    body = deflate.compress(plain) + deflate.flush()
    head = struct.pack("<4BI2BH2s2H", 31, 139, 8, 4, 0, 0, 255, 6, b"BC", 2, len(body) + 25)
    return head + body + struct.pack("<2I", zlib.crc32(plain), len(plain))


@contextmanager
def small(piece_bases: int = 40) -> Iterator[None]:
    """Make bounds so small that a short file has many batches, row groups, chunks and pieces."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (fasta, pieces):
            patch.setattr(module, "TEXT_BYTES", 32)
        for module in (parse, pieces):
            patch.setattr(module, "read_records", partial(read_records, batch_bases=100))
        patch.setattr(fasta, "_HEADER_BYTES", 64)
        patch.setattr(fasta, "_BATCH_RECORDS", 5)
        patch.setattr(parse, "ROW_GROUP_BYTES", 300)
        patch.setattr(pieces, "PIECE_BASES", piece_bases)
        patch.setattr(streams, "_BLOCK", 64)
        patch.setattr(spans, "CHUNK", 64)
        patch.setattr(spans, "_GROUP", 100)
        yield


def task_of(folder: Path, content: bytes, name: str = "x.fa", **settings: Any) -> ParseTask:
    """Return the task of a file with this content; the tables are named after ``name``'s first letter."""
    (folder / name).write_bytes(content)
    stored = StoredFile(name, str(folder / name), hashlib.sha256(content).hexdigest())
    uris = str(folder / "home" / "shards"), str(folder / "home" / "rejected")
    return ParseTask("source", name, (stored,), "key", "key", *uris, replace(DEFAULTS, **settings))


def in_home(task: ParseTask, home: Path) -> ParseTask:
    """Return the same task with other tables."""
    return replace(task, shards_uri=str(home / "shards"), rejected_uri=str(home / "rejected"))


def in_pieces(task: ParseTask, engine: Any = HERE) -> Parsed | None:
    (parsed,) = parse_in_pieces(engine, [task], [1], LOG)
    return parsed


def assert_same(folder: Path, task: ParseTask) -> int:
    """Parse a file by one task and in pieces; compare results and files, and return the number of pieces."""
    one = parse_file(in_home(task, folder / "one"))
    many = in_pieces(in_home(task, folder / "many"))
    if one.accepted is None or not one.accepted.files:
        assert many is None
        return 0
    assert many is not None
    for table in ("accepted", "rejected"):
        ours, theirs = getattr(many, table), getattr(one, table)
        assert list(ours.facts.items()) == list(theirs.facts.items())
        assert [file.rows for file in ours.files] == [file.rows for file in theirs.files]
    assert parts(folder / "many") == parts(folder / "one")
    found = survey(in_home(task, folder / "again"))
    assert found is not None
    return len(found.pieces)


line = st.one_of(
    st.text("ACGTacgtN", max_size=70).map(str.encode),
    st.sampled_from([b"", b" ", b"ACGT  ", b"AC GT", b"AC!", b"A>C", b"\x00", b"A" * 64, b"ACGT" * 60]),
)
header = st.one_of(
    st.integers(0, 12).map(lambda n: b">%d some > text" % n),
    st.sampled_from([b">", b"> a", b">a\tb", b">" + b"x" * 80, b">c" + b" " * 70, b">\xe9"]),
)


@st.composite
def fasta_file(draw: st.DrawFn) -> bytes:
    """Draw a file as people write it, with some bad records."""
    end = draw(st.sampled_from([b"\n", b"\r\n"]))
    records = draw(st.lists(st.tuples(header, st.lists(line, max_size=4)), min_size=1, max_size=14))
    lines = [each for first, rest in records for each in (first, *rest)]
    first, last = draw(st.sampled_from([b"", b"\n \n"])), draw(st.sampled_from([b"", end]))
    return first + end.join(lines) + last


@example(  # a header that no buffer holds, and another batch begins with it
    text=b">0 some > text\n\n>" + b"x" * 80 + b"\nA\n>0 some > text\nA",
    blocks=None,
    piece_bases=1,
    max_records=3,
    max_bases=60,
    min_length=0,
    drop_ambiguous=False,
)
@given(
    text=fasta_file(),
    blocks=st.one_of(st.none(), st.lists(st.integers(1, 90), min_size=1, max_size=4)),
    piece_bases=st.sampled_from([1, 40, 400]),
    max_records=st.sampled_from([1, 3, 100]),
    max_bases=st.sampled_from([1, 60, 150, 10**6]),
    min_length=st.sampled_from([0, 0, 5]),
    drop_ambiguous=st.booleans(),
)
@settings(max_examples=share(60))
@pytest.mark.slow
def test_pieces_make_the_bytes_of_one_task(
    text: bytes,
    blocks: list[int] | None,
    piece_bases: int,
    max_records: int,
    max_bases: int,
    min_length: int,
    drop_ambiguous: bool,
) -> None:
    content = text if blocks is None else bgzip(text, blocks)
    with TemporaryDirectory() as folder, small(piece_bases):
        task = task_of(
            Path(folder),
            content,
            max_records_per_shard=max_records,
            max_bases_per_shard=max_bases,
            min_length=min_length,
            drop_ambiguous=drop_ambiguous,
        )
        assert_same(Path(folder), task)


@pytest.mark.slow
@pytest.mark.parametrize("compress", [bytes, bgzip, partial(bgzip, sizes=(7, 50))], ids=["plain", "bgzip", "cut"])
@pytest.mark.parametrize(("piece_bases", "count"), [(1, 10), (500, 4), (10**9, 1)])
def test_the_bytes_are_the_same_for_any_number_of_pieces(
    tmp_path: Path, compress: Callable[[bytes], bytes], piece_bases: int, count: int
) -> None:
    with small(piece_bases):
        assert assert_same(tmp_path, task_of(tmp_path, compress(TEXT), max_records_per_shard=4)) == count


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"ACGT\n>a\nACGT\n",
        b">a\n\n>b\nA!\n",
        b">a\rACGT\r>b\rAC\r",
        gzip.compress(TEXT),
        bz2.compress(TEXT),
        bgzip(TEXT)[:-40],
        bgzip(TEXT) + gzip.compress(TEXT),
        bgzip(TEXT) + b"more",
        block(TEXT)[:-8] + b"\0" * 8,
        bgzip(gzip.compress(TEXT)),
    ],
    ids=["empty", "blank", "text first", "refused", "CR", "gzip", "bzip2", "cut", "two", "more", "damaged", "twice"],
)
def test_what_is_not_as_expected_is_left_to_one_task(tmp_path: Path, content: bytes) -> None:
    task = task_of(tmp_path, content)
    assert in_pieces(task) is None
    assert find_part(task.shards_uri, "key") is None
    assert find_part(task.rejected_uri, "key") is None


def test_only_a_large_whole_file_that_is_read_to_its_end_is_parsed_in_pieces(tmp_path: Path) -> None:
    task = task_of(tmp_path, TEXT)
    (file,) = task.files
    assert is_large(task, LARGE, LARGE, 4)
    assert is_large(task, LARGE, LARGE, None)
    assert not is_large(task, LARGE, LARGE, 3)
    assert not is_large(task, LARGE - 1, LARGE, 4)
    assert not is_large(task, LARGE, 100 * LARGE, 4)
    assert not is_large(replace(task, settings=replace(DEFAULTS, first_records=9)), LARGE, LARGE, 4)
    assert not is_large(replace(task, path="x.tar"), LARGE, LARGE, 4)
    assert not is_large(replace(task, files=(replace(file, path="x.fa.aa"),)), LARGE, LARGE, 4)


class Between:
    """An engine that does something between the survey and the pieces."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def map(self, function: Any, work: Any, **others: Any) -> Any:
        results = HERE.map(function, work, **others)
        if function is survey:
            self.act()
        return results


@pytest.mark.parametrize("compress", [bytes, bgzip])
def test_a_file_that_changes_after_its_survey_is_left_to_one_task(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    task = task_of(tmp_path, compress(TEXT))
    other = compress(TEXT.replace(b"ACGTNACGTN", b"ACGTAACGTN"))  # the same records and lengths
    assert in_pieces(task, Between(lambda: (tmp_path / "x.fa").write_bytes(other))) is None
    assert find_part(task.shards_uri, "key") is None
    assert "changed since it was catalogued" in str(parse_file(task).error)


def test_a_file_that_changed_before_its_survey_is_left_to_one_task(tmp_path: Path) -> None:
    task = task_of(tmp_path, TEXT)
    (tmp_path / "x.fa").write_bytes(TEXT + b">new\nACGT\n")
    assert in_pieces(task) is None
    assert find_part(task.shards_uri, "key") is None


KILLED = """
import os, pickle, signal, sys
from opengenome_assets.corpus.passes import pieces
from opengenome_assets_tests.corpus.passes.test_pieces import Between, in_pieces, small

task, when = pickle.load(sys.stdin.buffer)
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if when == "before the manifests":
    pieces.publish = die
with small():
    in_pieces(task, Between(die if when == "after the survey" else int))
"""


@pytest.mark.slow
@pytest.mark.parametrize("when", ["after the survey", "before the manifests"])
def test_a_run_that_is_killed_leaves_no_part_and_the_next_makes_it(tmp_path: Path, when: str) -> None:
    import pickle

    task = task_of(tmp_path, TEXT, max_records_per_shard=4)
    killed = in_home(task, tmp_path / "many")
    ended = subprocess.run([sys.executable, "-c", KILLED], input=pickle.dumps((killed, when)), timeout=300)
    assert ended.returncode == -signal.SIGKILL
    left = list((tmp_path / "many").rglob("*.parquet"))
    assert len(left) == (1 if when == "after the survey" else 11)  # that of refused records, and the shards
    assert find_part(killed.shards_uri, "key") is None
    assert find_part(killed.rejected_uri, "key") is None
    for file in left:
        file.unlink()  # they have the names of another attempt, and nobody reads them
    with small():
        assert assert_same(tmp_path, task) > 1
