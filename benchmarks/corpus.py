"""The generated corpus: sequences like those of organelles, as FASTA.

Belongs here: generating sequences and writing them. Does not belong here: measuring.

A sequence is a Markov chain of order 3, with one of a few dozen sets of transition probabilities of 33 to 45 % GC. So
some k-mers are far more frequent than others. Repeats, runs of N, IUPAC letters and lowercase stretches are added. The
text follows from the seed, the lengths and the number of the first record.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt
from isal import igzip
from numba import njit

WIDTH = 80
MODELS = 32
STATES = 64
CHOICES = 256  # a letter is drawn with eight random bits
BATCH_BASES = 1 << 24
COMPRESSION_LEVEL = 1
SEED = 1

# Its stub declares it without types.
_open: Callable[..., BinaryIO] = igzip.open

_LETTERS = np.frombuffer(b"ACGT", np.uint8)
_IS_ACGT = np.isin(np.arange(256), np.frombuffer(b"ACGTacgt", np.uint8))
_HEADER = np.frombuffer(b">OG000000000.1 generated\n", np.uint8)
_LAST_DIGIT = 11  # of its number
_AMBIGUOUS = np.frombuffer(b"RYSWKMBDHVN", np.uint8)


@dataclass(frozen=True)
class Totals:
    """Totals of the written text, counted while it was generated.

    Attributes
    ----------
    records, bases, acgt_bases
        Numbers of records, of letters, and of the letters A, C, G and T.
    text_bytes
        Bytes of FASTA before compression.
    """

    records: int = 0
    bases: int = 0
    acgt_bases: int = 0
    text_bytes: int = 0

    def __add__(self, other: Self) -> "Totals":
        return Totals(
            self.records + other.records,
            self.bases + other.bases,
            self.acgt_bases + other.acgt_bases,
            self.text_bytes + other.text_bytes,
        )


def organelle_lengths(bases: int) -> npt.NDArray[np.int64]:
    """Return lengths like those of mitochondria and plastids, whose sum is about this number of bases.

    Log-uniform, 45 % of them in 15 to 60 kb, the others in 110 to 160 kb: 2.8 billion bases are about 32,000 records.
    """
    random = np.random.default_rng(SEED)
    count = bases // 15_000 + 1
    low, high = np.where(random.random(count)[:, None] < 0.45, (15e3, 60e3), (110e3, 160e3)).T
    lengths: npt.NDArray[np.int64] = np.exp(random.uniform(np.log(low), np.log(high))).astype(np.int64)
    records = int(np.searchsorted(np.cumsum(lengths), bases)) + 1
    return lengths[:records]


def short_lengths(records: int) -> npt.NDArray[np.int64]:
    """Return log-uniform lengths of 150 to 5,000 bases."""
    random = np.random.default_rng(SEED)
    lengths: npt.NDArray[np.int64] = np.exp(random.uniform(np.log(150), np.log(5000), records)).astype(np.int64)
    return lengths


def write_fasta(file: Path, lengths: npt.NDArray[np.int64], *, first: int = 0, seed: int = SEED) -> Totals:
    """Write records of the given lengths, the first of which has the number ``first``; compressed if the name says so.

    Returns
    -------
    Totals
        What was written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    opened = _open(file, "wb", compresslevel=COMPRESSION_LEVEL) if file.suffix == ".gz" else file.open("wb")
    totals = Totals()
    with opened as target:
        for text, batch in fasta(lengths, first=first, seed=seed):
            target.write(text.data)
            totals += batch
    return totals


def fasta(
    lengths: npt.NDArray[np.int64], *, first: int = 0, seed: int = SEED
) -> Iterator[tuple[npt.NDArray[np.uint8], Totals]]:
    """Yield FASTA text and its totals, some records at a time."""
    for letters, part in sequences(lengths, first=first, seed=seed):
        text = np.empty(int((part + -(-part // WIDTH)).sum()) + len(part) * len(_HEADER), np.uint8)
        acgt_bases = _lay_out(text, letters, part, first)
        yield text, Totals(len(part), len(letters), acgt_bases, len(text))
        first += len(part)


def sequences(
    lengths: npt.NDArray[np.int64], *, first: int = 0, seed: int = SEED
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]]:
    """Yield the joined letters of some records, and the number of letters of each."""
    models = transition_tables(seed)
    for part in np.array_split(lengths, min(len(lengths), -(-int(lengths.sum()) // BATCH_BASES))):
        random = np.random.default_rng([seed, first])
        letters = np.empty(int(part.sum()), np.uint8)
        chosen = random.integers(0, len(models), len(part))
        _fill(letters, part, models, chosen, random.integers(1, 2**63, dtype=np.uint64))
        decorate(letters, random)
        yield letters, part
        first += len(part)


def decorate(letters: npt.NDArray[np.uint8], random: np.random.Generator) -> None:
    """Put repeats, runs of N, IUPAC letters and lowercase stretches into letters, in proportion to length."""
    for kind, every, shortest, longest in (
        ("repeat", 150_000, 5_000, 20_000),
        ("N", 120_000, 1, 500),
        ("IUPAC", 60_000, 1, 2),
        ("lowercase", 40_000, 50, 3_000),
    ):
        sizes = random.integers(shortest, longest, random.poisson(len(letters) / every))
        sizes = sizes[sizes < len(letters)]
        for start, size in zip(random.integers(0, len(letters) - sizes), sizes, strict=True):
            stretch = letters[start : start + size]
            if kind == "repeat":
                target = random.integers(0, len(letters) - size)
                letters[target : target + size] = stretch.copy()
            elif kind == "N":
                stretch[:] = ord("N")
            elif kind == "IUPAC":
                stretch[:] = random.choice(_AMBIGUOUS)
            else:
                stretch |= 0x20


@cache
def transition_tables(seed: int) -> npt.NDArray[np.uint8]:
    """Return the letter (0 to 3) that follows three others, for each of the 256 values of a random byte.

    Returns
    -------
    uint8 array of shape (MODELS, 64, 256)
        By model, then by the three letters before, in base 4.
    """
    random = np.random.default_rng(seed)
    shared = random.dirichlet(np.full(4, 3.0), STATES)
    tables = np.empty((MODELS, STATES, CHOICES), np.uint8)
    for table, gc in zip(tables, np.linspace(0.33, 0.45, MODELS), strict=True):
        own = shared * random.gamma(20, 1 / 20, (STATES, 4))
        own = with_gc(own / own.sum(axis=1, keepdims=True), gc)
        bounds = np.round(own.cumsum(axis=1) * CHOICES)
        table[:] = (np.arange(CHOICES)[None, :, None] >= bounds[:, None, :3]).sum(axis=2)
    return tables


def with_gc(probabilities: npt.NDArray[np.float64], gc: float) -> npt.NDArray[np.float64]:
    """Weigh C and G against A and T until the chain has the wanted stationary share of C and G.

    Parameters
    ----------
    probabilities : float64 array of shape (64, 4)
        Of the next letter after three others.
    gc : float
        The share of C and G wanted, in (0, 1).
    """
    low, high = 0.01, 100.0
    for _ in range(40):
        weight = np.sqrt(low * high)
        weighted = probabilities * (1, weight, weight, 1)
        weighted /= weighted.sum(axis=1, keepdims=True)
        low, high = (weight, high) if stationary_gc(weighted) < gc else (low, weight)
    return weighted


def stationary_gc(probabilities: npt.NDArray[np.float64]) -> float:
    """Return the share of C and G in a long text of a chain of order 3."""
    state = np.full(STATES, 1 / STATES)
    for _ in range(100):
        # Three letters and the next give the next three: the first is dropped.
        state = (state[:, None] * probabilities).reshape(4, 16, 4).sum(axis=0).ravel()
    letters = state.reshape(16, 4).sum(axis=0)
    return float(letters[1] + letters[2])


@njit(cache=True, nogil=True)
def _fill(letters: Any, lengths: Any, models: Any, chosen: Any, state: Any) -> None:
    """Fill letters with one chain after another, drawn by a 64-bit xorshift generator (Marsaglia, 2003)."""
    start = context = 0
    word = np.uint64(0)
    for row in range(len(lengths)):
        table = models[chosen[row]]
        for position in range(start, start + lengths[row]):
            if position & 7 == 0:
                state ^= state << np.uint64(13)
                state ^= state >> np.uint64(7)
                state ^= state << np.uint64(17)
                word = state
            letter = table[context, word & np.uint64(255)]
            word >>= np.uint64(8)
            letters[position] = _LETTERS[letter]
            context = (context << 2 | letter) & (STATES - 1)
        start += lengths[row]


@njit(cache=True, nogil=True)
def _lay_out(text: Any, letters: Any, lengths: Any, first: int) -> int:
    """Write records as FASTA, and return the number of letters A, C, G and T."""
    size = position = acgt_bases = 0
    for row in range(len(lengths)):
        text[size : size + len(_HEADER)] = _HEADER
        number = first + row
        for place in range(9):
            text[size + _LAST_DIGIT - place] = 48 + number % 10
            number //= 10
        size += len(_HEADER)
        end = position + lengths[row]
        while position < end:
            stop = min(position + WIDTH, end)
            for place in range(position, stop):
                text[size + place - position] = letters[place]
                acgt_bases += _IS_ACGT[letters[place]]
            size += stop - position
            text[size] = 10
            size += 1
            position = stop
    return acgt_bases
