"""sample_qc: the quality of each sample in one row.

Belongs here: shares and ratios over the other tables. Does not belong here: the tables themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from opengenome_assets import words
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.summaries import Rows, Step, summary
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants.annotations import kind
from opengenome_assets.variants.passes.call import PASS
from opengenome_assets.variants.settings import VariantsSettings
from opengenome_assets.variants.tables import ALIGNMENTS, GENOTYPES, READ_DEPTH, SAMPLE_QC

TRANSITIONS = {"AG", "GA", "CT", "TC"}
MIXED = 0.9
MOST_MIXED = 0.2
LEAST_MAPPED = 0.9
TI_TV = (1.8, 3.5)  # of human genomes and exomes; judged from this number of SNVs on
ENOUGH = 500


def define(_: VariantsSettings) -> list[Member]:
    """Return the table and its rule."""
    return [sample_qc, samples_look_usual]


@summary(SAMPLE_QC, [ALIGNMENTS, READ_DEPTH, GENOTYPES])
def sample_qc(step: Step) -> Rows:
    """Work out the row of each sample."""
    coverage = step[READ_DEPTH].read().to_pandas()
    coverage["letters"] = coverage["end"] - coverage["start"] + 1
    called = step[GENOTYPES].read()
    called = called.filter(pc.equal(called["filter"], PASS)).to_pylist()
    rows = []
    for sample in step[ALIGNMENTS].read().sort_by("sample").to_pylist():
        name = sample["sample"]
        windows = coverage[coverage["sample"] == name]
        letters = max(int(windows["letters"].sum()), 1)
        calls = [row for row in called if row["sample"] == name]
        rows.append(
            {
                "sample": name,
                "reads": sample["reads"],
                "mapped_share": sample["mapped"] / max(sample["reads"], 1),
                "duplicate_share": sample["duplicates"] / max(sample["reads"], 1),
                "insert_median": median(sample["insert_sizes"]),
                "mean_depth": float((windows["mean"] * windows["letters"]).sum() / letters),
                "examined_share": float((windows["share_10"] * windows["letters"]).sum() / letters),
                **counts(calls),
            }
        )
    return Rows(pa.Table.from_pylist(rows, schema=SAMPLE_QC.schema))


def counts(calls: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the columns that describe a sample's calls."""
    kinds = [kind(row["ref"], row["alt"]) for row in calls]
    changes = [row["ref"] + row["alt"] for row, each in zip(calls, kinds, strict=True) if each == "snv"]
    transitions = sum(change in TRANSITIONS for change in changes)
    diploid = [row for row in calls if row["ploidy"] == 2]
    homozygous = sum(row["copies"] == 2 for row in diploid)
    return {
        "snvs": len(changes),
        "indels": len(calls) - len(changes),
        "ti_tv": transitions / (len(changes) - transitions) if len(changes) > transitions else None,
        "het_hom": (len(diploid) - homozygous) / homozygous if homozygous else None,
        "low_fraction": sum(row["ploidy"] == 1 and (row["vaf"] or 0) < MIXED for row in calls),
    }


def median(histogram: list[int]) -> float | None:
    """Return the median of a histogram over 0, 1, 2, ...; None if it is empty."""
    sums = np.cumsum(histogram)
    return float(np.searchsorted(sums, sums[-1] / 2)) if len(sums) and sums[-1] else None


@rule(SAMPLE_QC, "Reads are aligned, haploid calls are not mixed, and Ti/Tv is that of a human", blocking=False)
def samples_look_usual(home: Home) -> Iterator[str]:
    """Look for samples that may be contaminated, or of another species."""
    for row in home.table(SAMPLE_QC).read().to_pylist():
        for warning in unusual(row):
            yield f"sample {row['sample']}: {warning}"


def unusual(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is unusual about a sample, of its row of the table."""
    calls = row["snvs"] + row["indels"]
    if row["mapped_share"] < LEAST_MAPPED:
        yield f"{row['mapped_share']:.1%} of its reads are aligned"
    if calls and row["low_fraction"] > MOST_MIXED * calls:
        mixed = f"fewer than {MIXED:.0%} of the reads have the allele"
        yield f"{row['low_fraction']} of {calls} calls are mixed ({mixed}); it may be contaminated"
    ratio = 0 if words.is_missing(row["ti_tv"]) else row["ti_tv"]
    if row["snvs"] >= ENOUGH and not TI_TV[0] <= ratio <= TI_TV[1]:
        yield f"Ti/Tv is {ratio:.2f}, expected {TI_TV[0]} to {TI_TV[1]}"
