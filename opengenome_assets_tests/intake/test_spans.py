"""Spans of plain and bgzip files: their bytes, and what has changed since the index was taken."""

import gzip
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opengenome_assets.intake import spans
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.intake.spans import Index, IndexedFile, NoSpansError, Span, verify
from opengenome_assets.intake.streams import ChangedError, DecompressedStream, StoredFile, StreamError
from opengenome_assets_tests.corpus.passes.test_pieces import bgzip, block

TEXT = b">a\n" + b"ACGTTGCA\n" * 300 + b">b\n" + b"GGCC\n" * 50


def stored(path: Path, content: bytes) -> StoredFile:
    path.write_bytes(content)
    return StoredFile(path.name, str(path), hashlib.sha256(content).hexdigest())


def index_of(file: StoredFile) -> Index:
    indexed = IndexedFile(file)
    with DecompressedStream(indexed, FASTA, name=file.name) as stream:
        stream.read()
    return indexed.index()


def read(file: StoredFile, index: Index, start: int, size: int, multiple: int = 1 << 20) -> list[bytes]:
    """Return what each `readinto` gives."""
    buffer, found = memoryview(bytearray(10_000)), []
    with Span(file, FASTA, index.extent(start, size), multiple) as span:
        while count := span.readinto(buffer):
            found.append(bytes(buffer[:count]))
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[StoredFile]:
    """The text as a plain file, and in blocks of bgzip, some of them empty."""
    folder = tmp_path_factory.mktemp("spans")
    middle = block(TEXT[:100]) + block(b"") + bgzip(TEXT[100:], (40, 333))
    return [stored(folder / "x.fa", TEXT), stored(folder / "x.fa.gz", bgzip(TEXT)), stored(folder / "y.fa.gz", middle)]


@given(
    which=st.integers(0, 2),
    start=st.integers(0, len(TEXT) - 1),
    size=st.integers(1, len(TEXT)),
    multiple=st.integers(1, 500),
    chunk=st.sampled_from([64, 100, 1 << 20]),
)
def test_a_span_has_its_bytes_and_ends_blocks_at_multiples(
    files: list[StoredFile], which: int, start: int, size: int, multiple: int, chunk: int
) -> None:
    size = min(size, len(TEXT) - start)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spans, "CHUNK", chunk)
        patch.setattr(spans, "_GROUP", 200)
        index = index_of(files[which])
        assert len(index.checksums) == -(-Path(files[which].uri).stat().st_size // chunk)
        found = read(files[which], index, start, size, multiple)
        extent = index.extent(start, size)
        assert len(extent.checksums) <= (extent.end - extent.stored) // chunk + 2
        verify(files[which], index.checksums)
    assert b"".join(found) == TEXT[start : start + size]
    at = start
    for each in found[:-1]:
        at += len(each)
        assert at % multiple == 0


@pytest.mark.parametrize("compress", [bytes, bgzip])
def test_a_span_of_a_file_that_changed_is_refused(tmp_path: Path, compress) -> None:
    file = stored(tmp_path / "x.fa", compress(TEXT))
    index = index_of(file)
    (tmp_path / "x.fa").write_bytes(compress(TEXT.replace(b"GGCC", b"GGCG", 1)))
    with pytest.raises(ChangedError, match=r"x\.fa: changed while it was read"):
        read(file, index, 0, 10)
    with pytest.raises(ChangedError, match=r"x\.fa: changed"):
        verify(file, index.checksums)


def test_a_file_of_which_other_bytes_were_catalogued_is_refused(tmp_path: Path) -> None:
    file = stored(tmp_path / "x.fa", TEXT)
    (tmp_path / "x.fa").write_bytes(TEXT[:-9])
    with pytest.raises(ChangedError, match="changed since it was catalogued"):
        verify(file, index_of(file).checksums)


@pytest.mark.parametrize("content", [gzip.compress(TEXT), bgzip(TEXT) + gzip.compress(TEXT)])
def test_a_file_that_is_no_bgzip_has_no_spans(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(NoSpansError, match="expected plain text or blocks of bgzip"):
        index_of(stored(tmp_path / "x.fa.gz", content))


def test_a_bgzip_file_that_is_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StreamError, match="the last block of bgzip is cut"):
        index_of(stored(tmp_path / "x.fa.gz", bgzip(TEXT, (500,))[:-40]))
