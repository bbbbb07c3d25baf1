"""Comparison: calls against known alleles, aware of haplotypes.

Belongs here: judging each allele of two sets. Does not belong here: reading either set (``truth.py``), and tables
(``benchmark.py``).

The same change can be written in several ways: a block of letters as two SNVs, an indel beside an SNV as one longer
indel. So alleles near each other are a cluster. Where the two sets differ in a cluster, their alleles are replayed on
the reference, and the cluster counts as equal if both can spell the same two haplotypes. The idea is that of RTG's
vcfeval (Cleary et al. 2015, doi:10.1101/023754), cluster by cluster instead of along a whole contig.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

GAP = 30  # letters between alleles of one cluster, at most
MARGIN = 5  # letters replayed around a cluster
MOST_PHASED = 10  # heterozygous alleles of a cluster that are phased in every way: 512 pairs of haplotypes

Allele = tuple[str, int, str, str]
"""Contig, position of the first letter of REF from 1, REF and ALT; left-aligned and trimmed."""

Zygosity = int
"""1 if heterozygous, 2 if all copies have the allele, also of a haploid contig."""


@dataclass(frozen=True)
class Judged:
    """An allele of one set, judged by the other.

    Attributes
    ----------
    allele, zygosity
        The allele, and its zygosity in its own set.
    right
        Whether the other set has the allele with the same zygosity, or spells the same haplotypes.
    other
        Its zygosity in the other set; 0 if that does not have it.
    """

    allele: Allele
    zygosity: Zygosity
    right: bool
    other: Zygosity


@dataclass(frozen=True)
class Comparison:
    """Known alleles as judged by the calls, and calls as judged by the known alleles, sorted by contig and position."""

    known: list[Judged]
    called: list[Judged]


def compare(
    known: Mapping[Allele, Zygosity], called: Mapping[Allele, Zygosity], letters: Callable[[str, int, int], str]
) -> Comparison:
    """Judge two sets of alleles of one sample by each other.

    Parameters
    ----------
    known, called
        The sets.
    letters
        Function from a contig and two positions from 0, the second not included, to the reference's letters.
    """
    result = Comparison([], [])
    for cluster in clusters(sorted({*known, *called})):
        ours = {allele: called[allele] for allele in cluster if allele in called}
        theirs = {allele: known[allele] for allele in cluster if allele in known}
        same = ours == theirs or bool(ours and theirs and replayed(theirs, ours, letters))
        for judged, own, other in ((result.known, theirs, ours), (result.called, ours, theirs)):
            judged += [
                Judged(allele, zygosity, same or other.get(allele) == zygosity, other.get(allele, 0))
                for allele, zygosity in own.items()
            ]
    return result


def clusters(alleles: Sequence[Allele]) -> Iterator[list[Allele]]:
    """Yield sorted alleles in clusters that lie further apart than `GAP`."""
    cluster: list[Allele] = []
    contig, end = "", 0
    for allele in alleles:
        if cluster and (allele[0] != contig or allele[1] - end > GAP):
            yield cluster
            cluster, end = [], 0
        contig, end = allele[0], max(end, allele[1] + len(allele[2]))
        cluster.append(allele)
    if cluster:
        yield cluster


def replayed(
    one: Mapping[Allele, Zygosity], two: Mapping[Allele, Zygosity], letters: Callable[[str, int, int], str]
) -> bool:
    """Return whether two sets of alleles of a cluster can spell the same two haplotypes."""
    both = [*one, *two]
    contig = both[0][0]
    first = max(0, min(allele[1] for allele in both) - 1 - MARGIN)
    text = letters(contig, first, max(allele[1] + len(allele[2]) for allele in both) + MARGIN)
    return not haplotypes(one, text, first).isdisjoint(haplotypes(two, text, first))


def haplotypes(alleles: Mapping[Allele, Zygosity], text: str, first: int) -> set[tuple[str, ...]]:
    """Return the pairs of haplotypes that alleles can spell, over all their phases.

    Parameters
    ----------
    alleles
        The alleles. With too many heterozygous ones to phase, or two that overlap on one haplotype, there is no pair.
    text, first
        The reference's letters, and the position of the first of them, from 0.
    """
    single = [allele for allele, zygosity in alleles.items() if zygosity == 1]
    shared = [allele for allele, zygosity in alleles.items() if zygosity != 1]
    if len(single) > MOST_PHASED:
        return set()
    pairs = set()
    # The first stays on one haplotype: a pair has no order.
    for phases in itertools.product((0, 1), repeat=max(0, len(single) - 1)):
        sides = list(zip(single, (0, *phases), strict=False))
        spelled = [spell([*shared, *(a for a, side in sides if side == here)], text, first) for here in (0, 1)]
        if None not in spelled:
            pairs.add(tuple(sorted(each for each in spelled if each is not None)))
    return pairs


def spell(alleles: Sequence[Allele], text: str, first: int) -> str | None:
    """Return the letters of a haplotype with these alleles; None if two of them overlap.

    The letter before an indel, which VCF repeats, is no part of it: another allele may change that letter.
    """
    pieces, last = [], 0
    for begin, ref, alt in sorted(map(_changed, alleles), key=lambda change: (change[0], len(change[1]))):
        at = begin - first
        if at < last:
            return None
        pieces += [text[last:at], alt]
        last = at + len(ref)
    return "".join([*pieces, text[last:]])


def _changed(allele: Allele) -> tuple[int, str, str]:
    _, pos, ref, alt = allele
    begin = pos - 1
    while ref and alt and ref[0] == alt[0]:
        begin, ref, alt = begin + 1, ref[1:], alt[1:]
    return begin, ref, alt
