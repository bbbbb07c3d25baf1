"""Streams: every compression, files cut or damaged at every byte, and the thread that reads ahead."""

import bz2
import gzip
import hashlib
import io
import os
import struct
import subprocess
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

import opengenome_assets
from opengenome_assets.intake import streams
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.intake.streams import (
    ChangedError,
    DecompressedStream,
    StoredFile,
    StoredFiles,
    StreamError,
)
from opengenome_assets.kernels.fasta import FastaError, read_records

SAMPLE = Path(opengenome_assets.__file__).parent / "corpus" / "sample"
TEXT = b">a first\nACGTTTGACA\nCCGTA\n>b\nGGATCCNN\n"


def bgzf_block(text: bytes) -> bytes:
    """One block as bgzip writes it: a gzip member that carries its own size."""
    deflate = zlib.compressobj(wbits=-15)
    body = deflate.compress(text) + deflate.flush()
    size = 12 + 6 + len(body) + 8
    head = struct.pack("<4BI2BH2BHH", 31, 139, 8, 4, 0, 0, 255, 6, 66, 67, 2, size - 1)
    return head + body + struct.pack("<2I", zlib.crc32(text), len(text))


def zstd(text: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(text)


ONE_STREAM: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "bz2": bz2.compress, "zstd": zstd}
STORED: dict[str, Callable[[bytes], bytes]] = ONE_STREAM | {
    "plain": lambda text: text,
    "gzip members": lambda text: gzip.compress(text[:9]) + gzip.compress(text[9:]),
    "gzip padded": lambda text: gzip.compress(text) + bytes(512),
    "bgzip": lambda text: bgzf_block(text[:11]) + bgzf_block(text[11:]) + bgzf_block(b""),
    "bz2 with empty streams": lambda text: (
        bz2.compress(text[:9]) + bz2.compress(b"") + bz2.compress(text[9:]) + 2 * bz2.compress(b"")
    ),
    "bz2 streams": lambda text: bz2.compress(text[:9]) + bz2.compress(text[9:]),
    "zstd frames": lambda text: zstd(text[:9]) + zstd(text[9:]),
    "zstd behind a skippable frame": lambda text: b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstd(text),
}


class BytesFile(io.BytesIO):
    """A file in memory, given to the stream as it would be by a disk or an object store."""


def stream_of(stored: bytes, sha256: str | None = None, kind: type[BytesFile] = BytesFile) -> DecompressedStream:
    files = StoredFiles([StoredFile("x.fa", "x.fa", sha256)], lambda _: kind(stored))
    return DecompressedStream(files, FASTA, name="x.fa")


def open_stream(place: str | os.PathLike[str], sha256: str | None = None) -> DecompressedStream:
    uri = os.fspath(place)
    return DecompressedStream(StoredFiles([StoredFile(uri, uri, sha256)]), FASTA, name=uri)


def read_all(stream: DecompressedStream, size: int = 1 << 16) -> bytes:
    with stream:
        text = bytearray()
        buffer = bytearray(size)
        while count := stream.readinto(memoryview(buffer)):
            text += buffer[:count]
        return bytes(text)


def read_failing(stored: bytes) -> str:
    with pytest.raises(StreamError) as caught:
        read_all(stream_of(stored))
    assert str(caught.value).startswith("x.fa: ")
    return str(caught.value)


@pytest.mark.parametrize("kind", STORED)
@pytest.mark.parametrize("size", [1, 7, 1 << 16])
def test_gives_the_plain_bytes_and_the_proof(kind: str, size: int, tmp_path: Path) -> None:
    stored = STORED[kind](TEXT)
    path = tmp_path / "any.name"
    path.write_bytes(stored)
    for place in (path, str(path), path.as_uri()):
        stream = open_stream(place, hashlib.sha256(stored).hexdigest())
        assert read_all(stream, size) == TEXT
        assert stream.header_lines == 2
        assert stream.decompressed_bytes == len(TEXT)


@pytest.mark.parametrize("kind", STORED)
def test_a_file_that_is_not_the_one_catalogued_is_an_error_at_its_end(kind: str) -> None:
    stored = STORED[kind](TEXT)
    for catalogued in ("0" * 64, hashlib.sha256(stored + b"\0").hexdigest()):
        with pytest.raises(ChangedError, match=r"x\.fa: changed since it was catalogued"):
            read_all(stream_of(stored, catalogued))


@given(pieces=st.lists(st.binary(max_size=9), min_size=1, max_size=5), size=st.integers(1, 9))
def test_files_in_a_row_are_one_and_each_is_verified(pieces: list[bytes], size: int) -> None:
    files = [StoredFile(f"{i}", f"{i}", hashlib.sha256(piece).hexdigest()) for i, piece in enumerate(pieces)]

    def joined(files: list[StoredFile]) -> bytes:
        with StoredFiles(files, lambda file: BytesFile(pieces[int(file.path)])) as stored:
            text, buffer = b"", bytearray(size)
            while count := stored.readinto(buffer):
                text += buffer[:count]
            assert stored.tell() == len(text)
            return text

    assert joined(files) == b"".join(pieces)
    for i in range(len(files)):
        wrong = [*files[:i], StoredFile(f"{i}", f"store/{i:064}", "0" * 64), *files[i + 1 :]]
        with pytest.raises(ChangedError, match=rf"^{i} \(store/0+{i}\): changed"):
            joined(wrong)


@pytest.mark.parametrize("file", sorted(SAMPLE.glob("*.gz")), ids=lambda file: file.name)
def test_header_lines_equal_zgrep(file: Path) -> None:
    stream = open_stream(file)
    read_all(stream)
    counted = subprocess.run(["zgrep", "-c", "^>", file], capture_output=True, text=True, check=True)
    assert stream.header_lines == int(counted.stdout)


@given(text=st.text(">\nA\r", max_size=60).map(str.encode), block=st.integers(1, 9))
def test_header_lines_across_blocks(text: bytes, block: int) -> None:
    with mock.patch.object(streams, "_BLOCK", block):
        stream = stream_of(text)
        assert read_all(stream) == text
    assert stream.header_lines == sum(line.startswith(b">") for line in text.split(b"\n"))


@pytest.mark.parametrize("kind", ONE_STREAM)
def test_a_cut_file_never_passes(kind: str) -> None:
    stored = ONE_STREAM[kind](TEXT)
    for size in range(len(stored)):
        with pytest.raises((StreamError, FastaError)), stream_of(stored[:size]) as stream:
            list(read_records(stream.readinto, name="x.fa"))


@pytest.mark.parametrize("kind", ONE_STREAM)
def test_a_cut_file_says_so(kind: str) -> None:
    message = read_failing(ONE_STREAM[kind](TEXT)[:-3])
    assert f"the {kind} stream ends early after" in message
    assert "fetch the file again" in message


def test_a_file_cut_between_members_has_another_sha256() -> None:
    first, second = gzip.compress(TEXT), gzip.compress(TEXT)
    with pytest.raises(ChangedError):
        read_all(stream_of(first, hashlib.sha256(first + second).hexdigest()))


@pytest.mark.parametrize("kind", ONE_STREAM)
def test_a_damaged_byte_never_passes(kind: str) -> None:
    stored = ONE_STREAM[kind](TEXT)
    for position in range(len(stored)):
        damaged = bytearray(stored)
        damaged[position] ^= 1 << position % 8
        try:
            with stream_of(bytes(damaged)) as stream:
                list(read_records(stream.readinto, name="x.fa"))
        except (StreamError, FastaError):
            continue
        # Fields that decompression does not need, such as gzip's time stamp.
        assert read_all(stream_of(bytes(damaged))) == TEXT
        with pytest.raises(ChangedError):
            read_all(stream_of(bytes(damaged), hashlib.sha256(stored).hexdigest()))


@pytest.mark.parametrize("kind", ONE_STREAM)
@pytest.mark.parametrize("rest", [b"junk", b"\n>c\nACGT\n" * 5])
def test_anything_behind_the_stream_is_an_error(kind: str, rest: bytes) -> None:
    assert "fetch the file again" in read_failing(ONE_STREAM[kind](TEXT) + rest)


def test_an_empty_file_is_an_empty_stream() -> None:
    stream = stream_of(b"", hashlib.sha256().hexdigest())
    assert read_all(stream) == b""
    assert stream.header_lines == 0


@pytest.mark.parametrize("place", ["missing.fa", ".", "nosuchscheme://x/y.fa"])
def test_a_file_that_cannot_be_opened(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StreamError, match=r"cannot be opened .*; check the path"):
        open_stream(place)


class FailingFile(BytesFile):
    """A file whose disk fails at its end."""

    def readinto(self, buffer: memoryview, /) -> int:
        count = super().readinto(buffer)
        if not count:
            raise OSError(5, "Input/output error")
        return count


@pytest.mark.parametrize("kind", ["plain", "gzip", "zstd"])
def test_a_disk_that_fails(kind: str) -> None:
    stored = STORED[kind](TEXT)
    with pytest.raises(StreamError, match=rf"x.fa: cannot be read on after {len(stored)} bytes .*run again"):
        read_all(stream_of(stored, kind=FailingFile))


def decompression_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("decompress")]


@pytest.mark.long
def test_leaving_early_ends_the_thread_and_closes_the_file() -> None:
    file = BytesFile(gzip.compress(os.urandom(20 << 20), 1))
    with DecompressedStream(StoredFiles([StoredFile("x.fa", "x.fa")], lambda _: file), FASTA, name="x.fa") as stream:
        assert stream.readinto(memoryview(bytearray(10))) == 10
        assert decompression_threads()
    assert not decompression_threads()
    assert file.closed
    with pytest.raises(StreamError, match="the stream is closed"):
        stream.readinto(memoryview(bytearray(10)))
    stream.close()


def test_an_error_ends_the_thread_too() -> None:
    stream = stream_of(gzip.compress(TEXT)[:-1])
    with pytest.raises(StreamError, match="ends early"):
        list(read_records(stream.readinto, name="x.fa"))
    assert not decompression_threads()


def test_reads_only_a_few_blocks_ahead() -> None:
    with stream_of(bytes(64 << 20)) as stream:
        stream.readinto(memoryview(bytearray(1)))
        time.sleep(0.2)
        assert stream.decompressed_bytes <= 8 << 20


def test_the_number_of_header_lines_is_known_only_at_the_end() -> None:
    with stream_of(TEXT) as stream:
        stream.readinto(memoryview(bytearray(3)))
        with pytest.raises(StreamError, match="once the stream was read to its end"):
            _ = stream.header_lines


@pytest.mark.parametrize(
    ("name", "is_fasta"),
    [
        ("chr1.fa", True),
        ("a/b/chr1.v2.FASTA.GZ", True),
        ("s3://bucket/x.fna.zst", True),
        ("x.ffn.bz2", True),
        ("x.fas.bgz", True),
        ("reads.fastq.gz", False),
        ("x.gz", False),
        ("proteins.faa", False),
        ("fasta", False),
        ("README.md", False),
    ],
)
def test_names(name: str, is_fasta: bool) -> None:
    assert FASTA.has_name(name) == is_fasta
