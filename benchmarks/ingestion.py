"""FASTA, compressed, to shards: parsing in a process of its own, as a Spark task does it."""

import time
from importlib import import_module
from pathlib import Path

from benchmarks.corpus import organelle_lengths, write_fasta
from benchmarks.measure import in_fresh_process, must_equal
from benchmarks.report import Row, Target
from opengenome_assets.corpus.passes.parse import ParseSettings, ParseTask, parse_file
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.kernels.warm import warm

SETTINGS = ParseSettings(
    min_length=0,
    drop_ambiguous=False,
    first_records=None,
    compression="zstd",
    max_records_per_shard=100_000,
    max_bases_per_shard=128 * 2**20,
)


def ingestion_row(bases: int, folder: Path) -> Row:
    """Measure parsing at two sizes; the larger has this number of bases."""
    sizes = (bases // 4, bases)
    measured = []
    for size in sizes:
        file = folder / f"{size}.fasta.gz"
        totals = write_fasta(file, organelle_lengths(size))
        result, cost = in_fresh_process("benchmarks.ingestion", "parse", str(file), str(folder / "home"))
        must_equal("records and bases written and parsed", result["totals"], [totals.records, totals.bases])
        measured.append((totals, result, cost))
    totals, result, _ = measured[-1]
    peaks = ", ".join(f"{cost.peak / 1e9:.2f} GB for {totals.bases:,} bases" for totals, _, cost in measured)
    return Row(
        "FASTA.gz to shards",
        [
            Target("speed", totals.text_bytes / 1e6 / result["cpu"], 200, " MB of FASTA per CPU second", least=True),
            Target("cores busy on one file", result["cpu"] / result["wall"], 1.6, least=True),
            Target("peak memory", max(cost.peak for _, _, cost in measured) / 1e9, 1.0, " GB"),
        ],
        [f"One file in one process that has loaded the kernels, as a worker has. Peak memory: {peaks}."],
    )


def parse(file: str, home: str) -> dict[str, object]:
    """Parse a file into shards, and return the totals read and the cost after the kernels were loaded."""
    import_module("pandas")  # as in Spark's daemon: pyarrow needs it for the first array that it makes of NumPy's
    warm()
    task = parse_task(Path(file), Path(home))
    wall, cpu = time.monotonic(), time.process_time()
    parsed = parse_file(task)
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    if parsed.accepted is None:
        raise RuntimeError(parsed.error)
    return {"totals": [parsed.accepted.facts["accepted"], parsed.accepted.facts["bases"]], "cpu": cpu, "wall": wall}


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
