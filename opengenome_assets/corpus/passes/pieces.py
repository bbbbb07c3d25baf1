"""One large file parsed by several tasks, into the parts that one task makes of it.

1. The *survey* reads the file without its letters, which takes a tenth of the time. It decides everything that depends
   on what stands before: the batches of records, which of them are kept, and where shards begin. It writes the refused
   records.
2. Each *piece* is some shards in a row. Its task reads the batches that hold them again, and writes them. Beside them
   another task verifies the file's SHA-256.
3. The manifests make the parts exist.

Whatever goes wrong with the file gives no parts here. Then `parse_file` parses it, and says what is wrong.

Belongs here: which files are parsed so, and the three steps. Does not belong here: which records are kept, and how rows
become shards (``parse.py``); reading from the middle of a file (``intake/spans.py``).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from opengenome_assets.corpus.passes.parse import (
    MAX_STORED_LENGTH,
    Intake,
    ParseTask,
    RowGroups,
    ShardBounds,
    ShardCutter,
    Sorted,
    rows_of,
)
from opengenome_assets.corpus.tables import REJECTED_RECORDS, SEQUENCE_SHARDS
from opengenome_assets.engine import Engine
from opengenome_assets.framework.parsing import Parsed
from opengenome_assets.intake.kinds import FASTA, is_archive_name
from opengenome_assets.intake.spans import Extent, Index, IndexedFile, Span, verify
from opengenome_assets.intake.streams import DecompressedStream, StoredFile, StreamError
from opengenome_assets.kernels.fasta import TEXT_BYTES, FastaError, Place, read_records, split_headers
from opengenome_assets.storage.parts import DataFile, Part, PartWriter, write_manifest

# A file of fewer bytes as stored is parsed by one task, in a second or two. More tasks would not be worth their start.
LARGE = 1 << 28

# So is every file with fewer workers: the threads of one task keep two cores busy, and pieces cost half as much CPU
# time again.
LEAST_WORKERS = 4

# So is a file of a smaller share of all bytes to parse: the other files keep the other cores busy.
LARGE_SHARE = 1 / 16

# Letters of a piece, which ends with the shard that reaches them. Most shards are pieces of their own.
PIECE_BASES = 1 << 25


@dataclass(frozen=True)
class Piece:
    """Some shards in a row, and the batches of records that hold their rows.

    Attributes
    ----------
    task
        The unit.
    place
        Of the first record of the first batch.
    extent
        The text of the batches.
    kept
        Which records of each batch are rows, as `numpy.packbits` packs them.
    skipped, rows
        Rows of the first batch that belong to the piece before, and rows of this piece.
    number
        Number of its first shard.
    bases
        Letters of its rows.
    """

    task: ParseTask
    place: Place
    extent: Extent
    kept: tuple[npt.NDArray[np.uint8], ...]
    skipped: int
    rows: int
    number: int
    bases: int

    def run(self) -> Written:
        """Write the shards."""
        task, left, skipped = self.task, self.rows, self.skipped
        (file,) = task.files
        uri, key, compression = task.shards_uri, task.shards_key, task.settings.compression
        with (
            Span(file, FASTA, self.extent, TEXT_BYTES) as span,
            PartWriter(uri, key, SEQUENCE_SHARDS.schema, compression, self.number) as shards,
            RowGroups(shards) as sequences,
        ):
            cutter = ShardCutter(shards, sequences, task.settings)
            batches = read_records(span.readinto, name=span.name, max_length=MAX_STORED_LENGTH, first=self.place)
            for batch, packed in zip(batches, self.kept, strict=True):
                kept = np.unpackbits(packed, count=len(batch)).astype(bool)
                rows = rows_of(task.source, task.path, Sorted(batch, *split_headers(batch), kept))
                lengths = batch.length[kept][skipped : skipped + left]
                cutter.write(rows.slice(skipped, len(lengths)), lengths)
                skipped, left = 0, left - len(lengths)
            cutter.end_shard()
            return Written(tuple(shards.files), tuple(cutter.bounds.shard_bases))


@dataclass(frozen=True)
class Written:
    """The files of a piece, and the letters of each."""

    files: tuple[DataFile, ...]
    shard_bases: tuple[int, ...]


@dataclass(frozen=True)
class Verification:
    """A file whose bytes must be those that were catalogued and surveyed."""

    file: StoredFile
    checksums: tuple[int, ...]

    def run(self) -> Written:
        """Verify it."""
        verify(self.file, self.checksums)
        return Written((), ())


@dataclass(frozen=True)
class Survey:
    """What a file holds: checksums of its chunks, pieces of its shards, refused records, and facts of its parts."""

    checksums: tuple[int, ...]
    pieces: tuple[Piece, ...]
    rejected: tuple[DataFile, ...]
    facts: dict[str, object]


@dataclass
class _Run:
    """A piece while its shards are being found."""

    number: int
    first_batch: int
    skipped: int
    last_batch: int = 0
    rows: int = 0
    bases: int = 0


@dataclass
class _Plan:
    """Finds the pieces of a file from its batches."""

    bounds: ShardBounds
    places: list[Place] = field(default_factory=list)
    kept: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    runs: list[_Run] = field(default_factory=list)

    def add(self, each: Sorted) -> None:
        """Add the next batch."""
        number = len(self.places)
        self.places.append(each.batch.place)
        self.kept.append(np.packbits(each.kept))
        lengths = each.batch.length[each.kept]
        for start, count, begins in self.bounds.divide(lengths):
            if begins and (not self.runs or self.runs[-1].bases >= PIECE_BASES):
                self.runs.append(_Run(len(self.bounds.shard_bases) - 1, number, start))
            run = self.runs[-1]
            run.last_batch = number
            run.rows += count
            run.bases += int(lengths[start : start + count].sum())

    def pieces(self, task: ParseTask, index: Index, size: int) -> tuple[Piece, ...]:
        """Return the pieces of the unit, whose plain text has this number of bytes."""
        starts = [place.start for place in self.places] + [size]
        return tuple(
            Piece(
                task,
                self.places[run.first_batch],
                index.extent(starts[run.first_batch], starts[run.last_batch + 1] - starts[run.first_batch]),
                kept=tuple(self.kept[run.first_batch : run.last_batch + 1]),
                skipped=run.skipped,
                rows=run.rows,
                number=run.number,
                bases=run.bases,
            )
            for run in self.runs
        )


def is_large(task: ParseTask, size: int, total: int, workers: int | None) -> bool:
    """Whether several tasks may parse a unit.

    Parameters
    ----------
    task
        The unit: one whole file that is no archive, and is read to its end.
    size, total
        Bytes as stored, of the unit and of all units to parse.
    workers
        Units that run side by side; None if unknown, as in a cluster.
    """
    if workers is not None and workers < LEAST_WORKERS:
        return False
    (first, *more) = task.files
    whole = not more and first.path == task.path and not is_archive_name(task.path)
    return whole and task.settings.first_records is None and size >= LARGE and size >= LARGE_SHARE * total


def parse_in_pieces(
    engine: Engine, tasks: Sequence[ParseTask], sizes: Sequence[int], log: logging.Logger
) -> list[Parsed | None]:
    """Parse large units by several tasks each.

    Parameters
    ----------
    engine
        Runs the tasks.
    tasks, sizes
        The units, and the bytes of each as stored.
    log
        Gets the progress.

    Returns
    -------
    list
        The result of each unit; None if `parse_file` must parse it: it is compressed otherwise, or something is wrong.
    """
    surveys = engine.map(survey, tasks, weights=sizes, label="surveying large FASTA", unit="bytes", log=log)
    work: list[tuple[int, Piece | Verification]] = []
    for place, found in enumerate(surveys):
        if found is not None:
            work += [(place, piece) for piece in found.pieces]
            work.append((place, Verification(tasks[place].files[0], found.checksums)))
    written = engine.map(
        run,
        [item for _, item in work],
        weights=[item.bases if isinstance(item, Piece) else sizes[place] for place, item in work],
        label="parsing large FASTA",
        unit="bases",
        log=log,
    )
    by_unit: list[list[Written | None]] = [[] for _ in tasks]
    for (place, _), result in zip(work, written, strict=True):
        by_unit[place].append(result)
    return [
        publish(task, found, results) if found else None
        for task, found, results in zip(tasks, surveys, by_unit, strict=True)
    ]


def survey(task: ParseTask) -> Survey | None:
    """Return what the file of a unit holds; None if its parts must be made by one task."""
    (file,) = task.files
    try:
        indexed = IndexedFile(file)
        with (
            DecompressedStream(indexed, FASTA, name=file.name) as stream,
            PartWriter(task.rejected_uri, task.rejected_key, REJECTED_RECORDS.schema) as rejected,
            RowGroups(rejected) as refused,
        ):
            intake, plan = Intake(task, refused), _Plan(ShardBounds(task.settings))
            for each in intake.read(task.path, stream, letters=False):
                plan.add(each)
            if stream.compression != "plain":
                return None  # compressed twice
            refused.finish()
            rejected.close_file()
            index = indexed.index()
            pieces = plan.pieces(task, index, stream.decompressed_bytes)
    except (FastaError, StreamError):
        return None
    return Survey(index.checksums, pieces, tuple(rejected.files), intake.facts()) if pieces else None


def run(item: Piece | Verification) -> Written | None:
    """Return what became of an item of work; None if the file is not as it was surveyed."""
    try:
        return item.run()
    except (FastaError, StreamError):
        return None


def publish(task: ParseTask, found: Survey, results: Sequence[Written | None]) -> Parsed | None:
    """Write the manifests of a unit's parts, if every piece is written and the file is verified; else return None."""
    written = [result for result in results if result is not None]
    if len(written) < len(results):
        return None
    files = tuple(file for result in written for file in result.files)
    bases = [count for result in written for count in result.shard_bases]
    # As in parse_file, the shards come last: if they are there, the refused records are too.
    rejected = write_manifest(task.rejected_uri, Part(task.rejected_key, found.rejected, found.facts))
    facts = {"shard_bases": bases, **found.facts}
    return Parsed(rejected=rejected, accepted=write_manifest(task.shards_uri, Part(task.shards_key, files, facts)))
