"""k-mer search: the sequences that hold one k-mer, how often and where.

Belongs here: reading sequence_shards at one exact version and keeping the best hits. Does not belong here: finding a
k-mer in text (``kernels/occurrences.py``), and similarity (``index.py``).

Only the sequences are read, about a billion letters per CPU second. tfidf_index could exclude some of them. But it
takes several times as long to read where sequences are short, and excludes hardly any where they are long.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import get_args

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from opengenome_assets.corpus.tables import SEQUENCE_SHARDS
from opengenome_assets.kernels.bases import LETTERS, Letters, Offsets, arrow_text
from opengenome_assets.kernels.occurrences import count_occurrences, find_occurrences
from opengenome_assets.search.index import UnknownSourceError
from opengenome_assets.search.options import Strand
from opengenome_assets.search.queries import QueryError
from opengenome_assets.settings import read_home
from opengenome_assets.storage.parquet.file import ParquetFile
from opengenome_assets.storage.parts import DataFile
from opengenome_assets.storage.snapshot import Snapshot
from opengenome_assets.storage.tables import Home

MAX_KMER_LENGTH = 31
COMPLEMENT = bytes.maketrans(b"ACGT", b"TGCA")


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A place of the k-mer in a sequence.

    Attributes
    ----------
    start
        Its leftmost letter on the strand as stored, counted from 0: ``sequence[start:start + k]`` is the k-mer, or its
        reverse complement.
    strand
        ``+``, or ``-`` for the reverse complement.
    """

    start: int
    strand: str


@dataclass(frozen=True, slots=True)
class KmerHit:
    """A sequence that holds the k-mer.

    Attributes
    ----------
    seq_id, source, file, description, length
        As in sequence_shards.
    count
        Occurrences on the searched strands, overlapping ones included.
    reverse
        Occurrences on the reverse strand.
    occurrences
        The first of them by start, up to ``positions``: if fewer than ``count``, there are more.
    """

    seq_id: str
    source: str
    file: str
    description: str
    length: int
    count: int
    reverse: int
    occurrences: tuple[Occurrence, ...] = ()


@dataclass(frozen=True)
class KmerMatches:
    """Result of a k-mer search.

    Attributes
    ----------
    kmer
        In upper case.
    strand, min_count, source
        Options of the search.
    version, data_version
        Version of sequence_shards that was searched, and the digest of everything that determines its content.
    sequences_searched, bases_searched
        Number of searched sequences and of their letters; of one source, if the search was limited to it.
    sequences
        Number of sequences with the k-mer at least ``min_count`` times, whether or not they are among the hits.
    occurrences
        Occurrences in all of these sequences.
    hits
        Sequences with most occurrences, up to ``limit``; equal counts by seq_id, source and file.
    """

    kmer: str
    strand: Strand
    min_count: int
    source: str | None
    version: int
    data_version: str
    sequences_searched: int
    bases_searched: int
    sequences: int
    occurrences: int
    hits: tuple[KmerHit, ...]


def find_kmer(
    kmer: str,
    *,
    home: str | None = None,
    version: int | None = None,
    source: str | None = None,
    strand: Strand = "both",
    min_count: int = 1,
    limit: int | None = 100,
    positions: int = 0,
    threads: int | None = None,
) -> KmerMatches:
    """Find the sequences that hold a k-mer.

    Occurrences may overlap. Those of the reverse complement count too, as the k-mer on the other strand, unless
    ``strand`` is ``given``. A k-mer that is its own reverse complement (a palindrome) counts once, as ``+``. Letters
    other than A, C, G, T in a sequence match nothing.

    Parameters
    ----------
    kmer
        1 to 31 of the letters A, C, G, T, in either case.
    home
        Root of the tables. Default: OPENGENOME_HOME.
    version
        Version of sequence_shards. Default: the newest.
    source
        Search only this source.
    strand
        ``both``: search for the reverse complement too. ``given``: search for the k-mer as given only.
    min_count
        Leave out sequences with fewer occurrences; 1 or more.
    limit
        Maximum number of hits, None for all; totals always count all.
    positions
        Maximum number of occurrences to list for each hit.
    threads
        Row groups searched at a time, each in memory. Default: the number of cores.

    Raises
    ------
    QueryError
        If the k-mer is not 1 to 31 of these letters.
    UnknownSourceError
        If the corpus has no such source.
    MissingTableError, MissingVersionError, DamagedTableError, DamagedFileError
        If sequence_shards cannot be read at that version.
    ValueError
        If a number is too small, or ``strand`` has another value.
    """
    for name, value, least in (("min_count", min_count, 1), ("limit", limit, 0), ("positions", positions, 0)):
        if value is not None and value < least:
            raise ValueError(f"expected {name} of at least {least}, found {value}")
    if strand not in get_args(Strand):
        raise ValueError(f"expected strand to be {' or '.join(get_args(Strand))}, found {strand!r}")
    search = _Search(_strands(checked_kmer(kmer), strand), source, min_count, limit, positions)
    snapshot = Home(home or read_home()).table(SEQUENCE_SHARDS).at(version)
    matches = _Matches(limit)
    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0)), "k-mer search") as pool:
        try:
            largest_first = sorted((file for _, file in snapshot.pieces), key=lambda file: -file.size)
            for part in pool.map(lambda piece: search.piece(snapshot, piece), largest_first):
                matches.add(part)
        finally:
            search.ended.set()
    if source is not None and source not in matches.sources:
        has = ", ".join(sorted(matches.sources))
        raise UnknownSourceError(
            f"no source is called {source!r}; version {snapshot.version} of {snapshot.name} has {has}"
        )
    return KmerMatches(
        kmer=search.strands["+"].decode(),
        strand=strand,
        min_count=min_count,
        source=source,
        version=snapshot.version,
        data_version=snapshot.provenance.data_version,
        sequences_searched=matches.sequences_searched,
        bases_searched=matches.bases_searched,
        sequences=matches.sequences,
        occurrences=matches.occurrences,
        hits=tuple(sorted(matches.hits, key=_order)),
    )


def checked_kmer(kmer: str) -> bytes:
    """Return a k-mer in upper case.

    Raises
    ------
    QueryError
        If it has no letters, too many, or others than A, C, G, T.
    """
    upper = kmer.strip().upper()
    for place, letter in enumerate(upper, 1):
        if letter not in LETTERS:
            raise QueryError(
                f"letter {place} of the k-mer is {kmer.strip()[place - 1]!r}; expected A, C, G or T, in either case"
                f"{' (U is RNA: write T for it)' if letter == 'U' else ''}"
            )
    if not 1 <= len(upper) <= MAX_KMER_LENGTH:
        raise QueryError(f"the k-mer has {len(upper)} letters; expected 1 to {MAX_KMER_LENGTH}")
    return upper.encode()


def _strands(kmer: bytes, strand: Strand) -> dict[str, bytes]:
    """Return the texts to find on the strand as stored, by the strand of the k-mer."""
    reverse = kmer[::-1].translate(COMPLEMENT)
    return {"+": kmer, "-": reverse} if strand == "both" and reverse != kmer else {"+": kmer}


@dataclass
class _Matches:
    """Matches so far, in any part of the table. The hits are in their order."""

    limit: int | None
    sources: set[str] = field(default_factory=set)
    sequences_searched: int = 0
    bases_searched: int = 0
    sequences: int = 0
    occurrences: int = 0
    hits: list[KmerHit] = field(default_factory=list)

    def add(self, other: _Matches) -> None:
        """Add the matches of another part."""
        self.sources |= other.sources
        self.sequences_searched += other.sequences_searched
        self.bases_searched += other.bases_searched
        self.sequences += other.sequences
        self.occurrences += other.occurrences
        self.keep(other.hits)

    def keep(self, hits: list[KmerHit]) -> None:
        """Add hits, and keep the best, in their order."""
        if hits:
            self.hits = sorted([*self.hits, *hits], key=_order)[: self.limit]

    @property
    def least(self) -> int:
        """Occurrences that a sequence must have to be among the hits."""
        return self.hits[-1].count if self.hits and len(self.hits) == self.limit else 0


def _order(hit: KmerHit) -> tuple[int, str, str, str]:
    return -hit.count, hit.seq_id, hit.source, hit.file


@dataclass(frozen=True, slots=True)
class _Held:
    """A sequence that holds the k-mer, by its row in a row group."""

    row: int
    count: int
    reverse: int
    occurrences: tuple[Occurrence, ...]


@dataclass(frozen=True)
class _Search:
    """Options of a search; several threads call its methods."""

    strands: dict[str, bytes]
    source: str | None
    min_count: int
    limit: int | None
    positions: int
    ended: Event = field(default_factory=Event)

    def piece(self, snapshot: Snapshot, piece: DataFile) -> _Matches:
        """Search one of the table's files, or a range of its row groups."""
        matches = _Matches(self.limit)
        with snapshot.open(piece) as (file, groups):
            for group in groups:
                if self.ended.is_set():  # another thread failed, or the caller was interrupted
                    break
                self._row_group(file, group, matches)
        return matches

    def _row_group(self, file: ParquetFile, group: int, matches: _Matches) -> None:
        """Search a row group page by page, and read the names of the best of its sequences."""
        sources = file.read_row_group(group, columns=["source"], use_threads=False)["source"]
        found = set(pc.unique(sources).to_pylist())
        matches.sources |= found
        if self.source is not None and self.source not in found:
            return
        held: list[_Held] = []
        first = 0
        for page in file.read_text(group, "sequence", "length"):
            searched = np.ones(len(page), bool)
            if self.source is not None:
                searched = pc.equal(sources.slice(first, len(page)), self.source).to_numpy()
            held += self._page(*arrow_text(page), searched, first, matches)
            first += len(page)
        if self.limit is not None and len(held) > self.limit:
            least = sorted((each.count for each in held), reverse=True)[self.limit - 1]
            held = [each for each in held if each.count >= least]
        if held:
            columns = ["seq_id", "source", "file", "description", "length"]
            rows = [each.row for each in held]
            names = file.read_row_group(group, columns=columns, use_threads=False).take(rows).to_pylist()
            matches.keep(
                [
                    KmerHit(**name, count=each.count, reverse=each.reverse, occurrences=each.occurrences)
                    for each, name in zip(held, names, strict=True)
                ]
            )

    def _page(
        self, data: Letters, offsets: Offsets, searched: npt.NDArray[np.bool_], first: int, matches: _Matches
    ) -> Iterator[_Held]:
        """Count in the sequences of a page, which begins at row ``first``; yield those that may be among the hits."""
        counts = {strand: count_occurrences(data, offsets, kmer) for strand, kmer in self.strands.items()}
        total = sum(counts.values(), np.zeros(len(offsets) - 1, np.int64))
        rows = np.flatnonzero(searched & (total >= self.min_count))
        matches.sequences_searched += int(searched.sum())
        matches.bases_searched += int(np.diff(offsets)[searched].sum())
        matches.sequences += len(rows)
        matches.occurrences += int(total[rows].sum())
        if self.limit == 0:
            return
        rows = rows[total[rows] >= matches.least]
        if self.limit is not None and len(rows) > self.limit:
            rows = rows[total[rows] >= np.partition(total[rows], -self.limit)[-self.limit]]
        reverse = counts.get("-", np.zeros_like(total))
        for row in rows.tolist():
            places = self._occurrences(data[offsets[row] : offsets[row + 1]]) if self.positions else ()
            yield _Held(first + row, int(total[row]), int(reverse[row]), tuple(places))

    def _occurrences(self, sequence: Letters) -> Iterator[Occurrence]:
        places = sorted(
            (start, strand)
            for strand, kmer in self.strands.items()
            for start in find_occurrences(sequence, kmer, self.positions).tolist()
        )
        for start, strand in places[: self.positions]:
            yield Occurrence(start, strand)
