"""Regions: contigs cut into pieces of bounded length, the units of calling and coverage.

Belongs here: the cut, and the ploidy of each piece. Does not belong here: the work on a region (``passes``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opengenome_assets.variants.tables import WINDOW

REGION = 5_000_000  # letters
# Pseudo-autosomal regions of X, which are diploid in XY too, by the length of X: Ensembl's coordinates, from 1.
PSEUDO_AUTOSOMAL = {
    156_040_895: ((10_001, 2_781_479), (155_701_383, 156_030_895)),  # GRCh38
    155_270_560: ((60_001, 2_699_520), (154_931_044, 155_260_560)),  # GRCh37
}


@dataclass(frozen=True)
class Region:
    """Letters ``start`` to ``end`` of a contig, counted from 1, both included.

    Attributes
    ----------
    contig, start, end
        Its place.
    length
        Length of the contig.
    md5
        MD5 of the contig.
    """

    contig: str
    start: int
    end: int
    length: int
    md5: str

    @property
    def letters(self) -> int:
        """Number of its letters."""
        return self.end - self.start + 1

    @property
    def name(self) -> str:
        """Its name for people, as in samtools."""
        return f"{self.contig}:{self.start}-{self.end}"

    @property
    def content(self) -> list[Any]:
        """Everything that determines its letters."""
        return [self.contig, self.start, self.end, self.md5]

    @property
    def braced(self) -> str:
        """The region as samtools takes it. Braces protect colons in names."""
        return f"{{{self.contig}}}:{self.start}-{self.end}"

    def padded(self, letters: int) -> str:
        """Return it with some letters more on both sides, as a line of a file of regions for bcftools."""
        return f"{self.contig}\t{max(1, self.start - letters)}\t{min(self.length, self.end + letters)}\n"


def cut(contigs: Sequence[Mapping[str, Any]], size: int = REGION) -> Iterator[Region]:
    """Yield the regions of contigs, in order.

    Parameters
    ----------
    contigs
        Rows of the table reference_contigs.
    size
        Letters of a region, a multiple of the window of coverage.
    """
    if size < 1 or size % WINDOW:
        raise ValueError(f"region_bases is {size:,}: expected a multiple of {WINDOW:,}")
    for contig in contigs:
        for start in range(1, contig["length"] + 1, size):
            end = min(start + size - 1, contig["length"])
            yield Region(contig["contig"], start, end, contig["length"], contig["md5"])


def ploidies(contigs: Sequence[Mapping[str, Any]], sex: str) -> list[tuple[str, int, int, int]]:
    """Return contig, first and last letter, and ploidy of each stretch that is not diploid, for a sex.

    A sample without a sex is called as XX on X, and as diploid on Y, so that nothing is missed there.
    """
    found = []
    for contig in contigs:
        name, length = contig["contig"], contig["length"]
        female, male = contig["ploidy_female"], contig["ploidy_male"]
        ploidy = {"XX": female, "XY": male}.get(sex, 1 if female == male == 1 else 2)
        if ploidy == 2:
            continue
        start = 1
        diploid = PSEUDO_AUTOSOMAL.get(length, ()) if ploidy == 1 and female == 2 else ()
        for first, last in diploid:
            found.append((name, start, first - 1, ploidy))
            start = last + 1
        found.append((name, start, length, ploidy))
    return found
