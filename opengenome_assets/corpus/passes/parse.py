"""Parsing one unit of source files into shards of good records and rows of refused ones.

Belongs here: which records are accepted, the reasons to refuse others, and how rows are cut into shards. Does not
belong here: decompression (``intake/streams.py``), parts and archives (``intake/containers.py``), the FASTA parser
(``kernels/fasta.py``), one file in several tasks (``pieces.py``), and the decision to publish
(``corpus/sequence_shards.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from opengenome_assets.corpus.tables import RAW_FASTA, REJECTED_RECORDS, SEQUENCE_SHARDS
from opengenome_assets.framework.parsing import Parsed, attempt
from opengenome_assets.intake.containers import Unit
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.intake.streams import DecompressedStream, StoredFile
from opengenome_assets.kernels.bases import arrow_text
from opengenome_assets.kernels.fasta import FastaBatch, Refusal, read_records, refusals, split_headers
from opengenome_assets.kernels.identifiers import SeenIdentifiers
from opengenome_assets.storage.packs import PackWriter
from opengenome_assets.storage.parts import Made, PartWriter, RowWriter

# A Parquet page has up to 2^31 - 1 bytes, and a value must fit into one page with a few bytes for its length.
MAX_STORED_LENGTH = 2**31 - 64

# Rows of fewer bytes wait for others before they become a row group.
ROW_GROUP_BYTES = 4 << 20

MAX_HEADER = 1000


@dataclass(frozen=True)
class ParseSettings:
    """Settings that decide which rows a file gives, and how they are stored.

    Attributes
    ----------
    min_length
        Shorter sequences are left out.
    drop_ambiguous
        Sequences with other letters than A, C, G, T are left out.
    first_records
        Maximum number of records read from each file; None for all.
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
    """One unit to parse: its files in order, as the catalogue lists them, and where its rows go.

    Each of the two tables has a key of its own: a new code version of one keeps the other's parts.
    """

    source: str
    path: str
    files: tuple[StoredFile, ...]
    shards_key: str
    rejected_key: str
    shards_uri: str
    rejected_uri: str
    settings: ParseSettings


def parse_file(task: ParseTask) -> Parsed:
    """Parse one unit. A faulty file is a result, not an exception."""
    return attempt(_parse_alone, task, RAW_FASTA)


def parse_files(tasks: Sequence[ParseTask]) -> list[Parsed]:
    """Parse some units of one run. The parts of several share packs, those of faulty files apart."""
    if len(tasks) == 1:
        return [parse_file(tasks[0])]
    first = tasks[0]
    rejected = PackWriter(first.rejected_uri, REJECTED_RECORDS.schema)
    shards = PackWriter(first.shards_uri, SEQUENCE_SHARDS.schema, first.settings.compression)

    def packed(task: ParseTask) -> Parsed:
        with shards.part(task.shards_key) as own_shards, rejected.part(task.rejected_key) as own_rejected:
            _parse(task, own_shards, own_rejected)
        return Parsed()

    results = [attempt(packed, task, RAW_FASTA) for task in tasks]
    # Refused records first: shards that lack them are parsed again.
    refused, accepted = rejected.finish(), shards.finish()
    return [
        result if result.error else Parsed(accepted[task.shards_key], refused[task.rejected_key])
        for task, result in zip(tasks, results, strict=True)
    ]


def _parse_alone(task: ParseTask) -> Parsed:
    with (
        PartWriter(task.shards_uri, task.shards_key, SEQUENCE_SHARDS.schema, task.settings.compression) as shards,
        PartWriter(task.rejected_uri, task.rejected_key, REJECTED_RECORDS.schema) as rejected,
    ):
        return Parsed(*_parse(task, shards, rejected))


def _parse(task: ParseTask, shards: RowWriter[Made], rejected: RowWriter[Made]) -> tuple[Made, Made]:
    """Write the parts of a unit, and return what their writers return: of the shards, and of the refused records."""
    with (
        Unit(task.path, task.files, FASTA) as unit,
        RowGroups(shards) as sequences,
        RowGroups(rejected) as refused,
    ):
        intake, cutter = Intake(task, refused), ShardCutter(shards, sequences, task.settings)
        for path, stream in unit:
            for each in intake.read(path, stream):
                cutter.write(rows_of(task.source, path, each), each.batch.length[each.kept])
            if intake.has_enough:
                unit.refuse_changed()
                break
        facts = intake.facts()
        if unit.is_archive:
            facts |= {"members": unit.members, "left_out": unit.left_out, "left_out_first": unit.left_out_first}
        # The shards come last: if they are there, the refused records are too.
        refused.finish()
        own = rejected.finish(**facts)
        return cutter.finish(**facts), own


class Sorted(NamedTuple):
    """A batch, the names and descriptions of its records, and the mask of those that become rows, shape (n,)."""

    batch: FastaBatch
    ids: pa.Array
    descriptions: pa.Array
    kept: npt.NDArray[np.bool_]


class Intake:
    """Sorts the records of a unit's FASTA files into rows, refused records and those left out by a setting.

    Parameters
    ----------
    task
        The unit.
    rejected
        Receives the rows of refused records.
    """

    def __init__(self, task: ParseTask, rejected: RowGroups) -> None:
        self.task = task
        self.settings = task.settings
        self.rejected = rejected
        self.tally: Counter[str] = Counter()
        self.has_enough = False

    def read(self, path: str, stream: DecompressedStream, *, letters: bool = True) -> Iterator[Sorted]:
        """Yield the batches of one FASTA file to its end, or up to ``first_records``.

        Parameters
        ----------
        path
            The file's path in its rows.
        stream
            Its plain bytes.
        letters
            Whether batches have their letters, as `read_records` takes it.
        """
        settings, seen, before = self.settings, SeenIdentifiers(), self.tally["records"]
        for batch in read_records(stream.readinto, name=stream.name, max_length=MAX_STORED_LENGTH, letters=letters):
            wanted = batch.record[-1] if settings.first_records is None else settings.first_records - before
            read = batch.record <= wanted
            ids, descriptions = split_headers(batch)
            refused = {place: why for place, why in _refused(batch, ids, seen).items() if read[place]}
            if refused:
                self.rejected.write(_rejected_rows(self.task.source, path, batch, refused))
            good = read.copy()
            good[list(refused)] = False
            short = good & (batch.length < settings.min_length)
            ambiguous = good & ~short & (batch.acgt_bases < batch.length) & settings.drop_ambiguous
            kept = good & ~(short | ambiguous)
            self.tally.update(
                records=int(read.sum()),
                accepted=int(kept.sum()),
                rejected=len(refused),
                too_short=int(short.sum()),
                ambiguous=int(ambiguous.sum()),
                bases=int(batch.length[kept].sum()),
            )
            yield Sorted(batch, ids, descriptions, kept)
            if not read.all():
                self.has_enough = True
                return
        self.tally["header_lines"] += stream.header_lines

    def facts(self) -> dict[str, object]:
        """Return the facts of the unit's parts, after all of it was read."""
        files, settings = self.task.files, self.settings
        sha256 = [file.sha256 for file in files]
        counts = ("records", "accepted", "rejected", "too_short", "ambiguous", "bases")
        return {
            "source": self.task.source,
            "file": self.task.path,
            "sha256": sha256[0] if files[0].path == self.task.path else sha256,
            # unknown if only the first records were read
            "header_lines": self.tally["header_lines"] if settings.first_records is None else None,
            **{name: self.tally[name] for name in counts},
        }


def _refused(batch: FastaBatch, ids: pa.Array, seen: SeenIdentifiers) -> dict[int, Refusal]:
    """Say why each refused record is refused, by its place in the batch."""
    refused = refusals(batch)
    good = np.ones(len(batch), bool)
    good[list(refused)] = False
    again = seen.add(*arrow_text(ids if good.all() else ids.filter(pa.array(good))))
    for place in np.flatnonzero(good)[again]:
        reason = (
            f"identifier {ids[place].as_py()!r} stands on an earlier record of this file; expected unique identifiers"
        )
        refused[int(place)] = Refusal("repeated identifier", reason)
    return dict(sorted(refused.items()))


def cut_header(header: str) -> str:
    """Return a header, cut to a length for people: a refused line may be no header at all."""
    return header if len(header) <= MAX_HEADER else f"{header[:MAX_HEADER]}… ({len(header):,} characters)"


def _rejected_rows(source: str, path: str, batch: FastaBatch, refused: dict[int, Refusal]) -> pa.Table:
    places = list(refused)
    return pa.table(
        [
            pa.repeat(pa.scalar(source), len(places)),
            pa.repeat(pa.scalar(path), len(places)),
            batch.record[places],
            batch.line[places],
            [cut_header(batch.header(place)) for place in places],
            [refusal.kind for refusal in refused.values()],
            [refusal.reason for refusal in refused.values()],
        ],
        schema=REJECTED_RECORDS.schema,
    )


def rows_of(source: str, path: str, each: Sorted) -> pa.Table:
    """Return the rows of the kept records of a batch of a file, which has its letters."""
    batch, ids, descriptions, kept = each
    count = len(batch)
    known = batch.acgt_bases > 0
    rows = pa.table(
        [
            pa.repeat(pa.scalar(source), count),
            pa.repeat(pa.scalar(path), count),
            ids,
            descriptions,
            batch.length,
            pa.LargeStringArray.from_buffers(count, pa.py_buffer(batch.offsets), pa.py_buffer(batch.data)),
            pa.array(batch.gc_bases / np.maximum(batch.acgt_bases, 1), mask=~known),
            batch.acgt_bases,
        ],
        schema=SEQUENCE_SHARDS.schema,
    )
    return rows if kept.all() else rows.filter(pa.array(kept))


class RowGroups:
    """Writes rows as row groups in a thread, while the next rows are parsed.

    Small batches, as of an archive of many small files, are joined. The thread compresses and writes one row group at
    a time. As a context manager it waits at its end for the thread, so that the writer can be closed.
    """

    def __init__(self, writer: RowWriter[Any]) -> None:
        self.writer = writer
        self.waiting: list[pa.Table] = []
        self.bytes = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="row groups")
        self._writing: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=True)

    def write(self, rows: pa.Table) -> None:
        """Append rows, which may be written later."""
        self.bytes += rows.nbytes
        large = self.bytes >= ROW_GROUP_BYTES
        # Waiting rows must not keep the buffers of a whole batch alive.
        self.waiting.append(rows if large else rows.take(np.arange(rows.num_rows)))
        if large:
            self._flush()

    def finish(self) -> None:
        """Write the waiting rows, and return when everything is written."""
        self._settle()
        if self.waiting:  # not in the thread, which would be started for this alone
            self.writer.write(pa.concat_tables(self.waiting))
        self.waiting, self.bytes = [], 0

    def _flush(self) -> None:
        self._settle()
        self._writing = self._thread.submit(self.writer.write, pa.concat_tables(self.waiting))
        self.waiting, self.bytes = [], 0

    def _settle(self) -> None:
        if self._writing is not None:
            self._writing.result()
            self._writing = None


class ShardBounds:
    """Divides the rows of a unit, in their order, into shards of bounded size.

    Parameters
    ----------
    settings
        Has the bounds.

    Attributes
    ----------
    shard_bases
        Letters of each shard so far.
    """

    def __init__(self, settings: ParseSettings) -> None:
        self.max_records = settings.max_records_per_shard
        self.max_bases = settings.max_bases_per_shard
        self.records = self.bases = 0
        self.shard_bases: list[int] = []

    def divide(self, lengths: npt.NDArray[np.int64]) -> Iterator[tuple[int, int, bool]]:
        """Yield the runs of the next rows that one shard takes, by the lengths of their sequences.

        Yields
        ------
        start, count : int
            First row of the run, and number of rows.
        begins : bool
            Whether a shard begins with it.
        """
        start = 0
        while start < len(lengths):
            ends = np.cumsum(lengths[start:])
            fits = int(np.searchsorted(ends, self.max_bases - self.bases, side="right"))
            fits = min(fits, self.max_records - self.records)
            if fits == 0 and self.records:
                self.records = self.bases = 0
                continue
            begins, count = self.records == 0, max(fits, 1)
            if begins:
                self.shard_bases.append(0)
            self.records += count
            self.bases += int(ends[count - 1])
            self.shard_bases[-1] = self.bases
            yield start, count, begins
            start += count


class ShardCutter(Generic[Made]):
    """Cuts a unit's rows into shards of bounded size, each a Parquet file, or a range of a pack."""

    def __init__(self, writer: RowWriter[Made], row_groups: RowGroups, settings: ParseSettings) -> None:
        self.writer = writer
        self.row_groups = row_groups
        self.bounds = ShardBounds(settings)

    def write(self, rows: pa.Table, lengths: npt.NDArray[np.int64]) -> None:
        """Append rows, ending shards where they are full."""
        for start, count, begins in self.bounds.divide(lengths):
            if begins:
                self.end_shard()
            self.row_groups.write(rows.slice(start, count))

    def end_shard(self) -> None:
        """End the last shard, if there is one."""
        self.row_groups.finish()
        self.writer.close_file()

    def finish(self, **facts: object) -> Made:
        """End the last shard and the part."""
        self.end_shard()
        return self.writer.finish(shard_bases=self.bounds.shard_bases, **facts)
