"""Corpora of unusual shape: very many records, a very long one, very many files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.corpus import Totals, organelle_lengths, short_lengths, write_fasta
from benchmarks.growth import must_have, write_files
from benchmarks.pipeline import CORPUS, Run, materialize
from benchmarks.report import Figure, Row, number, table

# GB that a process may take.
LIMITS = {"driver": 3.0, "JVM": 1.5, "worker": 2.0}


def many_records(folder: Path) -> Totals:
    """Write one million records of 150 to 5,000 bases to one file."""
    return write_fasta(folder / "short.fasta.gz", short_lengths(1_000_000))


def long_record(folder: Path) -> Totals:
    """Write one record of a billion bases."""
    return write_fasta(folder / "long.fasta.gz", np.array([1_000_000_000]))


def many_files(folder: Path) -> Totals:
    """Write 10,000 files of one record each."""
    return write_files(folder, np.minimum(organelle_lengths(10**9)[:10_000], 20_000), 10_000)


CORPORA: dict[str, Callable[[Path], Totals]] = {
    "one million records": many_records,
    "one record of a billion bases": long_record,
    "10,000 files": many_files,
}


def extremes_row(bases: int, folder: Path) -> Row:
    """Run every asset on each corpus, whatever the number of bases; a failed run or a wrong sum ends the row."""
    runs: dict[str, tuple[Totals, Run]] = {}
    for name, write in CORPORA.items():
        place = folder / str(len(runs))
        totals = write(place / "source")
        runs[name] = (totals, materialize(place / "source", place / "home", CORPUS))
        must_have(place / "home", totals)
    return Row(
        "one million short records; one record of 1 billion bases; 10,000 files",
        [
            Figure(f"peak memory of the {kind}'s own", max(peak(run, kind) for _, run in runs.values()), limit, " GB")
            for kind, limit in LIMITS.items()
        ]
        + [Figure("all assets of 10,000 files", runs["10,000 files"][1].cost.cpu / 10, unit=" CPU ms a file")],
        [
            "Memory is without pages of files, such as those of the mapped index, which the system takes back when "
            "memory is short; until 2026-11-29 this row counted them. All runs were completed, and their sums are "
            "those of what was written. Where a step has a single unit of work, the driver does it, and Spark is not "
            "started for it.",
            table(
                ("corpus", "bases", "CPU s", "wall s", *(f"{kind}, GB" for kind in LIMITS)),
                [
                    (
                        name,
                        f"{totals.bases:,}",
                        number(run.cost.cpu),
                        number(run.cost.wall),
                        *(f"{peak(run, kind):.2f}" for kind in LIMITS),
                    )
                    for name, (totals, run) in runs.items()
                ],
                figures=3 + len(LIMITS),
            ),
        ],
    )


def peak(run: Run, kind: str) -> float:
    """Return the peak memory of a process of a kind in a run without pages of files, GB."""
    return run.cost.own_peaks.get(kind, 0) / 1e9
