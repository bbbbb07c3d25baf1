"""Containment: what share of a query's distinct k-mers each hit holds, counted in the hits' sequences.

A cosine of 6-mers compares composition: it finds relatives, but its size says little. k-mers that are specific for the
query's length (``kernels/containment.py``) say whether a hit holds the query itself, and on which strand.

Belongs here: finding the sequences of hits in sequence_shards, at the version that the index was made from, and
comparing them with queries. Does not belong here: sets of k-mers, formulas (``kernels/containment.py``), and ranking.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from opengenome_assets.corpus.tables import SEQUENCE_SHARDS, TFIDF_INDEX, TFIDF_TERMS
from opengenome_assets.framework.shards import part_key, shard_name
from opengenome_assets.kernels.bases import Letters
from opengenome_assets.kernels.containment import KmerSet, distinct_kmers, estimated_identity, specific_k
from opengenome_assets.search.options import CANDIDATES, Strand
from opengenome_assets.search.queries import Query, QueryError
from opengenome_assets.search.ranking import Hit
from opengenome_assets.storage.parts import DataFile
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.seals import DamagedTableError
from opengenome_assets.storage.snapshot import Snapshot
from opengenome_assets.storage.tables import Home

# Maximum letters of the queries whose k-mers are in memory at once, about a hundred bytes each.
_LETTERS = 2_000_000


@dataclass(frozen=True)
class Pair:
    """A query, by its place among several, and a row of a part of the index to compare it with."""

    query: int
    part: str
    row: int


@dataclass(frozen=True)
class Containment:
    """What a sequence holds of a query.

    Attributes
    ----------
    k
        Length of the k-mers.
    containment
        Share of the query's distinct k-mers that the sequence holds, in [0, 1]; None if the query has no k-mer.
    identity
        Identity that the containment suggests, in (0, 1]; None without a shared k-mer.
    strand
        ``+``, or ``-`` if the sequence holds more k-mers of the reverse complement; None without a shared k-mer.
    """

    k: int
    containment: float | None
    identity: float | None
    strand: str | None


class IndexedSequences:
    """The sequences behind the rows of an index.

    Parameters
    ----------
    home
        The tables.
    index
        The record of the index.

    Raises
    ------
    MissingTableError, MissingVersionError, DamagedTableError
        If sequence_shards cannot be read at the version that the index was made from.
    """

    def __init__(self, home: Home, index: Provenance) -> None:
        self._shards: Snapshot = home.table(SEQUENCE_SHARDS).at(index.inputs[SEQUENCE_SHARDS.name].version)
        names = [TFIDF_INDEX.name, TFIDF_TERMS.name]
        self._files: Mapping[str, DataFile] = {
            part_key(names, index.code_version, index.settings, shard_name(key, number)): file
            for key, files in self._shards.parts.items()
            for number, file in enumerate(files)
        }

    def read(self, part: str, rows: Sequence[int]) -> Iterator[tuple[int, Letters]]:
        """Yield rows of a part of the index, ascending, with the letters of their sequences.

        Raises
        ------
        DamagedFileError
            If the sequences cannot be read.
        DamagedTableError
            If no shard belongs to the part.
        """
        if part not in self._files:
            raise DamagedTableError(
                f"{TFIDF_INDEX.name}: the part {part} was made from no shard of version {self._shards.version} of "
                f"{SEQUENCE_SHARDS.name}, which its record names. Materialise {TFIDF_INDEX.name} again"
            )
        with self._shards.open(self._files[part]) as (opened, groups):
            first = 0
            for group in groups:
                end = first + opened.metadata.row_group(group).num_rows
                here = [row - first for row in rows if first <= row < end]
                if here:
                    values = opened.read_values(group, "sequence", "length", here)
                    yield from ((first + row, letters) for row, letters in values)
                first = end


def refuse_many_comparisons(queries: int, candidates: int, most: int) -> None:
    """Refuse to read more hits than ``most``, over all queries, before any is looked for.

    Raises
    ------
    QueryError
        If ``queries * candidates`` is larger.
    """
    if queries * candidates > most:
        raise QueryError(
            f"expected at most {most:,} hits over all queries, since each is read and compared with its query; "
            f"found {queries:,} queries with up to {candidates:,} hits each. Ask for fewer hits, or search with "
            f"fewer queries at a time; to sort by containment, {CANDIDATES} times as many hits are read as are "
            "listed. The asset query_hits has no such limit"
        )


def contain(
    queries: Sequence[Query],
    pairs: Sequence[Pair],
    sequences: IndexedSequences,
    *,
    strand: Strand,
    threads: Executor | None = None,
) -> list[Containment]:
    """Compare queries with sequences of the index.

    On both strands, a k-mer and its reverse complement are one, and the sequence may hold either. Else only the query's
    own k-mers count.

    Parameters
    ----------
    queries
        The queries.
    pairs
        The comparisons to make.
    sequences
        The sequences of the index. Each is read once, for all its queries, and is in memory only then.
    strand
        ``both``, or ``given`` for the query as given only.
    threads
        Threads that read the parts of the index side by side.

    Raises
    ------
    DamagedFileError, DamagedTableError
        If the sequences cannot be read.
    """
    found: dict[Pair, Containment] = {}
    for block in _blocks(queries, {pair.query for pair in pairs}):
        compared = _Queries({number: queries[number] for number in block}, strand == "both")
        wanted: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for pair in pairs:
            if pair.query in compared.numbers:
                wanted[pair.part][pair.row].append(pair.query)
        work = [(compared, sequences, part, rows) for part, rows in wanted.items()]
        for some in (threads.map if threads else map)(_contain_part, work):
            found.update(some)
    return [found[pair] for pair in pairs]


def held_by(hit: Hit, containment: Containment) -> Hit:
    """Return a hit with what its sequence holds of the query."""
    return replace(
        hit,
        containment=containment.containment,
        identity=containment.identity,
        k=containment.k,
        strand=containment.strand or hit.strand,
    )


def _blocks(queries: Sequence[Query], numbers: Iterable[int]) -> Iterator[list[int]]:
    """Yield places of queries, as many at a time as have `_LETTERS` letters together, and at least one."""
    block: list[int] = []
    letters = 0
    for number in sorted(numbers):
        length = len(queries[number].sequence)
        if block and letters + length > _LETTERS:
            yield block
            block, letters = [], 0
        block.append(number)
        letters += length
    if block:
        yield block


def _contain_part(
    work: tuple[_Queries, IndexedSequences, str, Mapping[int, Sequence[int]]],
) -> dict[Pair, Containment]:
    compared, sequences, part, rows = work
    found = {}
    for row, letters in sequences.read(part, sorted(rows)):
        for number, containment in compared.in_sequence(letters, rows[row]):
            found[Pair(number, part, row)] = containment
    return found


class _Queries:
    """The k-mers of queries; those of one k are looked up together."""

    def __init__(self, queries: Mapping[int, Query], both_strands: bool) -> None:
        self._both_strands = both_strands
        self.numbers = {number: specific_k(len(query.sequence)) for number, query in queries.items()}
        own: dict[int, dict[int, tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]]] = defaultdict(dict)
        for number, k in self.numbers.items():
            own[k][number] = distinct_kmers(np.frombuffer(queries[number].sequence, np.uint8), k)
        self._sets: dict[int, KmerSet] = {}
        # By query: the places of its k-mers in the set, and the forms that occur in it.
        self._places: dict[int, tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]] = {}
        for k, kmers in own.items():
            codes = np.unique(np.concatenate([each for each, _ in kmers.values()]))
            self._sets[k] = KmerSet(codes, k)
            for number, (each, forms) in kmers.items():
                self._places[number] = np.searchsorted(codes, each), forms

    def in_sequence(self, letters: Letters, numbers: Sequence[int]) -> Iterator[tuple[int, Containment]]:
        """Yield what a sequence holds of some queries."""
        forms_in = {k: self._sets[k].forms_in(letters) for k in {self.numbers[number] for number in numbers}}
        for number in numbers:
            k = self.numbers[number]
            places, forms = self._places[number]
            yield number, _compared(k, forms, forms_in[k][places], self._both_strands)


def _compared(k: int, forms: npt.NDArray[np.uint8], held: npt.NDArray[np.uint8], both_strands: bool) -> Containment:
    """Compare the forms of a query's k-mers with those that a sequence holds."""
    turned = (forms >> 1) | ((forms & 1) << 1)
    as_given, reverse = (int(np.bitwise_count(own & held).sum()) for own in (forms, turned))
    if both_strands:
        shared, distinct = int(np.count_nonzero(held)), len(forms)
    else:
        shared, distinct, reverse = as_given, int(np.bitwise_count(forms).sum()), 0
    if distinct == 0:
        return Containment(k, None, None, None)
    containment = shared / distinct
    strand = "-" if reverse > as_given else "+" if as_given else None
    return Containment(k, containment, estimated_identity(containment, k), strand)
