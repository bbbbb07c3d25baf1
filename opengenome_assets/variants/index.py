"""The aligner's index of a reference, in the files of bwa-mem2 (2.1 and later), which bwa-mem3 reads.

Belongs here: writing the index. Does not belong here: reading it (bwa-mem3), and where it is kept (``reference.py``).

bwa-mem3's wheel aligns, but has no builder. The format: ``.pac``, ``.ann`` and ``.amb`` are those of bwa. ``.0123`` has
the letters of both strands, a byte each. ``.bwt.2bit.64`` has the occurrences in the Burrows-Wheeler transform in
blocks of 64 letters, and every eighth entry of the suffix array (Vasimuddin et al. 2019,
doi:10.1109/IPDPS.2019.00041).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

VERSION = "1"
NAME = "reference.fa"  # of the FASTA, beside which the index lies
BLOCK = 64
SAMPLED = 8
SEED = 11  # bwa's, for the letters that it puts in place of N
# Of memory while the index is built, for both strands. 18 were measured with 16 million letters; from 2**31 letters on
# the suffix array has 8 bytes a letter instead of 4.
BYTES_PER_LETTER = 30


def build(contigs: Sequence[tuple[str, bytes]], prefix: Path) -> None:
    """Write the index of some contigs.

    Parameters
    ----------
    contigs
        Name and upper-case letters of each.
    prefix
        Path of the files, without their endings.
    """
    letters = np.frombuffer(b"".join(sequence for _, sequence in contigs), np.uint8)
    codes = _coded(letters)
    _write_names(contigs, letters, prefix)
    packed = np.zeros(-(-len(codes) // 4) * 4, np.uint8)
    packed[: len(codes)] = codes
    quads = packed.reshape(-1, 4)
    pac = (quads[:, 0] << 6 | quads[:, 1] << 4 | quads[:, 2] << 2 | quads[:, 3]).tobytes()
    end = b"\0" * (len(codes) % 4 == 0) + bytes([len(codes) % 4])
    prefix.with_name(f"{prefix.name}.pac").write_bytes(pac + end)
    text = np.concatenate([codes, 3 - codes[::-1]])
    text.tofile(f"{prefix}.0123")
    _write_transform(text, prefix)


def _coded(letters: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return letters as 0 to 3. Each other letter gets the number that bwa's ``lrand48() & 3`` gives it."""
    table = np.full(256, 4, np.uint8)
    table[[*b"ACGT"]] = range(4)
    codes = table[letters]
    state = SEED << 16 | 0x330E  # srand48
    for place in np.flatnonzero(codes == 4):
        state = (state * 0x5DEECE66D + 0xB) & 0xFFFFFFFFFFFF
        codes[place] = state >> 17 & 3
    return codes


def _write_names(contigs: Sequence[tuple[str, bytes]], letters: npt.NDArray[np.uint8], prefix: Path) -> None:
    """Write contigs (``.ann``) and runs of letters other than A, C, G and T (``.amb``)."""
    known = np.isin(letters, np.frombuffer(b"ACGT", np.uint8))
    holes, lines, first = [], [], 0
    for name, sequence in contigs:
        here = letters[first : first + len(sequence)]
        unknown = np.flatnonzero(~known[first : first + len(sequence)])
        begins = unknown[(np.diff(unknown, prepend=-2) != 1) | (here[unknown] != here[unknown - 1])]
        ends = np.append(np.searchsorted(unknown, begins)[1:], len(unknown))
        lengths = ends - np.searchsorted(unknown, begins)
        holes += [f"{first + at} {length} {chr(here[at])}" for at, length in zip(begins, lengths, strict=True)]
        lines += [f"0 {name} (null)", f"{first} {len(sequence)} {len(begins)}"]
        first += len(sequence)
    head = f"{first} {len(contigs)}"
    Path(f"{prefix}.ann").write_text("\n".join([f"{head} {SEED}", *lines, ""]))
    Path(f"{prefix}.amb").write_text("\n".join([f"{head} {len(holes)}", *holes, ""]))


def _write_transform(text: npt.NDArray[np.uint8], prefix: Path) -> None:
    import pydivsufsort

    size = len(text) + 1  # with the sentinel
    suffixes = np.concatenate([[len(text)], pydivsufsort.divsufsort(text)]).astype(np.int64)
    sentinel = int(np.flatnonzero(suffixes == 0)[0])
    padded = np.full((size // BLOCK + 1) * BLOCK, 6, np.uint8)
    padded[:size] = np.where(suffixes == 0, 4, text[suffixes - 1])
    counts = np.zeros(5, np.int64)
    counts[1:] = np.cumsum(np.bincount(text, minlength=4))
    blocks = np.zeros((len(padded) // BLOCK, 8), np.uint64)
    for base in range(4):
        hits = (padded == base).reshape(-1, BLOCK)
        blocks[1:, base] = np.cumsum(hits.sum(1))[:-1]
        blocks[:, 4 + base] = np.packbits(hits, axis=1).view(">u8").ravel()
    sampled = suffixes[::SAMPLED]
    with open(f"{prefix}.bwt.2bit.64", "wb") as file:
        file.write(np.int64(size).tobytes() + counts.tobytes())
        blocks.tofile(file)
        (sampled >> 32).astype(np.int8).tofile(file)
        (sampled & 0xFFFFFFFF).astype(np.uint32).tofile(file)
        file.write(np.int64(sentinel).tobytes())
