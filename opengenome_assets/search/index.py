"""SearchIndex: the sequences of the corpus most similar to a query, exactly ranked.

Similarity is the cosine similarity of TF-IDF vectors of 6-mers (``kernels/tfidf.py``). The index holds only counts, so
that a version shares all unchanged rows with the one before. Weights follow from the counts when it is opened, so that
none is out of date. Every row is scored in 32-bit floats, whose error has a bound. Rows that may be hits within that
bound are scored again in 64 bits. By default the reverse complement of a query is compared too: its counts are those of
the query in another order, and both are scored in one reading of the rows.

Belongs here: opening a version of tfidf_index, and scoring its rows. Does not belong here: the sums
(``kernels/planes.py``), weights and ranks (``ranking.py``), what hits hold of a query (``containment.py``), occurrences
of single k-mers, and serving answers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from opengenome_assets.corpus.tables import TFIDF_INDEX
from opengenome_assets.kernels.bases import kmer_strings, reverse_complement_codes
from opengenome_assets.kernels.planes import Planes, concatenate, dot, norms, pack, score, unpack
from opengenome_assets.kernels.profiles import KMERS, K, SequenceKmers, document_frequency, sequence_kmers
from opengenome_assets.kernels.tfidf import inverse_document_frequency
from opengenome_assets.search.containment import IndexedSequences, Pair, contain, held_by, refuse_many_comparisons
from opengenome_assets.search.options import MAX_COMPARISONS, Sort, Strand, candidates_of
from opengenome_assets.search.queries import Query
from opengenome_assets.search.ranking import (
    DECIMALS,
    NAMES,
    Hit,
    by_containment,
    candidates,
    query_counts,
    query_weights,
    rank,
    unit,
)
from opengenome_assets.settings import read_home
from opengenome_assets.storage.parts import DataFile
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.snapshot import Snapshot
from opengenome_assets.storage.tables import Home, Table

# Rows that one thread scores at once, and vectors scored in one pass over memory (scoring is memory-bound).
_ROWS = 1024
_VECTORS = 16


class UnknownSourceError(LookupError):
    """The index does not hold the source to search; the message names its sources."""


class UnknownSequenceError(LookupError):
    """The index does not hold the named sequence."""


@dataclass(frozen=True)
class SharedKmer:
    """A 6-mer of both query and hit: its occurrences in each, and its share of their similarity, in (0, 1]."""

    kmer: str
    query_count: int
    hit_count: int
    share: float


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a hit ranks.

    Attributes
    ----------
    strand
        ``+``, or ``-`` if the reverse complement of the query is more similar than the query.
    terms
        The shared 6-mers with the largest share, in descending order; the query's occurrences are those on this strand.
    shared
        Number of all shared 6-mers.
    query_profile, hit_profile
        The TF-IDF vectors of length 1, of 4,096 float64 in alphabetical order; the query's on this strand.
    """

    strand: str
    terms: list[SharedKmer]
    shared: int
    query_profile: npt.NDArray[np.float64]
    hit_profile: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """A hit by similarity alone, and the row of a part of the index that it is."""

    hit: Hit
    part: str
    row: int


@dataclass(frozen=True, eq=False)
class _Segment:
    """A part of the table in memory: its names, its counts, and the document frequency of each 6-mer."""

    names: pa.Table
    planes: Planes
    document_frequency: npt.NDArray[np.int64]


class SearchIndex:
    """A version of tfidf_index in memory; it is immutable, and any number of threads may use it.

    Attributes
    ----------
    version
        The version of the table, as lineage names it.
    provenance
        The record of its making.
    sequences
        Number of sequences.
    sources
        The sources of the sequences, sorted.
    """

    def __init__(
        self,
        table: Table,
        version: int,
        provenance: Provenance,
        segments: dict[str, _Segment],
        threads: int | None = None,
        idf: npt.NDArray[np.float64] | None = None,
    ) -> None:
        self.table = table
        self.version = version
        self.provenance = provenance
        self._segments = segments
        self._threads = threads or len(os.sched_getaffinity(0))
        self._keys, self._parts = list(segments), list(segments.values())
        self._firsts = np.cumsum([0, *(part.planes.rows for part in self._parts)])
        self.sequences = int(self._firsts[-1])
        empty = pa.schema([(name, pa.int64() if name == "length" else pa.string()) for name in NAMES]).empty_table()
        self._names = pa.concat_tables([empty, *(part.names for part in self._parts)]).combine_chunks()
        sources = self._names["source"].combine_chunks().dictionary_encode()
        self._source_codes = sources.indices.to_numpy()
        self._source_names = sources.dictionary.to_pylist()
        self.sources = tuple(sorted(self._source_names))
        self.idf = self._own_idf() if idf is None else idf
        self._pool = ThreadPoolExecutor(self._threads, "search")
        self._norms = np.empty(self.sequences)
        self._each_range(lambda part, first, a, b: norms(part.planes, self.idf, a, b, self._norms[first:]))
        with np.errstate(divide="ignore"):
            self._inverse_norms = np.where(self._norms > 0, 1 / self._norms, 0).astype(np.float32)

    @classmethod
    def open(
        cls,
        home: str | None = None,
        *,
        version: int | None = None,
        previous: SearchIndex | None = None,
        threads: int | None = None,
        parts: Collection[str] | None = None,
        idf: npt.NDArray[np.float64] | None = None,
    ) -> Self:
        """Read a version of tfidf_index into memory.

        Parameters
        ----------
        home
            Root of the tables. Default: OPENGENOME_HOME.
        version
            Default: the newest.
        previous
            An index opened before: parts in both versions are shared with it, not read again.
        threads
            Threads that read and search. Default: the number of cores.
        parts
            Keys of the table's parts to read. Default: all.
        idf
            Weight of each 6-mer, float64, shape (4096,). With the weights of the whole table, hits in some of its
            parts are those of the whole. Default: from the counts that are read.

        Raises
        ------
        MissingTableError, MissingVersionError, DamagedTableError, DamagedFileError
            If the table cannot be read.
        """
        table = Home(home or read_home()).table(TFIDF_INDEX)
        snapshot = table.at(version)
        files = snapshot.parts
        keys = files if parts is None else [key for key in files if key in parts]
        known = previous._segments if previous and previous.table == table else {}
        with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
            new = {key: pool.submit(_read_segment, snapshot, files[key]) for key in keys if key not in known}
            segments = {key: new[key].result() if key in new else known[key] for key in keys}
        pa.default_memory_pool().release_unused()
        return cls(table, snapshot.version, snapshot.provenance, segments, threads, idf)

    @property
    def data_version(self) -> str:
        """Digest of all that determines the table's content."""
        return self.provenance.data_version

    @property
    def corpus(self) -> str:
        """Data version of the sequence_shards that it describes."""
        return self.provenance.corpus

    @property
    def nbytes(self) -> int:
        """Bytes of memory; a later version may share a part of them."""
        parts = sum(part.planes.nbytes + part.document_frequency.nbytes for part in self._parts)
        return int(parts + self._names.nbytes + self._norms.nbytes + self._inverse_norms.nbytes)

    def is_current(self) -> bool:
        """Tell whether the table has no newer rows."""
        return self.table.at().version == self.version

    def similar(
        self,
        queries: Sequence[Query],
        *,
        top_n: int = 10,
        threshold: float = 0.0,
        source: str | None = None,
        strand: Strand = "both",
        sort: Sort = "similarity",
        max_comparisons: int = MAX_COMPARISONS,
    ) -> list[list[Hit]]:
        """Return the sequences most similar to each query, and what they hold of it.

        Sequences that share no 6-mer with a query are no hits. Equal similarities rank by seq_id, source and file. The
        containment is counted in the hits' sequences, which are read for it.

        Parameters
        ----------
        queries
            The queries.
        top_n
            Maximum number of hits per query.
        threshold
            Minimum similarity of a hit.
        source
            Search only this source.
        strand
            ``both``: compare the reverse complement of each query too; the more similar of the two counts. ``given``:
            compare the query as given only.
        sort
            ``similarity``, or ``containment``: the hits are then those with the largest containment among the
            ``top_n * CANDIDATES`` most similar sequences. Equal containments rank by similarity.
        max_comparisons
            Maximum number of sequences that may have to be read, over all queries.

        Raises
        ------
        QueryError
            If a query has no 6 letters in a row that are all A, C, G or T, or if the queries together ask for more
            than ``max_comparisons``.
        UnknownSourceError
            If there is no such source.
        MissingTableError, MissingVersionError, DamagedTableError, DamagedFileError
            If the hits' sequences cannot be read.
        TypeError
            If a query is not a `Query`, as `read_queries` makes them.
        ValueError
            If ``top_n`` is below 1, ``threshold`` not from 0 to 1, or ``strand`` or ``sort`` has another value.
        """
        if sort not in get_args(Sort):
            raise ValueError(f"expected sort to be {' or '.join(get_args(Sort))}, found {sort!r}")
        compared = candidates_of(top_n, sort)
        refuse_many_comparisons(len(queries), min(compared, self.sequences), max_comparisons)
        found = self.by_cosine(queries, top_n=compared, threshold=threshold, source=source, strand=strand)
        pairs = [Pair(number, each.part, each.row) for number, some in enumerate(found) for each in some]
        held = iter(
            contain(queries, pairs, self._indexed, strand=strand, threads=self._pool if self._threads > 1 else None)
            if pairs
            else []
        )
        hits = [[held_by(each.hit, next(held)) for each in some] for some in found]
        if sort == "similarity":
            return hits
        return [
            [replace(hit, rank=place) for place, hit in enumerate(sorted(some, key=by_containment)[:top_n], 1)]
            for some in hits
        ]

    def by_cosine(
        self,
        queries: Sequence[Query],
        *,
        top_n: int = 10,
        threshold: float = 0.0,
        source: str | None = None,
        strand: Strand = "both",
    ) -> list[list[Candidate]]:
        """Return the sequences most similar to each query without reading them.

        Parameters and errors are those of `similar`. The strand of a hit is the more similar one.
        """
        if top_n < 1:
            raise ValueError(f"expected top_n of at least 1, found {top_n}")
        if not 0 <= threshold <= 1:
            raise ValueError(f"expected a threshold from 0 to 1, found {threshold}")
        if strand not in get_args(Strand):
            raise ValueError(f"expected strand to be {' or '.join(get_args(Strand))}, found {strand!r}")
        if source is not None and source not in self._source_names:
            raise UnknownSourceError(f"no source is called {source!r}; there are {', '.join(self.sources) or 'none'}")
        chosen = None if source is None else self._source_codes == self._source_names.index(source)
        found: list[list[Candidate]] = []
        step = _VECTORS // 2 if strand == "both" else _VECTORS
        for first in range(0, len(queries), step):
            weights = self._weights(query_counts(queries[first : first + step]), strand)
            scores = self._scores(weights.reshape(-1, KMERS)).reshape(*weights.shape[:2], self.sequences)
            for own_weights, own_scores in zip(weights, scores, strict=True):
                best = own_scores.max(axis=0)
                if chosen is not None:
                    best[~chosen] = 0
                found.append(self._ranked(own_weights, candidates(best, top_n, threshold), top_n, threshold))
        return found

    def explain(self, query: Query, hit: Hit, most: int = 20, *, strand: Strand = "both") -> Explanation:
        """Return why a hit is similar: the ``most`` shared 6-mers with the largest share, and both profiles.

        Of the query's strands that ``strand`` names, it explains the more similar one, whose similarity the hit has.

        Raises
        ------
        UnknownSequenceError
            If the index does not hold the hit's sequence.
        """
        row = self.row(hit.seq_id, hit.source, hit.file)
        hit_counts = self.counts(row)
        hit_profile = unit(hit_counts * self.idf)
        given = query_counts([query])[0]
        strands = [given, given[reverse_complement_codes(K)]] if strand == "both" else [given]
        profiles = [unit(counts * self.idf) for counts in strands]
        similarities = [round(float(profile @ hit_profile), DECIMALS) for profile in profiles]
        best = similarities.index(max(similarities))
        counts, query_profile = strands[best], profiles[best]
        products = query_profile * hit_profile
        heaviest = np.lexsort((np.arange(KMERS), -products))[:most]
        shares = (products[heaviest] / products.sum()).tolist()
        kmers = kmer_strings(K)
        terms = [
            SharedKmer(str(kmers[code]), int(counts[code]), int(hit_counts[code]), share)
            for code, share in zip(heaviest.tolist(), shares, strict=True)
            if share > 0
        ]
        return Explanation("+-"[best], terms, int(np.count_nonzero(products)), query_profile, hit_profile)

    def row(self, seq_id: str, source: str | None = None, file: str | None = None) -> int:
        """Return the row of a sequence, the first of several with the same names.

        Raises
        ------
        UnknownSequenceError
            If there is none.
        """
        criteria = {"seq_id": seq_id, "source": source, "file": file}
        found = None
        for name, value in criteria.items():
            if value is not None:
                here = pc.equal(self._names[name], value)
                found = here if found is None else pc.and_(found, here)
        row: int = pc.index(found, True).as_py()
        if row < 0:
            among = "".join(f", {name} {value}" for name, value in criteria.items() if value and name != "seq_id")
            raise UnknownSequenceError(f"the index holds no sequence {seq_id}{among}")
        return row

    def names(self, rows: npt.NDArray[np.int64]) -> pa.Table:
        """Return seq_id, source, file, length and description of the given rows."""
        return self._names.take(pa.array(rows))

    def counts(self, row: int) -> npt.NDArray[np.int64]:
        """Return the 6-mer counts of a row, shape (4096,), in alphabetical order."""
        part = int(np.searchsorted(self._firsts, row, side="right")) - 1
        return unpack(self._parts[part].planes, row - int(self._firsts[part]))

    def _own_idf(self) -> npt.NDArray[np.float64]:
        frequency = np.zeros(KMERS, np.int64)
        for part in self._parts:
            frequency += part.document_frequency
        return inverse_document_frequency(frequency, self.sequences)

    @cached_property
    def _indexed(self) -> IndexedSequences:
        """The sequences of the rows."""
        return IndexedSequences(self.table.home, self.provenance)

    @cached_property
    def _ranges(self) -> list[tuple[_Segment, int, int, int]]:
        """Parts, their first rows, and ranges of their rows that each take a thread about the same time."""
        return [
            (part, int(first), start, min(start + _ROWS, part.planes.rows))
            for part, first in zip(self._parts, self._firsts[:-1], strict=True)
            for start in range(0, part.planes.rows, _ROWS)
        ]

    def _each_range(self, work: Callable[[_Segment, int, int, int], Any]) -> None:
        if len(self._ranges) > 1 and self._threads > 1:
            for _ in self._pool.map(lambda each: work(*each), self._ranges):
                pass
        else:
            for each in self._ranges:
                work(*each)

    def _weights(self, counts: npt.NDArray[np.int64], strand: Strand) -> npt.NDArray[np.float64]:
        """Return weights for queries' counts and, for both strands, their reverse complements'.

        The shape is (queries, strands, 4096).
        """
        # np.take keeps rows contiguous: sums over a row are then the same, whatever queries are beside it.
        reverse = [np.take(counts, reverse_complement_codes(K), axis=1)] if strand == "both" else []
        return np.stack([query_weights(each, self.idf) for each in (counts, *reverse)], axis=1)

    def _scores(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        """Return similarities of all rows to some vectors, shape (vectors, rows), within `ranking.MARGIN`."""
        scores = np.empty((len(weights), self.sequences), np.float32)
        narrow = weights.astype(np.float32)

        def one(part: _Segment, first: int, start: int, stop: int) -> None:
            score(part.planes, narrow, start, stop, scores[:, first:])
            scores[:, first + start : first + stop] *= self._inverse_norms[first + start : first + stop]

        self._each_range(one)
        return scores

    def _ranked(
        self, weights: npt.NDArray[np.float64], rows: npt.NDArray[np.int64], top_n: int, threshold: float
    ) -> list[Candidate]:
        """Score rows again, exactly, and return the hits among them.

        Parameters
        ----------
        weights
            Weights of the query and optionally of its reverse complement, shape (strands, 4096).
        rows
            Candidates, ascending.
        """
        cuts = np.searchsorted(rows, self._firsts)
        similarities = np.empty((len(weights), len(rows)))
        for part, first, start, stop in zip(self._parts, self._firsts, cuts, cuts[1:], strict=False):
            for strand, own in enumerate(weights):
                if start < stop:
                    similarities[strand, start:stop] = dot(part.planes, own, rows[start:stop] - first)
        similarities = np.minimum(np.round(similarities / self._norms[rows], DECIMALS), 1)
        strand = similarities.argmax(axis=0)
        hits, places = rank(similarities.max(axis=0), strand, self.names(rows), top_n, threshold)
        found = rows[places]
        parts = np.searchsorted(self._firsts, found, side="right") - 1
        own = (found - self._firsts[parts]).tolist()
        keys = [self._keys[part] for part in parts.tolist()]
        return [Candidate(*each) for each in zip(hits, keys, own, strict=True)]


def _read_segment(snapshot: Snapshot, files: Iterable[DataFile]) -> _Segment:
    names, planes, frequency = [], [], np.zeros(KMERS, np.int64)
    for file in files:
        with snapshot.open(file) as (opened, groups):
            for group in groups:
                rows = opened.read_row_group(group, columns=[*NAMES, "codes", "counts"], use_threads=False)
                rows = rows.combine_chunks()
                kmers = _kmers(rows["codes"].chunk(0), rows["counts"].chunk(0))
                planes.append(pack(kmers))
                frequency += document_frequency(kmers)
                names.append(rows.select(NAMES))
    if len(planes) != 1:
        planes = (
            [concatenate(planes)] if planes else [pack(sequence_kmers(np.empty(0, np.uint8), np.zeros(1, np.int64)))]
        )
    return _Segment(pa.concat_tables(names), planes[0], frequency)


def _kmers(codes: pa.ListArray, counts: pa.ListArray) -> SequenceKmers:
    offsets = codes.offsets.to_numpy().astype(np.int64)
    windows = np.zeros(len(codes), np.int64)  # not used here
    return SequenceKmers(offsets - offsets[0], codes.flatten().to_numpy(), counts.flatten().to_numpy(), windows)
