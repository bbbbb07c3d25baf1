"""SearchIndex: the sequences of the corpus most similar to a query, exactly ranked.

Similarity is the cosine similarity of TF-IDF vectors of 6-mers (``kernels/tfidf.py``). The index holds only counts, so
that a version shares all unchanged rows with the one before. Weights follow from the counts of one version: they are
kept with its mapped files, or taken from the counts when it is opened. Every row is scored with weights of 15 bits,
whose error has a bound. Rows that may be hits within that bound are scored again in 64 bits. By default the reverse
complement of a query is compared too: its counts are those of the query in another order, and both are scored in one
reading of the rows.

Belongs here: opening a version of tfidf_index, and scoring its rows. Does not belong here: where rows lie
(``blocks.py``), the sums (``kernels/planes.py``), weights and ranks (``ranking.py``), what hits hold of a query
(``containment.py``), occurrences of single k-mers, and serving answers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from opengenome_assets.corpus.tables import TFIDF_INDEX
from opengenome_assets.kernels.bases import reverse_complement_codes
from opengenome_assets.kernels.batches import BATCH_ROWS
from opengenome_assets.kernels.planes import Planes, dot, norms, score, unpack
from opengenome_assets.kernels.profiles import KMERS, K
from opengenome_assets.kernels.tfidf import inverse_document_frequency
from opengenome_assets.search.blocks import Block, IndexRows, matching, open_rows, sources_of, stored_weights
from opengenome_assets.search.containment import IndexedSequences, Pair, contain, held_by, refuse_many_comparisons
from opengenome_assets.search.explanation import Explanation, explained
from opengenome_assets.search.matches import Matches, find_matches
from opengenome_assets.search.options import MAX_COMPARISONS, Sort, Strand, candidates_of
from opengenome_assets.search.queries import Query
from opengenome_assets.search.ranking import (
    DECIMALS,
    Hit,
    by_containment,
    candidates,
    query_counts,
    query_weights,
    rank,
    whole_weights,
)
from opengenome_assets.settings import read_home
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home, Table

# Vectors scored in one pass over memory (scoring is memory-bound).
_VECTORS = 16


class UnknownSourceError(LookupError):
    """The index does not hold the source to search; the message names its sources."""


class UnknownSequenceError(LookupError):
    """The index does not hold the named sequence."""


@dataclass(frozen=True)
class Candidate:
    """A hit by similarity alone, and the row of a part of the index that it is."""

    hit: Hit
    part: str
    row: int


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
    idf
        Weight of each 6-mer, float64, shape (4096,).
    """

    def __init__(
        self,
        table: Table,
        version: int,
        provenance: Provenance,
        rows: IndexRows,
        threads: int | None = None,
        weights: npt.NDArray[np.float64] | None = None,
        norms_of_rows: npt.NDArray[np.float64] | None = None,
    ) -> None:
        self.table = table
        self.version = version
        self.provenance = provenance
        self._rows = rows
        cpus = os.sched_getaffinity(0)
        self._threads = threads or len(cpus)
        places = iter(sorted(cpus) if self._threads == len(cpus) else ())
        # Not for reading: threads that a library starts for it would be bound like the thread that starts them.
        self._scorers = ThreadPoolExecutor(self._threads, "score", lambda: _stay_on(next(places, None)))
        self._readers = ThreadPoolExecutor(self._threads, "read")
        self.sequences = len(rows.places)
        self.idf = inverse_document_frequency(rows.document_frequency(), self.sequences) if weights is None else weights
        self._norms = np.zeros(len(rows.rows))
        if norms_of_rows is None:
            self._each_range(lambda planes, first, a, b: norms(planes, self.idf, a, b, self._norms[first:]))
            self._norms[rows.rows < 0] = 0
        else:
            self._norms[rows.places] = norms_of_rows
        # A place without a row has the norm 0, and so the similarity 0.
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
        """Open a version of tfidf_index: map it where it has mapped files, else read it into memory.

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
            parts are those of the whole. Default: from the counts.

        Raises
        ------
        MissingTableError, MissingVersionError, DamagedTableError, DamagedFileError
            If the table cannot be read.
        """
        table = Home(home or read_home()).table(TFIDF_INDEX)
        snapshot = table.at(version)
        known = previous._rows if previous and previous.table == table else None
        with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
            rows = open_rows(snapshot, parts, known, pool)
        pa.default_memory_pool().release_unused()
        stored = stored_weights(snapshot) if parts is None and idf is None else None
        weights, row_norms = stored or (idf, None)
        return cls(table, snapshot.version, snapshot.provenance, rows, threads, weights, row_norms)

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
        """Bytes of this process's own memory, without mapped files; a later version may share a part of them."""
        return int(self._rows.nbytes + self._rows.places.nbytes + self._norms.nbytes + self._inverse_norms.nbytes)

    @property
    def mapped_bytes(self) -> int:
        """Bytes of mapped files, whose pages the system keeps in memory while there is room."""
        return self._rows.mapped_bytes

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources of the sequences, sorted."""
        return tuple(sorted(self._sources[1]))

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
            contain(queries, pairs, self._indexed, strand=strand, threads=self._readers if self._threads > 1 else None)
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
        if source is not None and source not in self.sources:
            raise UnknownSourceError(f"no source is called {source!r}; there are {', '.join(self.sources) or 'none'}")
        chosen = None if source is None else self._sources[0] == self._sources[1].index(source)
        found: list[list[Candidate]] = []
        step = _VECTORS // 2 if strand == "both" else _VECTORS
        for first in range(0, len(queries), step):
            weights = self._weights(query_counts(queries[first : first + step]), strand)
            scores, margin = self._scores(weights.reshape(-1, KMERS))
            for own_weights, own_scores in zip(weights, scores.reshape(*weights.shape[:2], -1), strict=True):
                best = own_scores.max(axis=0)
                if chosen is not None:
                    best[~chosen] = 0
                rows = candidates(best, top_n, threshold, margin)
                found.append(self._ranked(own_weights, rows, top_n, threshold))
        return found

    def explain(self, query: Query, hit: Hit, most: int = 20, *, strand: Strand = "both") -> Explanation:
        """Return why a hit is similar: the ``most`` shared 6-mers with the largest share, and both profiles.

        Of the query's strands that ``strand`` names, it explains the more similar one, whose similarity the hit has.

        Raises
        ------
        UnknownSequenceError
            If the index does not hold the hit's sequence.
        """
        counts = self.counts(self.row(hit.seq_id, hit.source, hit.file))
        return explained(query_counts([query])[0], counts, self.idf, most, both=strand == "both")

    def matches(self, query: Query, hit: Hit, most: int = 50, *, strand: Strand = "both") -> Matches:
        """Return where a hit's sequence holds k-mers of a query: the ``most`` stretches with the most shared k-mers.

        Raises
        ------
        UnknownSequenceError
            If the index does not hold the hit's sequence.
        DamagedFileError, DamagedTableError
            If the sequence cannot be read.
        """
        rows = np.array([self.row(hit.seq_id, hit.source, hit.file)])
        ((part, row),) = self._rows.part_of(rows)
        ((_, letters),) = self._indexed.read(part, [row])
        return find_matches(np.frombuffer(query.sequence, np.uint8), letters, strand=strand, most=most)

    def row(self, seq_id: str, source: str | None = None, file: str | None = None) -> int:
        """Return the row of a sequence, the first of several with the same names.

        Raises
        ------
        UnknownSequenceError
            If there is none.
        """
        criteria = {"seq_id": seq_id, "source": source, "file": file}
        given = {name: value for name, value in criteria.items() if value is not None}
        rows = self._rows.rows[matching(self._rows.names, given)]
        rows = rows[rows >= 0]
        if not len(rows):
            among = "".join(f", {name} {value}" for name, value in given.items() if value and name != "seq_id")
            raise UnknownSequenceError(f"the index holds no sequence {seq_id}{among}")
        return int(rows.min())

    def names(self, rows: npt.NDArray[np.int64]) -> pa.Table:
        """Return seq_id, source, file, length and description of the given rows."""
        return self._rows.take(self._rows.places[rows])

    def counts(self, row: int) -> npt.NDArray[np.int64]:
        """Return the 6-mer counts of a row, shape (4096,), in alphabetical order."""
        place = int(self._rows.places[row])
        block = int(np.searchsorted(self._rows.starts, place, side="right")) - 1
        return unpack(self._rows.blocks[block].checked(), place - int(self._rows.starts[block]))

    @cached_property
    def _sources(self) -> tuple[npt.NDArray[np.int32], list[str]]:
        """The code of each place's source, and the sources."""
        return sources_of(self._rows.names, self._rows.rows)

    @cached_property
    def _indexed(self) -> IndexedSequences:
        """The sequences of the rows."""
        return IndexedSequences(self.table.home, self.provenance)

    @cached_property
    def _ranges(self) -> list[tuple[Block, int, int, int]]:
        """Blocks, their first places, and ranges of their rows that each take a thread about the same time."""
        return [
            (block, first, start, min(start + BATCH_ROWS, block.planes.rows))
            for block, first in zip(self._rows.blocks, self._rows.starts.tolist(), strict=False)
            for start in range(0, block.planes.rows, BATCH_ROWS)
        ]

    def _each_range(self, work: Callable[[Planes, int, int, int], Any]) -> None:
        ranges = iter(self._ranges)

        def some() -> None:
            for block, first, start, stop in ranges:
                work(block.checked(), first, start, stop)

        if len(self._ranges) > 1 and self._threads > 1:
            # A thread takes the next range by itself: a task for each range costs as much as a tenth of its scoring.
            for each in [self._scorers.submit(some) for _ in range(self._threads)]:
                each.result()
        else:
            some()

    def _weights(self, counts: npt.NDArray[np.int64], strand: Strand) -> npt.NDArray[np.float64]:
        """Return weights for queries' counts and, for both strands, their reverse complements'.

        The shape is (queries, strands, 4096).
        """
        # np.take keeps rows contiguous: sums over a row are then the same, whatever queries are beside it.
        reverse = [np.take(counts, reverse_complement_codes(K), axis=1)] if strand == "both" else []
        return np.stack([query_weights(each, self.idf) for each in (counts, *reverse)], axis=1)

    def _scores(self, weights: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float32], float]:
        """Return similarities of all rows to some vectors, shape (vectors, rows), and their largest error."""
        scores = np.empty((len(weights), len(self._rows.rows)), np.float32)
        whole, steps, margin = whole_weights(weights, self.idf)

        def one(planes: Planes, first: int, start: int, stop: int) -> None:
            here = slice(first + start, first + stop)
            scores[:, here] = score(planes, whole, start, stop) * steps[:, None] * self._inverse_norms[here]

        self._each_range(one)
        return scores, margin

    def _ranked(
        self, weights: npt.NDArray[np.float64], places: npt.NDArray[np.int64], top_n: int, threshold: float
    ) -> list[Candidate]:
        """Score rows again, exactly, and return the hits among them.

        Parameters
        ----------
        weights
            Weights of the query and optionally of its reverse complement, shape (strands, 4096).
        places
            Candidates, ascending.
        """
        starts = self._rows.starts
        cuts = np.searchsorted(places, starts)
        similarities = np.empty((len(weights), len(places)))
        for number in np.flatnonzero(np.diff(cuts)).tolist():
            planes, (begin, end) = self._rows.blocks[number].checked(), cuts[number : number + 2]
            for strand, own in enumerate(weights):
                similarities[strand, begin:end] = dot(planes, own, places[begin:end] - starts[number])
        similarities = np.minimum(np.round(similarities / self._norms[places], DECIMALS), 1)
        strand = similarities.argmax(axis=0)
        hits, best = rank(similarities.max(axis=0), strand, self._rows.take(places), top_n, threshold)
        parts = self._rows.part_of(self._rows.rows[places[best]])
        return [Candidate(hit, *part) for hit, part in zip(hits, parts, strict=True)]


def _stay_on(cpu: int | None) -> None:
    """Keep this thread on a CPU, if it may run there.

    A search over 30,000 sequences takes milliseconds. On a virtual machine with two CPUs, Linux often woke both threads
    on one of them and left them there for 3 ms. There is a thread for each CPU, and the next free thread takes the next
    rows, so a busy CPU delays no more than a few rows.
    """
    if cpu is not None:
        with suppress(OSError):
            os.sched_setaffinity(0, {cpu})  # of this thread only
