"""FASTA, compressed, to shards: parsing in a process of its own, as a Spark task does it, beside its limits."""

import io
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa
from isal import igzip

from benchmarks.corpus import organelle_lengths, write_fasta
from benchmarks.measure import in_fresh_process, in_turn, must_equal
from benchmarks.report import Figure, Row, ratio
from opengenome_assets.corpus.passes.parse import ParseSettings, ParseTask, parse_file
from opengenome_assets.framework.parsing import Parsed
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.kernels.warm import warm
from opengenome_assets.storage.parquet.pages import write_pages

ROUNDS = 3
BLOCK = 1 << 20
# Its stub declares it without types.
_open: Callable[..., io.BufferedIOBase] = igzip.open
_LEVEL_1 = pa.Codec("zstd", 1)

SETTINGS = ParseSettings(
    min_length=0,
    drop_ambiguous=False,
    first_records=None,
    compression="zstd",
    max_records_per_shard=100_000,
    max_bases_per_shard=128 * 2**20,
)


def ingestion_row(bases: int, folder: Path) -> Row:
    """Measure parsing at two sizes; the larger has this number of bases, the smaller is timed beside its limits."""
    sizes, rounds = (bases // 4, bases), (ROUNDS, 0)
    measured = []
    for size, number_of_rounds in zip(sizes, rounds, strict=True):
        file = folder / f"{size}.fasta.gz"
        totals = write_fasta(file, organelle_lengths(size))
        parsing = str(file), str(folder / "home"), number_of_rounds
        result, cost = in_fresh_process("benchmarks.ingestion", "parse", *parsing)
        must_equal("records and bases written and parsed", result["totals"], [totals.records, totals.bases])
        measured.append((totals, result, cost))
    small, large = measured
    parsed, plain, like_ours = np.array(small[1]["in_turn"])
    totals, result, _ = large
    peaks = ", ".join(f"{cost.peak / 1e9:.2f} GB for {totals.bases:,} bases" for totals, _, cost in measured)
    return Row(
        "FASTA.gz to shards",
        [
            ratio("CPU / isal's decompression and Zstandard's compression at level 1", parsed, plain, 1.0),
            ratio("CPU / isal's decompression and our pages' compression", parsed, like_ours, 2.0),
            Figure("peak memory", max(cost.peak for _, _, cost in measured) / 1e9, 1.0, " GB"),
            Figure("speed", totals.text_bytes / 1e6 / result["cpu"], unit=" MB of FASTA per CPU second"),
            Figure("cores busy on one file", result["cpu"] / result["wall"]),
        ],
        [
            "One file in one process that has loaded the kernels, as a worker has. Both limits decompress the same "
            f"file of {small[0].text_bytes:,} bytes of FASTA, a mebibyte at a time, and compress these bytes again; "
            f"they parse, check and write nothing. {ROUNDS} rounds in turn. Peak memory: {peaks}."
        ],
    )


def parse(file: str, home: str, rounds: int) -> dict[str, object]:
    """Parse a file into shards, and do it in turn with its limits for some rounds.

    Returns
    -------
    dict
        ``totals`` read, CPU (``cpu``) and elapsed (``wall``) seconds after the kernels were loaded, and CPU seconds
        of parsing and of the two limits ``in_turn``, shape (3, rounds).
    """
    import_module("pandas")  # as in Spark's daemon: pyarrow needs it for the first array that it makes of NumPy's
    warm()
    task, keys = parse_task(Path(file), Path(home)), count()

    def parse_once() -> Parsed:
        key = f"{Path(file).name}-{next(keys)}"
        return parse_file(replace(task, shards_key=key, rejected_key=key))

    wall, cpu = time.monotonic(), time.process_time()
    parsed = parse_once()
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    if parsed.accepted is None:
        raise RuntimeError(parsed.error)
    limits = [partial(compress_again, file, compressor) for compressor in (zstandard, as_pages)]
    seconds = in_turn(parse_once, *limits, rounds=rounds, clock=time.process_time).tolist() if rounds else []
    facts = parsed.accepted.facts
    return {"totals": [facts["accepted"], facts["bases"]], "cpu": cpu, "wall": wall, "in_turn": seconds}


def compress_again(file: str, compress: Callable[[memoryview], object]) -> None:
    """Decompress a file with isal and compress its bytes, a mebibyte at a time."""
    block = memoryview(bytearray(BLOCK))
    with _open(file, "rb") as stream:
        while size := stream.readinto(block):
            compress(block[:size])


def zstandard(block: memoryview) -> object:
    """Compress as Arrow's Parquet writer does."""
    return _LEVEL_1.compress(block)


def as_pages(block: memoryview) -> object:
    """Compress as the pages of sequences are."""
    array = pa.LargeStringArray.from_buffers(1, pa.py_buffer(np.array([0, len(block)])), pa.py_buffer(block))
    return list(write_pages(array))


def parse_task(file: Path, home: Path) -> ParseTask:
    """Return the work of parsing a file into a home."""
    return ParseTask(
        source="generated",
        path=file.name,
        files=(StoredFile(file.name, str(file)),),
        shards_key=file.name,
        rejected_key=file.name,
        shards_uri=str(home / "sequence_shards"),
        rejected_uri=str(home / "rejected_records"),
        settings=SETTINGS,
    )
