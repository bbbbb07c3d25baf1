"""Parsing one source file: into shards of good records, and a record of what was refused.

Belongs here: which records are taken, what is said of the others, and how rows are cut into shards. Does not belong
here: decompression (``resources/streams.py``), FASTA itself (``kernels/fasta.py``), and what a refused file means for
the run (``corpus/sequence_shards.py``).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from opengenome_assets.kernels.bases import arrow_text
from opengenome_assets.kernels.fasta import FastaBatch, FastaError, read_records, reject_reasons, split_headers
from opengenome_assets.kernels.identifiers import SeenIdentifiers
from opengenome_assets.resources.parts import Part, PartWriter
from opengenome_assets.resources.schemas import SOURCE, column
from opengenome_assets.resources.streams import StreamError, open_stream

# A Parquet page ends at 2^31 - 1 bytes and a value must fit into one, with a few bytes that say how long it is.
MAX_LENGTH = 2**31 - 64

FILE = column("file", pa.string(), "Path of its FASTA file below the source that was named")

SHARDS_SCHEMA = pa.schema(
    [
        SOURCE,
        FILE,
        column("seq_id", pa.string(), "Identifier: the header's first word; unique within its file"),
        column("description", pa.string(), "The rest of the header"),
        column("length", pa.int64(), "Letters"),
        # large_string: a record may have nearly 2^31 letters, and then some others beside it in a row group.
        column("sequence", pa.large_string(), "The sequence in upper case, IUPAC letters, as given otherwise"),
        column("gc_content", pa.float64(), "G and C divided by A, C, G and T, in [0, 1]; empty without any of them"),
        column("acgt_bases", pa.int64(), "Letters A, C, G and T"),
    ]
)

REJECTED_SCHEMA = pa.schema(
    [
        SOURCE,
        FILE,
        column("record", pa.int64(), "The record's place in its file, from 1"),
        column("line", pa.int64(), "The line its header stands on, from 1"),
        column("header", pa.string(), "Its header without '>'"),
        column("reason", pa.string(), "Why it was refused"),
    ]
)


@dataclass(frozen=True)
class ParseSettings:
    """What decides which rows a file gives, and how they are stored.

    Attributes
    ----------
    min_length
        Shorter sequences are left out.
    drop_ambiguous
        Sequences with other letters than A, C, G, T are left out.
    first_records
        Read only so many records of each file; None for all.
    compression
        Parquet codec.
    max_records_per_shard, max_bases_per_shard
        A shard ends before it would exceed either; one longer sequence has a shard of its own.
    """

    min_length: int
    drop_ambiguous: bool
    first_records: int | None
    compression: str
    max_records_per_shard: int
    max_bases_per_shard: int


@dataclass(frozen=True)
class ParseTask:
    """One source file to parse: what the catalogue knows of it, and where its rows go."""

    source: str
    path: str
    uri: str
    sha256: str
    key: str
    shards_uri: str
    rejected_uri: str
    settings: ParseSettings


@dataclass(frozen=True)
class Parsed:
    """What became of a file: its parts, or why it could not be used."""

    shards: Part | None = None
    rejected: Part | None = None
    error: str | None = None


def parse_file(task: ParseTask) -> Parsed:
    """Parse one source file. A file that is not what it should be is a result, not an exception."""
    try:
        return _parse(task)
    except (FastaError, StreamError) as error:
        return Parsed(error=str(error))


def _parse(task: ParseTask) -> Parsed:
    settings = task.settings
    tally: Counter[str] = Counter()
    seen = SeenIdentifiers()
    with (
        open_stream(task.uri) as stream,
        PartWriter(task.shards_uri, task.key, SHARDS_SCHEMA, settings.compression) as shards,
        PartWriter(task.rejected_uri, task.key, REJECTED_SCHEMA) as rejected,
    ):
        cutter = ShardCutter(shards, settings)
        for batch in read_records(stream.readinto, name=task.uri, max_length=MAX_LENGTH):
            read = batch.record <= (settings.first_records or batch.record[-1])
            ids, descriptions = split_headers(batch)
            reasons = {place: why for place, why in _reasons(batch, ids, seen).items() if read[place]}
            if reasons:
                rejected.write(_rejected_rows(task, batch, reasons))
            good = read.copy()
            good[list(reasons)] = False
            short = good & (batch.length < settings.min_length)
            ambiguous = good & ~short & (batch.acgt_bases < batch.length) & settings.drop_ambiguous
            kept = good & ~(short | ambiguous)
            cutter.write(_rows(task, batch, ids, descriptions, kept), batch.length[kept])
            tally.update(
                records=int(read.sum()),
                accepted=int(kept.sum()),
                rejected=len(reasons),
                too_short=int(short.sum()),
                ambiguous=int(ambiguous.sum()),
                bases=int(batch.length[kept].sum()),
            )
            if not read.all():
                break
        header_lines = None  # unknown if only the first records were read
        if settings.first_records is None:
            header_lines = stream.header_lines
            if stream.sha256 != task.sha256:
                raise StreamError(
                    f"{task.uri}: changed since it was catalogued (sha256 {stream.sha256[:16]}…, expected "
                    f"{task.sha256[:16]}…). Materialise raw_fasta again"
                )
        facts = {
            "source": task.source,
            "file": task.path,
            "sha256": task.sha256,
            "header_lines": header_lines,
            **{name: tally[name] for name in ("records", "accepted", "rejected", "too_short", "ambiguous", "bases")},
        }
        # The shards last: whoever finds them can rely on the refused records being there.
        return Parsed(rejected=rejected.finish(**facts), shards=cutter.finish(**facts))


def _reasons(batch: FastaBatch, ids: pa.Array, seen: SeenIdentifiers) -> dict[int, str]:
    """Say of each record that is refused why, by its place in the batch."""
    reasons = reject_reasons(batch)
    good = np.ones(len(batch), bool)
    good[list(reasons)] = False
    again = seen.add(*arrow_text(ids if good.all() else ids.filter(pa.array(good))))
    for place in np.flatnonzero(good)[again]:
        reasons[int(place)] = (
            f"identifier {ids[place].as_py()!r} stands on an earlier record of this file; expected unique identifiers"
        )
    return dict(sorted(reasons.items()))


def _rejected_rows(task: ParseTask, batch: FastaBatch, reasons: dict[int, str]) -> pa.Table:
    places = list(reasons)
    return pa.table(
        [
            pa.repeat(pa.scalar(task.source), len(places)),
            pa.repeat(pa.scalar(task.path), len(places)),
            batch.record[places],
            batch.line[places],
            [batch.header(place) for place in places],
            list(reasons.values()),
        ],
        schema=REJECTED_SCHEMA,
    )


def _rows(task: ParseTask, batch: FastaBatch, ids: pa.Array, descriptions: pa.Array, kept: np.ndarray) -> pa.Table:
    count = len(batch)
    known = batch.acgt_bases > 0
    rows = pa.table(
        [
            pa.repeat(pa.scalar(task.source), count),
            pa.repeat(pa.scalar(task.path), count),
            ids,
            descriptions,
            batch.length,
            pa.LargeStringArray.from_buffers(count, pa.py_buffer(batch.offsets), pa.py_buffer(batch.data)),
            pa.array(batch.gc_bases / np.maximum(batch.acgt_bases, 1), mask=~known),
            batch.acgt_bases,
        ],
        schema=SHARDS_SCHEMA,
    )
    return rows if kept.all() else rows.filter(pa.array(kept))


class ShardCutter:
    """Cuts a file's rows into shards of bounded size, each a Parquet file."""

    def __init__(self, writer: PartWriter, settings: ParseSettings) -> None:
        self.writer = writer
        self.max_records = settings.max_records_per_shard
        self.max_bases = settings.max_bases_per_shard
        self.records = self.bases = 0
        self.shard_bases: list[int] = []

    def write(self, rows: pa.Table, lengths: np.ndarray) -> None:
        """Append rows, ending shards where they are full."""
        start = 0
        while start < len(lengths):
            ends = np.cumsum(lengths[start:])
            fits = int(np.searchsorted(ends, self.max_bases - self.bases, side="right"))
            fits = min(fits, self.max_records - self.records)
            if fits == 0 and self.records:
                self._end_shard()
                continue
            take = max(fits, 1)
            self.writer.write(rows.slice(start, take))
            self.records += take
            self.bases += int(ends[take - 1])
            start += take

    def _end_shard(self) -> None:
        self.writer.close_file()
        if self.records:
            self.shard_bases.append(self.bases)
        self.records = self.bases = 0

    def finish(self, **facts: object) -> Part:
        """End the last shard and the part."""
        self._end_shard()
        return self.writer.finish(shard_bases=self.shard_bases, **facts)
