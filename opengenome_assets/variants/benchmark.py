"""benchmark: how many known alleles of each sample were called, and how many calls are right.

Belongs here: counting judged alleles by kind. Does not belong here: judging them (``comparison.py``), and reading the
known alleles (``truth.py``).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pysam

from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import table_of
from opengenome_assets.framework.summaries import Rows, Step, summary
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants.comparison import Allele, Comparison, compare
from opengenome_assets.variants.passes.call import PASS
from opengenome_assets.variants.plans import fasta_of
from opengenome_assets.variants.settings import VariantsSettings
from opengenome_assets.variants.tables import (
    ALIGNMENTS,
    BENCHMARK,
    GENOTYPES,
    KINDS,
    REFERENCE,
    TRUTH_REGIONS,
    TRUTH_VARIANTS,
)

SHOWN = 200  # alleles that differ, in the metadata
COLUMNS = ("sample", "contig", "pos", "ref", "alt", "copies", "ploidy")


def define(_: VariantsSettings) -> list[Member]:
    """Return the table and its rule."""
    return [benchmark, known_alleles_add_up]


@summary(BENCHMARK, [GENOTYPES, TRUTH_VARIANTS, TRUTH_REGIONS, ALIGNMENTS, REFERENCE])
def benchmark(step: Step) -> Rows:
    """Compare the calls that passed with the known alleles, in the confident regions."""
    samples = set(step[ALIGNMENTS].read(["sample"])["sample"].to_pylist())
    known = by_sample(step[TRUTH_VARIANTS].read(list(COLUMNS)).to_pylist())
    names = matched(sorted(samples), sorted(known))
    called = step[GENOTYPES].read([*COLUMNS, "filter"])
    calls = by_sample(called.filter(pc.equal(called["filter"], PASS)).to_pylist())
    regions = Regions(step[TRUTH_REGIONS].read().to_pylist())
    rows, different = [], []
    with pysam.FastaFile(fasta_of(step.home)) as fasta:
        for sample, name in names.items():
            found = compare(known[name], calls.get(sample, {}), fasta.fetch)
            rows += list(counted(sample, found, regions))
            different += [line for line in differences(sample, found) if regions.has(line[1], line[2])]
    for name in sorted(known.keys() - set(names.values())):
        step.log.warning(f"{BENCHMARK.name}: no sample is called {name}, whose alleles are known")
    columns = ("sample", "contig", "pos", "ref", "alt", "copies known", "copies called")
    facts = {"differences": table_of(columns, different[:SHOWN]), "alleles_that_differ": len(different)}
    return Rows(pa.Table.from_pylist(rows, schema=BENCHMARK.schema), metadata=facts)


def matched(samples: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Return the sample of the truth for each sample: of the same name, or the only one of both.

    Raises
    ------
    dagster.Failure
        If no sample has a truth, although there is one.
    """
    if len(samples) == len(known) == 1:
        return {samples[0]: known[0]}
    names = {name: name for name in samples if name in known}
    if known and not names:
        raise dg.Failure(
            f"{BENCHMARK.name}: no sample has known alleles: the sheet has {', '.join(samples[:10])}, the truth has "
            f"{', '.join(known[:10])}. Rename the truth's samples with: bcftools reheader -s",
            allow_retries=False,
        )
    return names


def by_sample(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[Allele, int]]:
    """Return the zygosity of each allele, by sample."""
    alleles: dict[str, dict[Allele, int]] = {}
    for row in rows:
        allele = row["contig"], row["pos"], row["ref"], row["alt"]
        alleles.setdefault(row["sample"], {})[allele] = 2 if row["copies"] == row["ploidy"] else 1
    return alleles


class Regions:
    """Regions that do not overlap, and whether a position is in one."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._starts: dict[str, list[int]] = {}
        self._ends: dict[str, list[int]] = {}
        for row in sorted(rows, key=lambda row: (row["contig"], row["start"])):
            self._starts.setdefault(row["contig"], []).append(row["start"])
            self._ends.setdefault(row["contig"], []).append(row["end"])

    def has(self, contig: str, pos: int) -> bool:
        """Return whether a region has this position."""
        place = bisect_right(self._starts.get(contig, []), pos) - 1
        return place >= 0 and pos <= self._ends[contig][place]


def kind(allele: Allele) -> str:
    """Return snv or indel; a change of several letters counts as an indel."""
    return KINDS[0] if len(allele[2]) == len(allele[3]) == 1 else KINDS[1]


def counted(sample: str, found: Comparison, regions: Regions) -> Iterator[dict[str, Any]]:
    """Yield the row of each kind."""
    for each in KINDS:
        known, called = (
            [one for one in side if kind(one.allele) == each and regions.has(*one.allele[:2])]
            for side in (found.known, found.called)
        )
        hits, right = (sum(one.right for one in side) for side in (known, called))
        precision = right / len(called) if called else None
        recall = hits / len(known) if known else None
        yield {
            "sample": sample,
            "kind": each,
            "known": len(known),
            "found": hits,
            "missed": len(known) - hits,
            "wrong_genotype": sum(not one.right and one.other > 0 for one in known),
            "called": len(called),
            "wrong": len(called) - right,
            "precision": precision,
            "recall": recall,
            "f1": 2 * precision * recall / (precision + recall) if precision and recall else None,
        }


def differences(sample: str, found: Comparison) -> Iterator[tuple[Any, ...]]:
    """Yield each allele that is known or called, not both, with its copies in both, sorted by place."""
    missed = {one.allele: (one.zygosity, one.other) for one in found.known if not one.right}
    wrong = {one.allele: (one.other, one.zygosity) for one in found.called if not one.right}
    for allele, copies in sorted({**wrong, **missed}.items()):
        yield (sample, *allele, *copies)


@rule(BENCHMARK, "Alleles that are found and missed are all known ones in the regions; so are calls", blocking=False)
def known_alleles_add_up(home: Home) -> Iterator[str]:
    """Count known alleles and calls in the confident regions again, with Arrow."""
    regions = home.table(TRUTH_REGIONS).read().to_pylist()
    sums: dict[str, Counter[str]] = {"known": Counter(), "called": Counter()}
    tables = (("known", home.table(TRUTH_VARIANTS).read()), ("called", home.table(GENOTYPES).read()))
    for column, rows in tables:
        if column == "called":
            rows = rows.filter(pc.equal(rows["filter"], PASS))
        for region in regions:
            inside = pc.and_(
                pc.equal(rows["contig"], region["contig"]),
                pc.and_(pc.greater_equal(rows["pos"], region["start"]), pc.less_equal(rows["pos"], region["end"])),
            )
            sums[column].update(rows.filter(inside)["sample"].to_pylist())
    made = home.table(BENCHMARK).read().to_pylist()
    single = len(sums["known"]) == 1
    for sample in sorted({row["sample"] for row in made}):
        own = [row for row in made if row["sample"] == sample]
        known = sums["known"].total() if single else sums["known"][sample]
        if sum(row["found"] + row["missed"] for row in own) != known:
            yield f"sample {sample}: {known:,} known alleles, {sum(row['known'] for row in own):,} judged"
        if sum(row["called"] for row in own) != sums["called"][sample]:
            yield f"sample {sample}: {sums['called'][sample]:,} calls, {sum(row['called'] for row in own):,} judged"
