"""The pass behind alignments and substitutions: a batch of distinct proteins against the references.

Belongs here: candidates, alignments and changes of one batch as rows. Does not belong here: the compiled work
(``kernels``), and which pairs are new (``alignments.py``).

Rows of pairs that were aligned before are copied. Rows are sorted, so that a batch gives the same rows in the same
order, however they came together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from Bio.SeqUtils import seq3

from opengenome_assets.framework.shards import Shard, read_shard
from opengenome_assets.kernels.alignments import PROOFS, Alignments, align_pairs
from opengenome_assets.kernels.amino_acids import CODES, doubled_scores
from opengenome_assets.kernels.assignment import Index
from opengenome_assets.kernels.bases import arrow_text
from opengenome_assets.proteins.alignment import Scoring
from opengenome_assets.proteins.changes import AMBIGUOUS, changes_of
from opengenome_assets.proteins.tables import ALIGNMENTS, DISTINCT_PROTEINS, SUBSTITUTIONS
from opengenome_assets.storage.parts import Part, PartWriter

IDENTITY = 0.8
"""Least identity of an alignment whose changes are listed, and from which assignment is lossless."""
COVERAGE = 0.3
"""Share of the reference from which assignment is lossless."""
_POOR, _COLUMNS = 0.5, 20  # a pair is kept from this identity over COVERAGE, or from IDENTITY over so many columns
_AT_END, _FLANK = 5, 10
_CHUNK = 1 << 22  # letters of both sequences of the pairs that are looked at together
_NOT_ONE = np.isin(np.arange(256), [ord(letter) for letter in AMBIGUOUS])
_THREE = [str(seq3(chr(letter))) if chr(letter).isupper() else "" for letter in range(128)]  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class AlignTask:
    """A batch, the references that are new to it, and the rows of pairs that are kept.

    ``references`` has name, SHA-256 and sequence of each. ``before`` has the files of alignments and of substitutions
    whose rows of the ``kept`` references are copied.
    """

    batch: tuple[Shard, ...]
    references: tuple[tuple[str, str, str], ...]
    before: tuple[tuple[Shard, ...], ...]
    kept: tuple[str, ...]
    scoring: Scoring
    key: str
    uris: tuple[str, ...]
    facts: dict[str, Any]


def align_batch(task: AlignTask) -> tuple[Part, Part]:
    """Align a batch to its new references, and write its rows of both tables."""
    batch = pa.concat_tables(
        [DISTINCT_PROTEINS.schema.empty_table()]
        + [rows for shard in task.batch for rows in read_shard(shard, DISTINCT_PROTEINS.schema.names)]
    ).combine_chunks()
    old = [
        _copied(shards, schema, batch["protein_sha256"], task.kept)
        for shards, schema in zip(task.before, (ALIGNMENTS.schema, SUBSTITUTIONS.schema), strict=True)
    ]
    aligned = list(_aligned(batch, task.references, task.scoring)) if task.references and batch.num_rows else []
    parts = []
    for place, spec in enumerate((ALIGNMENTS, SUBSTITUTIONS)):
        rows = pa.concat_tables([old[place], *(tables[place] for tables in aligned)])
        rows = rows.sort_by([(name, "ascending") for name in spec.key])
        with PartWriter(task.uris[place], task.key, spec.schema) as writer:
            if rows.num_rows:
                writer.write(rows)
            parts.append(writer.finish(**task.facts))
    return parts[0], parts[1]


def _copied(shards: Sequence[Shard], schema: pa.Schema, proteins: pa.ChunkedArray, kept: Sequence[str]) -> pa.Table:
    """Return the rows of proteins of the batch with kept references."""
    references, found = pa.array(kept, pa.string()), [schema.empty_table()]
    wanted = proteins.combine_chunks()
    for shard in shards:
        for rows in read_shard(shard, schema.names):
            mask = pc.and_(pc.is_in(rows["reference"], references), pc.is_in(rows["protein_sha256"], wanted))
            found.append(rows.filter(mask).cast(schema))
    return pa.concat_tables(found)


def _aligned(
    batch: pa.Table, references: Sequence[tuple[str, str, str]], scoring: Scoring
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Yield rows of both tables, for some pairs at a time."""
    letters, offsets = arrow_text(batch["sequence"].chunk(0))
    offsets = np.asarray(offsets, np.int64)
    wild = np.frombuffer("".join(sequence for _, _, sequence in references).encode(), np.uint8)
    wild_offsets = np.cumsum([0, *(len(sequence) for _, _, sequence in references)], dtype=np.int64)
    base = offsets[0]
    letters, offsets = letters[base : offsets[-1]], offsets - base
    queries, targets = CODES[letters], CODES[wild]
    index = Index(targets, wild_offsets, identity=IDENTITY, coverage=COVERAGE)
    pairs, shared = index.candidates(queries, offsets)
    sizes = np.diff(offsets)[pairs[:, 0]] + np.diff(wild_offsets)[pairs[:, 1]]
    cuts = np.flatnonzero(np.diff(np.cumsum(sizes) // _CHUNK)) + 1
    names = pa.array([name for name, _, _ in references]), pa.array([checksum for _, checksum, _ in references])
    for first, last in pairwise([0, *cuts.tolist(), len(pairs)]):
        own = pairs[first:last]
        if not len(own):
            continue
        found = align_pairs(
            *(queries, offsets, targets, wild_offsets, own),
            *(doubled_scores(scoring.matrix), *scoring.doubled_gaps()),
        )
        kept = _kept(found, np.diff(wild_offsets)[own[:, 1]])
        columns = _Columns(found.take(kept), own[kept], letters, offsets, wild, wild_offsets, scoring.matrix)
        yield columns.rows(batch["protein_sha256"].chunk(0), names, shared[first:last][kept])


def _kept(found: Alignments, reference_lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Numbers of the pairs that have rows. Most pairs have none, so their columns are not looked at one by one."""
    lengths = (found.runs >> 2).astype(np.int64)
    sums = [np.concatenate([[0], np.cumsum(each)]) for each in (lengths, np.where(found.runs & 3 == 0, lengths, 0))]
    columns, identical = (np.diff(each[found.run_offsets]) for each in sums)
    identity = identical / np.maximum(columns, 1)
    coverage = (found.ends[:, 1] - found.starts[:, 1]) / reference_lengths
    near = (identity >= IDENTITY) & (columns >= _COLUMNS)
    return np.flatnonzero((found.scores > 0) & (near | ((identity >= _POOR) & (coverage >= COVERAGE))))


class _Columns:
    """Every column of some alignments, and the rows that they give."""

    def __init__(
        self,
        found: Alignments,
        pairs: npt.NDArray[np.int32],
        letters: npt.NDArray[np.uint8],
        offsets: npt.NDArray[np.int64],
        wild: npt.NDArray[np.uint8],
        wild_offsets: npt.NDArray[np.int64],
        matrix: str,
    ) -> None:
        self.found, self.pairs = found, pairs
        self.letters, self.offsets, self.wild, self.wild_offsets = letters, offsets, wild, wild_offsets
        lengths, operations = (found.runs >> 2).astype(np.int64), found.runs & 3
        self.query_lengths = np.diff(offsets)[pairs[:, 0]]
        self.reference_lengths = np.diff(wild_offsets)[pairs[:, 1]]
        ends = np.cumsum(lengths)
        self.ends = np.concatenate([[0], ends])[found.run_offsets]  # of each pair, in columns
        self.columns = np.diff(self.ends)
        operation = np.repeat(operations, lengths)
        self.pair = np.repeat(np.arange(len(pairs)), self.columns)
        steps = operation != 3, operation != 2  # I uses a letter of the query, D one of the reference
        self.place = []
        for step, starts, origin, number in zip(
            steps, (found.starts[:, 0], found.starts[:, 1]), (offsets, wild_offsets), (0, 1), strict=True
        ):
            before = np.concatenate([[0], np.cumsum(step)])
            first = before[self.ends[:-1]]
            self.place.append(before[:-1] + (origin[pairs[:, number]] + starts - first)[self.pair])
        self.paired = operation < 2
        self.same = operation == 0
        self.other = operation == 1
        scores = doubled_scores(matrix)
        first, second = (text[places[self.paired]] for text, places in zip((letters, wild), self.place, strict=True))
        positive = scores[CODES[first], CODES[second]] > 0
        self.positive = self._sums(np.flatnonzero(self.paired)[positive])
        self.identical = self._sums(np.flatnonzero(self.same))
        self.gaps = self.columns - self._sums(np.flatnonzero(self.paired))

    def _sums(self, columns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.bincount(self.pair[columns], minlength=len(self.pairs))

    def rows(self, proteins: pa.Array, names: tuple[pa.Array, pa.Array], shared: Any) -> tuple[pa.Table, pa.Table]:
        """Rows of alignments and of substitutions of the pairs."""
        found, pairs = self.found, self.pairs
        identity = self.identical / np.maximum(self.columns, 1)
        coverage = [
            (found.ends[:, side] - found.starts[:, side]) / lengths
            for side, lengths in enumerate((self.query_lengths, self.reference_lengths))
        ]
        near = (identity >= IDENTITY) & (self.columns >= _COLUMNS)
        columns = {
            "protein_sha256": proteins.take(pa.array(pairs[:, 0])),
            "reference": names[0].take(pa.array(pairs[:, 1])),
            "reference_sha256": names[1].take(pa.array(pairs[:, 1])),
            "score": found.scores / 2,
            "identity": identity,
            "similarity": self.positive / np.maximum(self.columns, 1),
            "coverage_query": coverage[0],
            "coverage_reference": coverage[1],
            "columns": self.columns.astype(np.int32),
            "gaps": self.gaps.astype(np.int32),
            "query_length": self.query_lengths.astype(np.int32),
            "query_start": found.starts[:, 0] + 1,
            "query_end": found.ends[:, 0],
            "reference_length": self.reference_lengths.astype(np.int32),
            "reference_start": found.starts[:, 1] + 1,
            "reference_end": found.ends[:, 1],
            "cigar": [found.cigar(pair) for pair in range(len(pairs))],
            "proof": np.array(PROOFS)[found.proofs],
            "shared_kmers": shared,
            "ambiguous": self._ambiguous(),
        }
        alignments = pa.table(columns, schema=ALIGNMENTS.schema)
        changes = [*self._substitutions(near), *self._with_gaps(near)]
        names_of = columns["protein_sha256"], columns["reference"]
        tables = [
            pa.table([*(each.take(pa.array(places)) for each in names_of), *rest], schema=SUBSTITUTIONS.schema)
            for places, *rest in changes
        ]
        return alignments, pa.concat_tables([SUBSTITUTIONS.schema.empty_table(), *tables])

    def _ambiguous(self) -> list[list[int]]:
        """Positions on the reference that meet a letter that stands for several, of each pair."""
        columns = np.flatnonzero(self.paired)
        columns = columns[_NOT_ONE[self.letters[self.place[0][columns]]]]
        positions = self.place[1][columns] - self.wild_offsets[self.pairs[self.pair[columns], 1]] + 1
        found: dict[int, list[int]] = {}
        for pair, position in zip(self.pair[columns].tolist(), positions.tolist(), strict=True):
            found.setdefault(pair, []).append(position)
        return [found.get(pair, []) for pair in range(len(self.pairs))]

    def _substitutions(self, near: Any) -> Iterator[list[Any]]:
        """Columns of substitutions of the pairs without gaps, after the places of their pairs."""
        columns = np.flatnonzero(self.other)
        columns = columns[(near & (self.gaps == 0))[self.pair[columns]]]
        old, new = self.wild[self.place[1][columns]], self.letters[self.place[0][columns]]
        clear = ~(_NOT_ONE[old] | _NOT_ONE[new])
        columns, old, new = columns[clear], old[clear], new[clear]
        if not len(columns):
            return
        pair = self.pair[columns]
        position = (self.place[1][columns] - self.wild_offsets[self.pairs[pair, 1]] + 1).astype(np.int32)
        first, last = self.ends[pair], self.ends[pair + 1]
        same = np.concatenate([[0], np.cumsum(self.same)])
        left, right = np.maximum(columns - _FLANK, first), np.minimum(columns + _FLANK + 1, last)
        flank = (same[right] - same[left]) / np.maximum(right - left - 1, 1)
        text = pc.cast(pa.array(position), pa.string())
        one, three = pa.array([chr(code) for code in range(128)]), pa.array(_THREE)
        a, b = pa.array(old, pa.uint8()), pa.array(new, pa.uint8())
        score = (doubled_scores("BLOSUM62")[CODES[old], CODES[new]] // 2).astype(np.int8)
        yield [
            *(pair, position, one.take(a), one.take(b), pa.repeat("substitution", len(pair))),
            pc.binary_join_element_wise(one.take(a), text, one.take(b), ""),
            pc.binary_join_element_wise("p.", three.take(a), text, three.take(b), ""),
            *(score, (columns - first < _AT_END) | (last - columns <= _AT_END), flank),
        ]

    def _with_gaps(self, near: Any) -> Iterator[list[Any]]:
        """The same of the pairs with gaps. They are few, and neighbouring gaps are one allele."""
        same = np.concatenate([[0], np.cumsum(self.same)])
        rows = []
        scores = doubled_scores("BLOSUM62")
        for pair in np.flatnonzero(near & (self.gaps > 0)).tolist():
            number, target = self.pairs[pair].tolist()
            query, reference = (
                text[origin[place] : origin[place + 1]].tobytes().decode()
                for text, origin, place in (
                    (self.letters, self.offsets, number),
                    (self.wild, self.wild_offsets, target),
                )
            )
            start, end = self.found.starts[pair], self.found.ends[pair]
            first, last = int(self.ends[pair]), int(self.ends[pair + 1])
            places = self.place[1][first:last] - self.wild_offsets[target]  # ascending
            for change in changes_of(reference, query, self.found.cigar(pair), int(start[1]), int(start[0])):
                single = change.kind == "substitution"
                flank = None
                if single:
                    column = first + int(np.searchsorted(places, change.position - 1, side="right")) - 1
                    left, right = max(column - _FLANK, first), min(column + _FLANK + 1, last)
                    flank = int(same[right] - same[left]) / max(right - left - 1, 1)
                rows.append(
                    (
                        *(pair, change.position, change.ref, change.alt, change.kind, change.short()),
                        change.hgvs(reference),
                        scores[CODES[ord(change.ref)], CODES[ord(change.alt)]] // 2 if single else None,
                        change.position - start[1] <= _AT_END or end[1] - change.position < _AT_END,
                        flank,
                    )
                )
        if rows:
            kinds = [pa.int64(), *(field.type for field in list(SUBSTITUTIONS.schema)[2:])]
            yield [pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), kinds, strict=True)]
