"""Trimming: adapters removed from the ends of reads by cutadapt, before alignment.

Belongs here: running cutadapt over pairs, and its counts. Does not belong here: who asks for it (``settings.py``), and
counting adapters without removing them (``kernels/fastq.py``).

By default nothing is removed: the aligner clips what does not fit, and every letter stays in the CRAM file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from opengenome_assets.kernels.fastq import read_fastq
from opengenome_assets.variants import tools
from opengenome_assets.variants.passes.pairs import Pair, batches, pieces

SHORTEST = 20  # letters; a pair with a shorter mate is left out, since it aligns anywhere
FED = 1_000_000  # letters written to cutadapt at a time
# Martin 2011, doi:10.14806/ej.17.1.200; error rate and overlap are cutadapt's own defaults, spelled out for the record.
OPTIONS = ("--error-rate", "0.1", "--overlap", "3", "--minimum-length", str(SHORTEST), "--pair-filter", "any")


@dataclass(frozen=True)
class Removed:
    """What cutadapt left out: pairs that got too short, and letters, those of these pairs included."""

    pairs: int
    letters: int


def options(adapters: tuple[str, str]) -> tuple[str, ...]:
    """Return cutadapt's options for the 3' adapters of mates 1 and 2."""
    return ("-a", adapters[0], "-A", adapters[1], *OPTIONS)


def trimmed(pairs: Iterable[Pair], given: tuple[str, ...], report: Path) -> Iterator[Pair]:
    """Yield pairs without adapters, in the same order.

    Parameters
    ----------
    pairs
        The pairs. Their errors are raised here.
    given
        Options of cutadapt.
    report
        cutadapt's report as JSON, to be written. MultiQC reads it.

    Raises
    ------
    ToolError
        If cutadapt fails.
    """

    def feed(stream: IO[bytes]) -> None:
        for batch in batches(pairs, FED):
            stream.write(b"".join(b"@%b\n%b\n+\n%b\n" % read for pair in batch for read in pair))

    command = ("cutadapt", "--interleaved", *given, "--quiet", "--json", str(report), "-o", "-", "-")
    with tools.reading(command, feed=feed) as stream:
        blocks = read_fastq(stream.readinto, "cutadapt's output")  # type: ignore[attr-defined]
        reads = (read for block in blocks for read in pieces(block))
        yield from zip(reads, reads, strict=True)


def removed(report: Path) -> Removed:
    """Return what cutadapt's report says that it left out."""
    found: dict[str, Any] = json.loads(report.read_text())
    reads, letters = found["read_counts"], found["basepair_counts"]
    return Removed(reads["input"] - reads["output"], letters["input"] - letters["output"])
