"""variants and annotations: distinct alleles over samples, and what databases state of them.

Belongs here: counting alleles, and the join. Does not belong here: calling (``calls.py``), reading databases
(``databases.py``), and any verdict.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import table_of
from opengenome_assets.framework.summaries import Rows, Step, summary
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants.passes.call import PASS
from opengenome_assets.variants.regions import ploidies
from opengenome_assets.variants.settings import VariantsSettings
from opengenome_assets.variants.tables import (
    ALIGNMENTS,
    ANNOTATIONS,
    CLASSES,
    CLINVAR,
    GENOTYPES,
    GNOMAD,
    MINIMUM_DEPTH,
    READ_DEPTH,
    REFERENCE,
    VARIANTS,
    WINDOW,
)

ALLELE = ("variant_key", "contig", "pos", "ref", "alt")


def define(_: VariantsSettings) -> list[Member]:
    """Return the tables and their rules."""
    return [variants, annotations, counts_fit, every_variant_is_annotated]


def kind(ref: str, alt: str) -> str:
    """Return the kind of an allele: snv, insertion, deletion or other."""
    if len(ref) == len(alt):
        return "snv" if len(ref) == 1 else "other"
    shorter = min(len(ref), len(alt))
    if shorter == 1:
        return "insertion" if len(alt) > len(ref) else "deletion"
    return "other"


@summary(VARIANTS, [GENOTYPES, READ_DEPTH, ALIGNMENTS, REFERENCE])
def variants(step: Step) -> Rows:
    """Count the alleles of all samples."""
    called = step[GENOTYPES].read()
    called = called.filter(pc.equal(called["filter"], PASS)).sort_by([(n, "ascending") for n in ("contig", "pos")])
    contigs = step[REFERENCE].read().to_pylist()
    sexes = dict(zip(*step[ALIGNMENTS].read(["sample", "sex"]).to_pydict().values(), strict=True))
    stretches = {sample: ploidies(contigs, sex) for sample, sex in sexes.items()}
    examined = {
        (row["sample"], row["contig"], row["start"] // WINDOW)
        for row in step[READ_DEPTH].read(["sample", "contig", "start", "minimum"]).to_pylist()
        if row["minimum"] >= MINIMUM_DEPTH
    }
    alleles: dict[str, dict[str, Any]] = {}
    for row in called.to_pylist():
        allele = alleles.setdefault(row["variant_key"], {**{name: row[name] for name in ALLELE}, "calls": {}})
        allele["calls"][row["sample"]] = row
    rows = []
    for allele in alleles.values():
        calls = allele.pop("calls")
        count = sum(call["copies"] for call in calls.values())
        number = sum(call["ploidy"] for call in calls.values())
        for sample in sexes.keys() - calls.keys():
            if (sample, allele["contig"], (allele["pos"] - 1) // WINDOW) in examined:
                number += _ploidy(stretches[sample], allele["contig"], allele["pos"])
        rows.append(
            {
                **allele,
                "kind": kind(allele["ref"], allele["alt"]),
                "ac": count,
                "an": number,
                "af": count / number,
                "samples": sorted(calls),
            }
        )
    facts = {"alleles": len(rows), "samples": len(sexes)}
    return Rows(pa.Table.from_pylist(rows, schema=VARIANTS.schema), metadata=facts)


def _ploidy(stretches: list[tuple[str, int, int, int]], contig: str, pos: int) -> int:
    return next((n for name, first, last, n in stretches if name == contig and first <= pos <= last), 2)


def class_of(significance: str | None, stars: int | None) -> str:
    """Return the class of a statement, one of ``CLASSES``. Without a known review status it has no star."""
    if significance is None:
        return CLASSES[6]
    words = significance.lower()
    if "conflicting" in words:
        return CLASSES[2]
    if words.startswith(("pathogenic", "likely pathogenic")):
        return CLASSES[0] if stars else CLASSES[1]
    if words.startswith("uncertain"):
        return CLASSES[3]
    if words.startswith(("benign", "likely benign")):
        return CLASSES[4]
    return CLASSES[5]


@summary(ANNOTATIONS, [VARIANTS, CLINVAR, GNOMAD])
def annotations(step: Step) -> Rows:
    """Join alleles with the databases, by contig, position and both alleles."""
    clinvar: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in step[CLINVAR].read().to_pylist():
        clinvar.setdefault(_place(row), []).append(row)
    gnomad = {_place(row): row for row in step[GNOMAD].read().to_pylist()}
    rows = []
    for row in step[VARIANTS].read(list(ALLELE)).to_pylist():
        # Of several entries for an allele, the best reviewed speaks; all are named.
        entries = sorted(clinvar.get(_place(row), []), key=lambda each: -1 if each["stars"] is None else -each["stars"])
        stated: Mapping[str, Any] = entries[0] if entries else {}
        frequency = gnomad.get(_place(row), {})
        rows.append(
            {
                **row,
                "clinvar": "; ".join(each["accession"] for each in entries) or None,
                **{
                    name: stated.get(name)
                    for name in ("significance", "stars", "review_status", "conflicts", "condition", "evaluated")
                },
                "class": class_of(stated.get("significance"), stated.get("stars")),
                "gnomad_af": frequency.get("af"),
                "gnomad_an": frequency.get("an"),
                "gnomad_filters": frequency.get("filters"),
            }
        )
    counts = [(each, sum(row["class"] == each for row in rows)) for each in CLASSES]
    table = pa.Table.from_pylist(rows, schema=ANNOTATIONS.schema)
    return Rows(table, metadata={"classes": table_of(("class", "alleles"), counts)})


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["contig"], row["pos"], row["ref"], row["alt"]


@rule(VARIANTS, "No allele has more copies than alleles examined, and every sample named has a call")
def counts_fit(home: Home) -> Iterator[str]:
    """Compare the alleles with the calls."""
    called = {
        (row["variant_key"], row["sample"])
        for row in home.table(GENOTYPES).read(["variant_key", "sample", "filter"]).to_pylist()
        if row["filter"] == PASS
    }
    for row in home.table(VARIANTS).read(["variant_key", "ac", "an", "samples"]).to_pylist():
        if not 0 < row["ac"] <= row["an"]:
            yield f"{row['variant_key']}: {row['ac']} copies of {row['an']} alleles"
        for sample in row["samples"]:
            if (row["variant_key"], sample) not in called:
                yield f"{row['variant_key']}: sample {sample} has no such call"
        called -= {(row["variant_key"], sample) for sample in row["samples"]}
    for name, sample in sorted(called):
        yield f"{name}: called in sample {sample}, and not in {VARIANTS.name}"


@rule(ANNOTATIONS, "Every allele has one row, and a listed one has the words of ClinVar")
def every_variant_is_annotated(home: Home) -> Iterator[str]:
    """Compare the rows with variants, and the statements with ClinVar's entries."""
    keys = home.table(VARIANTS).read(["variant_key"])["variant_key"].to_pylist()
    rows = home.table(ANNOTATIONS).read().to_pylist()
    if sorted(keys) != sorted(row["variant_key"] for row in rows):
        yield f"{len(keys):,} alleles and {len(rows):,} annotations"
    stated = {
        (row["accession"], row["significance"])
        for row in home.table(CLINVAR).read(["accession", "significance"]).to_pylist()
    }
    for row in rows:
        if row["clinvar"] and not {(name, row["significance"]) for name in row["clinvar"].split("; ")} & stated:
            yield f"{row['variant_key']}: {row['significance']} is not what ClinVar states of {row['clinvar']}"
