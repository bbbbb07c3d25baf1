"""One large FASTA file, plain and bgzip: parsed in pieces by all cores, beside one task."""

import logging
import shutil
import struct
import time
import zlib
from dataclasses import replace
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from benchmarks.corpus import write_fasta
from benchmarks.ingestion import parse_task
from benchmarks.measure import in_fresh_process, in_turn, must_equal, tree_cpu
from benchmarks.report import Figure, Row, ratio
from opengenome_assets.corpus.group import PASSES
from opengenome_assets.corpus.passes.parse import parse_file
from opengenome_assets.corpus.passes.pieces import parse_in_pieces
from opengenome_assets.engine.processes import Processes, usable_cores
from opengenome_assets.framework.parsing import Parsed
from opengenome_assets.kernels.warm import warm

ROUNDS = 3
MOST_BASES = 1_000_000_000
CHROMOSOMES = 24
BLOCK = 0xFF00  # plain bytes of a block of bgzip
LOG = logging.getLogger(__name__)


def huge_row(bases: int, folder: Path) -> Row:
    """Measure a file of up to a billion bases, plain and bgzip."""
    lengths = np.linspace(2.5, 0.5, CHROMOSOMES) * min(bases, MOST_BASES) / (1.5 * CHROMOSOMES)
    plain, packed = folder / "huge.fasta", folder / "huge.fasta.gz"
    totals = write_fasta(plain, lengths.astype(np.int64))
    bgzip(plain, packed)
    figures = []
    for name, file in (("plain", plain), ("bgzip", packed)):
        result, _ = in_fresh_process("benchmarks.huge", "measure", str(file), str(folder / f"home of {name}"))
        must_equal("records and bases written and parsed", result["totals"], [totals.records, totals.bases])
        (wall, cpu), (wall_of_one, cpu_of_one) = np.moveaxis(np.array(result["seconds"]), 1, 2)
        figures += [
            ratio(f"{name}: wall / one task", wall, wall_of_one),
            ratio(f"{name}: CPU / one task", cpu, cpu_of_one),
            Figure(f"{name}: cores busy in one task", float(np.median(cpu_of_one / wall_of_one))),
            Figure(f"{name}: the survey's share of the wall", result["survey"] / float(np.median(wall)), unit=" x"),
        ]
    return Row(
        "one large FASTA in pieces",
        figures,
        [
            f"{totals.text_bytes:,} bytes of FASTA in {CHROMOSOMES} records, parsed by {usable_cores()} processes of "
            "this machine, and by one task, which has threads that decompress, parse and write. The fork server runs. "
            f"The parts' facts, and the sizes and checksums of all files, are the same. {ROUNDS} rounds in turn."
        ],
    )


def measure(file: str, home: str) -> dict[str, object]:
    """Parse a file in pieces and by one task, in turn.

    Returns
    -------
    dict
        ``totals`` read; ``seconds`` by the clock and of CPU by all processes, shape (2, rounds, 2); seconds by the
        clock of the ``survey`` alone.
    """
    import_module("pandas")  # pyarrow needs it for the first array that it makes of NumPy's
    warm()
    task, keys, size = parse_task(Path(file), Path(home)), count(), Path(file).stat().st_size
    made: dict[str, Parsed] = {}
    surveyed: list[float] = []

    class Engine(Processes):
        """Notes the time of the survey, the only work of one unit."""

        def map(self, function, work, **others):  # type: ignore[no-untyped-def]
            started = time.perf_counter()
            results = super().map(function, work, **others)
            if len(work) == 1:
                surveyed.append(time.perf_counter() - started)
            return results

    with Engine(preload=[f"opengenome_assets.corpus.passes.{name}" for name in PASSES]) as engine:

        def in_pieces() -> None:
            shutil.rmtree(home, ignore_errors=True)
            key = f"pieces {next(keys)}"
            (parsed,) = parse_in_pieces(engine, [replace(task, shards_key=key, rejected_key=key)], [size], LOG)
            if parsed is None:
                raise RuntimeError(f"{file} was not parsed in pieces")
            made["pieces"] = parsed

        def by_one_task() -> None:
            shutil.rmtree(home, ignore_errors=True)
            key = f"one {next(keys)}"
            made["one"] = parse_file(replace(task, shards_key=key, rejected_key=key))

        seconds = in_turn(in_pieces, by_one_task, rounds=ROUNDS, clock=wall_and_cpu)
    must_equal("parts in pieces and by one task", *(described(made[name]) for name in ("pieces", "one")))
    facts = described(made["one"])[0]["facts"]
    return {
        "totals": [facts["accepted"], facts["bases"]],
        "seconds": seconds.tolist(),
        "survey": float(np.median(surveyed)),
    }


def wall_and_cpu() -> npt.NDArray[np.float64]:
    """Return the seconds by the clock, and those of the CPU by all processes, shape (2,)."""
    return np.array([time.perf_counter(), tree_cpu()])


def described(parsed: Parsed) -> list[dict[str, Any]]:
    """Return the facts of both parts, and the size, CRC-32 and footer's digest of each file."""
    if parsed.accepted is None or parsed.rejected is None:
        raise RuntimeError(parsed.error)
    return [
        {"facts": part.facts, "files": [(file.size, file.rows, file.content) for file in part.files]}
        for part in (parsed.accepted, parsed.rejected)
    ]


def bgzip(plain: Path, packed: Path) -> None:
    """Compress a file to blocks, as the specification of SAM describes BGZF."""
    with plain.open("rb") as source, packed.open("wb") as target:
        while True:
            text = source.read(BLOCK)
            deflate = isal_zlib.compressobj(1, isal_zlib.DEFLATED, -15)
            body = deflate.compress(text) + deflate.flush()
            head = struct.pack("<4BI2BH2s2H", 31, 139, 8, 4, 0, 0, 255, 6, b"BC", 2, len(body) + 25)
            target.write(head + body + struct.pack("<2I", zlib.crc32(text), len(text)))
            if not text:  # an empty block is the end
                return
