"""Texts for the kernels' tests: how to build them, Hypothesis strategies, the shipped sample."""

import gzip
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from Bio.SeqIO.FastaIO import SimpleFastaParser
from hypothesis import strategies as st

# Around every width that the kernels read at once: words of 8 and 16 letters, masks of 64, pieces of 128.
EDGES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 23, 24, 25, 31, 32, 33, 40]
EDGES += [63, 64, 65, 80, 127, 128, 129, 144, 191, 192, 193, 255, 256, 257]


class Text(NamedTuple):
    """Sequences, and the same as kernels take them."""

    sequences: list[bytes]
    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.signedinteger]


def text(
    sequences: list[bytes],
    before: bytes = b"",
    after: bytes = b"",
    offset_type: type = np.int64,
    writable: bool = False,
) -> Text:
    """Sequences one after another, with letters around them that belong to none."""
    buffer = before + b"".join(sequences) + after
    data = np.frombuffer(bytearray(buffer) if writable else buffer, np.uint8)
    offsets = (len(before) + np.cumsum([0, *map(len, sequences)])).astype(offset_type)
    offsets.flags.writeable = writable
    return Text(sequences, data, offsets)


@st.composite
def sequences(draw: st.DrawFn, longest: int = 300) -> bytes:
    """A sequence of runs of valid letters, in mixed case, with anything else between them."""
    random = draw(st.randoms(use_true_random=False))
    pieces = []
    lengths = st.one_of(st.sampled_from([edge for edge in EDGES if edge <= longest]), st.integers(0, longest))
    for length in draw(st.lists(lengths, max_size=4)):
        letters = draw(st.sampled_from([b"ACGT", b"acgt", b"ACGTacgt", b"A", b"GC", b"tT"]))
        pieces.append(bytes(random.choices(letters, k=length)))
        gap = draw(st.sampled_from([0, 1, 1, 1, 2, 63, 64, 65]))
        other = draw(st.sampled_from([b"N", b"nRYKMSWBDHVU", b"-*0", b"@BDFHSU`bdfhsu", b"\x00\x01\x41\xc1\xff"]))
        pieces.append(bytes(random.choices(other, k=gap)))
    return b"".join(pieces)


@st.composite
def texts(draw: st.DrawFn, longest: int = 300) -> Text:
    """Any number of sequences, offsets of both types, buffers that can and cannot be written."""
    around = st.sampled_from([b"", b"A", b"ACGTACGTACGT", b"ACGT" * 40, b"N" * 70])
    return text(
        draw(st.lists(sequences(longest), max_size=5)),
        before=draw(around),
        after=draw(around),
        offset_type=draw(st.sampled_from([np.int32, np.int64])),
        writable=draw(st.booleans()),
    )


def random_bases(random: np.random.Generator, length: int, letters: bytes = b"ACGT") -> bytes:
    """Letters drawn evenly."""
    return random.choice(np.frombuffer(letters, np.uint8), length).tobytes()


def windows(sequence: bytes, k: int) -> list[tuple[int, str]]:
    """Position and letters, in upper case, of each window of k letters that are all A, C, G or T."""
    found = []
    for position in range(len(sequence) - k + 1):
        window = sequence[position : position + k].decode("latin-1")
        if all(letter in "ACGTacgt" for letter in window):
            found.append((position, window.upper()))
    return found


def by_kmer(counts: npt.NDArray[np.integer], k: int) -> dict[str, int]:
    """Counts in lexicographic order as a dict of those that are not 0."""
    return {spell(int(code), k): int(counts[code]) for code in np.flatnonzero(counts)}


def spell(code: int, k: int) -> str:
    """Letters of a k-mer's code."""
    return "".join("ACGT"[code // 4 ** (k - 1 - position) % 4] for position in range(k))


@cache
def sample(source: str) -> dict[str, str]:
    """Sequences of a file of the shipped sample, by identifier."""
    path = files("opengenome_assets") / "corpus" / "sample" / f"{source}.fasta.gz"
    with path.open("rb") as packed, gzip.open(packed, "rt") as lines:
        return {header.split()[0]: sequence for header, sequence in SimpleFastaParser(lines)}


def sample_text(source: str) -> Text:
    """The same as a text."""
    return text([sequence.encode() for sequence in sample(source).values()])


def fasta(named: dict[str, str]) -> str:
    """Sequences as a FASTA file for an outside tool."""
    return "".join(f">{name}\n{sequence}\n" for name, sequence in named.items())
