"""Sections of a sample's report: the choice of numbers, and their order.

Belongs here: data frames in, parts of a `report_page.Report` out. Does not belong here: their look on a page, and
drawing figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from opengenome_assets import words
from opengenome_assets.plots.report_page import Cell, Fact, Illustration, ReportColumn, ReportTable, Section
from opengenome_assets.variants.tables import CLASSES

MOST_ROWS = 200
MOST_LETTERS = 24

_CALLS = {
    "variant": ReportColumn("Variant", "code"),
    "gt": ReportColumn("Genotype", "code"),
    "qual": ReportColumn("QUAL", "count"),
    "dp": ReportColumn("Reads", "count"),
    "vaf": ReportColumn("Share", "percent"),
    "gene": ReportColumn("Gene"),
    "consequence": ReportColumn("Consequence"),
    "hgvs_p": ReportColumn("Protein", "code"),
    "gnomad_af": ReportColumn("gnomAD", "percent"),
    "class": ReportColumn("ClinVar's statement"),
}
_FINDINGS = {
    "variant": ReportColumn("Variant", "code"),
    "gene": ReportColumn("Gene"),
    "hgvs_p": ReportColumn("Protein", "code"),
    "vaf": ReportColumn("Share", "percent"),
    "significance": ReportColumn("As stated"),
    "stars": ReportColumn("Stars", "count"),
    "review_status": ReportColumn("Review"),
    "conflicts": ReportColumn("Conflicts"),
    "condition": ReportColumn("Condition"),
    "gnomad_af": ReportColumn("gnomAD", "percent"),
    "clinvar": ReportColumn("Accession", "code"),
}


def summary(qc: Mapping[str, Any], variants: pd.DataFrame) -> list[Fact]:
    """The numbers at the top."""
    asserted = int(variants["class"].isin(CLASSES[:2]).sum())
    reviewed = int((variants["class"] == CLASSES[0]).sum())
    return [
        Fact("reads", words.count(qc["reads"]), f"{words.percent(qc['mapped_share'])} aligned"),
        Fact("mean depth", f"{qc['mean_depth']:.0f}", f"{words.percent(qc['examined_share'])} of it at 10 or more"),
        Fact("single-nucleotide variants", words.count(qc["snvs"])),
        Fact("insertions and deletions", words.count(qc["indels"])),
        Fact("asserted pathogenic", words.count(asserted), f"{reviewed} with a review of 1 star or more"),
    ]


def findings(variants: pd.DataFrame, databases: Mapping[str, str], silent: Sequence[str]) -> Section:
    """Variants of which ClinVar states more than a benign effect. It has no entry on the contigs ``silent``."""
    chosen = variants[variants["class"].isin([CLASSES[0], CLASSES[1], CLASSES[2], CLASSES[3]])]
    clinvar = databases["clinvar"]
    if clinvar == "none":
        return Section(
            "What ClinVar states",
            "ClinVar was left out of this run: no file of it is named for this reference. So what it states "
            "is not known here.",
        )
    unknown = ""
    if silent:
        unknown = (
            f" The file has no entry on {words.listing(silent)}: alleles there are not listed for that reason alone."
        )
    counts = [(each, int((variants["class"] == each).sum())) for each in CLASSES]
    tables = [ReportTable("Variants by class.", [ReportColumn("Class"), ReportColumn("Variants", "count")], counts)]
    if len(chosen):
        ordered = chosen.assign(order=chosen["class"].map(CLASSES.index)).sort_values(["order", "contig", "pos"])
        tables.append(_table("Variants stated to be more than benign, in ClinVar's words.", _FINDINGS, ordered))
    return Section(
        "What ClinVar states",
        f"Statements are those of the file {clinvar}, joined by position and both alleles. Stars are those of the "
        "review status: 0 means that no criteria were given. A statement without stars is weak, above all of an allele "
        f"that is frequent in gnomAD. An allele that is not listed may have any effect.{unknown}",
        tables=tables,
    )


def piles(figures: Sequence[Illustration]) -> list[Section]:
    """The reads at some variants."""
    text = (
        f"{words.plural(len(figures), 'variant')}, the first by ClinVar's statement, by impact, and by the smallest "
        "share of reads. For others, open the CRAM and VCF files in IGV."
    )
    return [Section("Reads at variants", text, figures)] if figures else []


def against_known(benchmark: pd.DataFrame) -> list[Section]:
    """How many known alleles were called, if some are known."""
    columns = {
        "kind": ReportColumn("Kind"),
        "known": ReportColumn("Known", "count"),
        "found": ReportColumn("Found", "count"),
        "missed": ReportColumn("Missed", "count"),
        "wrong": ReportColumn("Wrong", "count"),
        "precision": ReportColumn("Precision", "percent"),
        "recall": ReportColumn("Recall", "percent"),
        "f1": ReportColumn("F1", "percent"),
    }
    text = (
        "Calls against the known alleles of the sample, in the regions where all are known. An allele must have the "
        "known genotype; alleles that spell the same haplotypes are equal."
    )
    section = Section("Against known variants", text, tables=[_table("By kind.", columns, benchmark)])
    return [section] if len(benchmark) else []


def calls(variants: pd.DataFrame, figures: Sequence[Illustration]) -> Section:
    """All variants, up to a number of rows."""
    ordered = variants.sort_values(["contig", "pos", "ref", "alt"])
    left_out = f" The first {MOST_ROWS:,} of {len(ordered):,} are shown; the VCF file has all."
    text = "Calls with the filter PASS: QUAL is 20 or more, and no N of the reference is beside them."
    return Section(
        "Variants",
        text + (left_out if len(ordered) > MOST_ROWS else ""),
        figures,
        [
            _table(
                "Share is the share of reads with the allele; gnomAD is its frequency there. Of several transcripts "
                "the consequence of the highest impact is shown; each allele is judged alone.",
                _CALLS,
                ordered,
            )
        ],
    )


def depth(coverage: pd.DataFrame, reference: pd.DataFrame, figures: Sequence[Illustration]) -> Section:
    """Depth by contig."""
    lengths = coverage["end"] - coverage["start"] + 1
    rows: list[Sequence[Cell]] = []
    for contig in reference.sort_values("number")["contig"][:MOST_ROWS]:
        own = coverage[coverage["contig"] == contig]
        weight = lengths[own.index]
        total = max(int(weight.sum()), 1)
        rows.append(
            (
                contig,
                int(weight.sum()),
                float((own["mean"] * weight).sum() / total),
                *(float((own[f"share_{bound}"] * weight).sum() / total) for bound in (10, 20, 30)),
            )
        )
    columns = [ReportColumn("Contig"), ReportColumn("Letters", "count"), ReportColumn("Mean depth", "number")]
    columns += [ReportColumn(f"At {bound} or more", "percent") for bound in (10, 20, 30)]
    return Section(
        "Depth",
        "Where depth is low, variants may be missed: no call there is no statement.",
        figures,
        [ReportTable("Depth by contig, without duplicates.", columns, rows)],
    )


def reads(files: pd.DataFrame, alignments: pd.DataFrame, figures: Sequence[Illustration]) -> Section:
    """Quality of the read files, and what became of the reads."""
    columns = {
        "lane": ReportColumn("Lane"),
        "mate": ReportColumn("Mate", "count"),
        "reads": ReportColumn("Reads", "count"),
        "mean_quality": ReportColumn("Mean quality", "number"),
        "q30": ReportColumn("Q30", "percent"),
        "gc": ReportColumn("GC", "percent"),
        "n": ReportColumn("N", "percent"),
        "duplication": ReportColumn("Repeated starts", "percent"),
        "adapter": ReportColumn("Adapters", "percent"),
    }
    adapters = [sum(count for _, count in row) for row in files["adapters"]]
    shown = files.assign(adapter=[n / max(total, 1) for n, total in zip(adapters, files["reads"], strict=True)])
    row = alignments.to_dict("records")[0]
    total = max(row["reads"], 1)
    facts: list[Sequence[Cell]] = [
        (name, row[column], row[column] / total)
        for name, column in (
            ("reads", "reads"),
            ("aligned", "mapped"),
            ("in proper pairs", "properly_paired"),
            ("duplicates", "duplicates"),
        )
    ]
    outcome = [ReportColumn("Reads"), ReportColumn("Number", "count"), ReportColumn("Share", "percent")]
    return Section(
        "Reads",
        "",
        figures,
        [
            _table("Quality of each file.", columns, shown.sort_values(["lane", "mate"])),
            ReportTable("What became of the reads.", outcome, facts),
        ],
    )


def method(
    alignments: pd.DataFrame, files: pd.DataFrame, reference: pd.DataFrame, databases: Mapping[str, str]
) -> Section:
    """How the variants were found, and from which files."""
    contigs = ", ".join(reference.sort_values("number")["contig"][:3]) + ("…" if len(reference) > 3 else "")
    against = f"{words.plural(len(reference), 'contig')} ({contigs})"
    text = (
        f"Reads were aligned with {alignments['aligner'].iloc[0]} against {against}, and sorted, with duplicates "
        "marked, by samtools. bcftools mpileup with the profile for Illumina and call gave the "
        f"variants, left-aligned by bcftools norm. ClinVar: {databases['clinvar']}. gnomAD: {databases['gnomad']}. "
        f"Genes: {databases['gene_models']}; consequences by bcftools csq. "
        "Structural variants, copy numbers and long repeats are not looked for."
    )
    columns = {
        "path": ReportColumn("File"),
        "bytes": ReportColumn("Bytes", "count"),
        "sha256": ReportColumn("SHA-256", "quote"),
    }
    contigs_shown = {
        "contig": ReportColumn("Contig"),
        "length": ReportColumn("Letters", "count"),
        "md5": ReportColumn("MD5", "code"),
    }
    return Section(
        "Method and origin",
        text,
        tables=[
            _table("Read files.", columns, files.sort_values(["lane", "mate"])),
            _table("Reference.", contigs_shown, reference.sort_values("number")),
        ],
    )


def _table(caption: str, columns: Mapping[str, ReportColumn], frame: pd.DataFrame) -> ReportTable:
    rows = [[_cell(name, row) for name in columns] for row in frame.head(MOST_ROWS).to_dict("records")]
    return ReportTable(caption, list(columns.values()), rows)


def _cell(name: str, row: Mapping[Any, Any]) -> Cell:
    if name == "variant":
        return name_of(row)
    value: Cell = row[name]
    return value.replace("_", " ").replace("&", ", ") if name == "consequence" and isinstance(value, str) else value


def name_of(row: Mapping[Any, Any]) -> str:
    """Return a variant as people read it."""
    ref, alt = (words.shorten(row[each], MOST_LETTERS) for each in ("ref", "alt"))
    return f"{row['contig']}:{row['pos']:,} {ref}>{alt}"
