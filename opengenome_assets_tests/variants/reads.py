"""Simulated reads: a small reference, and pairs from it without errors, as FASTQ, BAM and CRAM."""

from __future__ import annotations

import gzip
import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pysam

COMPLEMENT = str.maketrans("ACGT", "TGCA")
LENGTH = 100

Pair = tuple[str, str, str]  # name, letters of mates 1 and 2


def letters(length: int, seed: int) -> str:
    return "".join(random.Random(seed).choices("ACGT", k=length))


def simulate(template: str, name: str, start: int = 0, step: int = 8, length: int = LENGTH) -> Iterator[Pair]:
    """Yield pairs of reads at even distances, without errors, around a circle; their insert sizes differ."""
    around = template + template[:400]
    for place in range(start, len(template), step):
        piece = around[place : place + 240 + 37 * place % 120]
        yield f"{name}{place}", piece[:length], piece[::-1].translate(COMPLEMENT)[:length]


def fastq(pairs: Iterable[Pair], mate: int, quality: str = "I") -> str:
    return "".join(f"@{pair[0]}\n{pair[mate]}\n+\n{quality * len(pair[mate])}\n" for pair in pairs)


def write_fastq(folder: Path, name: str, pairs: Sequence[Pair]) -> tuple[str, str]:
    """Write both files of a sample, packed. Return their names."""
    names = f"{name}_1.fq.gz", f"{name}_2.fq.gz"
    for mate in (1, 2):
        with gzip.open(folder / names[mate - 1], "wt", compresslevel=1) as file:
            file.write(fastq(pairs, mate))
    return names


def write_aligned(
    path: Path,
    pairs: Sequence[Pair],
    contig: tuple[str, str],
    *,
    length: int | None = None,
    md5: str | None = None,
    fasta: Path | None = None,
    unpaired: Sequence[tuple[str, str]] = (),
) -> str:
    """Write pairs as BAM or CRAM sorted by place. Odd ones among the pairs are unmapped. Return the file's name."""
    name, text = contig
    m5 = md5 or hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    header = {"HD": {"VN": "1.6"}, "SQ": [{"SN": name, "LN": length or len(text), "M5": m5}]}
    unsorted = path.with_suffix(".unsorted.bam")
    with pysam.AlignmentFile(str(unsorted), "wb", header=header) as out:
        for number, (read, *mates) in enumerate(pairs):
            for mate, bases in enumerate(mates, 1):
                out.write(_record(out, read, bases, 0x1 | (0x40 if mate == 1 else 0x80), text, number % 2 == 0))
                if number == 0 and mate == 1:  # further records of a read, which are no reads
                    out.write(_record(out, read, bases, 0x1 | 0x40 | 0x100, text, True))
                    out.write(_record(out, read, bases, 0x1 | 0x40 | 0x800, text, True))
        for read, bases in unpaired:
            out.write(_record(out, read, bases, 0, text, True))
    form = ["-O", "cram", "--reference", str(fasta)] if path.suffix == ".cram" else []
    pysam.sort(*form, "-o", str(path), str(unsorted))
    unsorted.unlink()
    return path.name


def _record(
    out: pysam.AlignmentFile, name: str, bases: str, flag: int, text: str, mapped: bool
) -> pysam.AlignedSegment:
    record = pysam.AlignedSegment(out.header)
    record.query_name, record.flag = name, flag
    reverse = bases.translate(COMPLEMENT)[::-1]
    record.query_sequence = bases
    for strand, oriented in ((0, bases), (0x10, reverse)):
        at = text.find(oriented)
        if mapped and at >= 0:
            record.flag |= strand
            record.query_sequence = oriented
            record.reference_id, record.reference_start = 0, at
            record.cigarstring, record.mapping_quality = f"{len(bases)}M", 60
            break
    else:
        record.flag |= 0x4
    record.query_qualities = pysam.qualitystring_to_array("I" * len(bases))
    return record
