"""Sections of the report of proteins: the choice of numbers, and their order.

Belongs here: data frames in, parts of a `report_page.Report` out. Does not belong here: their look on the page, and
drawing figures.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from opengenome_assets import words
from opengenome_assets.plots.report_page import Cell, Fact, Illustration, ReportColumn, ReportTable, Section
from opengenome_assets.proteins.differences import NO_EARLIER

SHOWN = 40
OUTCOMES = {
    "mutated": "a known mutation was found",
    "disrupted": "the gene is broken in the contigs: a frameshift, stop or insertion, or an end that is lost",
    "wild_type": "all known sites were seen, without a known mutation",
    "absent": "no protein is alike to the wild type; of DNA, no contig",
    "truncated": "the protein does not reach all known sites",
    "edge": "the gene runs over the edge of its contig",
    "diverged": "the identity to the wild type is below 0.8, of DNA below 0.9",
    "ambiguous": "letters such as X stand at known sites",
    "no_contigs": "ribosomal RNA and promoters are looked for in contigs, and there are proteins only",
    "organism_unknown": "the sample sheet names no organism of the catalogue",
}


def summary(manifest: pd.DataFrame, status: pd.DataFrame, calls: pd.DataFrame) -> list[Fact]:
    """The numbers at the top."""
    genes = status[status["gene"] != ""]
    examined = int(genes["examined"].sum())
    return [
        Fact("accessions", words.count(len(manifest))),
        Fact(
            "proteins",
            words.count(int(manifest["proteins"].sum())),
            f"{int(manifest['assigned'].sum()):,} with a wild type",
        ),
        Fact("known mutations", words.count(calls["symbol"].nunique()), f"in {words.plural(len(calls), 'call')}"),
        Fact("genes with every known site seen", words.count(examined), f"of {len(genes):,}, each of each accession"),
        Fact("rejected records", words.count(int(manifest["rejected"].sum()))),
    ]


def accessions(manifest: pd.DataFrame, figures: Sequence[Illustration]) -> Section:
    """Each accession in numbers."""
    columns = {
        "accession": ReportColumn("Accession"),
        "organism": ReportColumn("Organism"),
        **{name: ReportColumn(name.capitalize(), "count") for name in ("proteins", "assigned", "rejected")},
        **{name: ReportColumn(name.upper(), "count") for name in ("high", "medium", "low", "failed")},
        "calls": ReportColumn("Calls of known mutations", "count"),
        "novel": ReportColumn("Novel at known sites", "count"),
        "examined": ReportColumn("Genes with every site seen", "count"),
        "catalogue_genes": ReportColumn("Genes of the catalogue", "count"),
    }
    return Section("Accessions", "", figures, [_table("Accessions", columns, manifest.sort_values("accession"))])


def calls(mutation_calls: pd.DataFrame, figures: Sequence[Illustration]) -> Section:
    """Known mutations, the most frequent first."""
    compared = [each for each in figures if each.alt != NO_EARLIER]  # an empty picture would say no more
    single = f" {NO_EARLIER}" if len(compared) < len(figures) else ""
    if mutation_calls.empty:
        return Section("Known mutations", f"None was found. What was examined stands below.{single}", compared)
    keys = ["organism", "gene", "symbol", "hgvs", "drug_class"]
    frame = mutation_calls.groupby(keys)["accession"].agg(lambda names: sorted(set(names))).reset_index()
    frame["number"] = frame["accession"].map(len)
    frame["accession"] = [words.listing(names, 5) for names in frame["accession"]]
    frame = frame.sort_values(["number", *keys[:3]], ascending=[False, True, True, True])
    columns = {
        "symbol": ReportColumn("Mutation", "code"),
        "hgvs": ReportColumn("HGVS, on the reference", "code"),
        "organism": ReportColumn("Organism"),
        "drug_class": ReportColumn("Class of drugs"),
        "number": ReportColumn("Accessions", "count"),
        "accession": ReportColumn("They are"),
    }
    number = f"{words.plural(mutation_calls['symbol'].nunique(), 'known mutation')} in"
    text = (
        f"{number} {words.plural(len(mutation_calls), 'call')}: each copy of a gene that shows one has a call. "
        "A known mutation is an entry of the catalogue of the accession's organism that its protein shows. It is "
        "evidence "
        "from sequence, not a measured resistance. Resistance by an acquired gene is not looked for here, and "
        f"mutations of ribosomal RNA and promoters only where contigs are given.{single}"
    )
    return Section("Known mutations", text, compared, [_table("Known mutations", columns, frame)])


def status(mutation_status: pd.DataFrame) -> Section:
    """What was examined, and what was not and why."""
    counts = mutation_status["outcome"].value_counts()
    rows: list[list[Cell]] = [
        [name.replace("_", " "), int(counts.get(name, 0)), text] for name, text in OUTCOMES.items()
    ]
    heads = [ReportColumn("Outcome"), ReportColumn("Genes", "count"), ReportColumn("Meaning")]
    hidden = mutation_status[
        ~mutation_status["examined"] & ~mutation_status["outcome"].isin(["absent", "no_contigs"])
    ].copy()
    hidden["gene"] = hidden["gene"].where(hidden["molecule"] != "dna", hidden["gene"] + " (DNA)")
    columns = {
        "accession": ReportColumn("Accession"),
        "gene": ReportColumn("Gene"),
        "outcome": ReportColumn("Outcome"),
        "sites_examined": ReportColumn("Sites seen", "count"),
        "sites": ReportColumn("Sites", "count"),
        "reason": ReportColumn("Reason"),
    }
    text = (
        "Each gene of the catalogue of an accession's organism has one outcome. Wild type is said only where "
        "every known "
        "site was seen."
    )
    return Section(
        "What could not be examined",
        text,
        tables=[
            ReportTable("Genes of all accessions by outcome", heads, rows),
            _table(
                "Not examined as a whole; absent genes and those that need contigs are left out",
                columns,
                hidden.sort_values(["accession", "gene"]),
            ),
        ],
    )


def disruptions(frame: pd.DataFrame) -> Section:
    """Genes that are broken in contigs."""
    columns = {
        "accession": ReportColumn("Accession"),
        "gene": ReportColumn("Gene"),
        "kind": ReportColumn("Kind"),
        "name": ReportColumn("Name", "code"),
        "contig": ReportColumn("Contig"),
        "start": ReportColumn("From", "count"),
        "end": ReportColumn("To", "count"),
    }
    frame = frame.assign(kind=frame["kind"].str.replace("_", " ")).sort_values(["accession", "gene", "position"])
    text = (
        "Genes of the catalogue whose wild type the DNA of contigs does not make whole. A broken gene is no call "
        "unless an entry of the catalogue names it."
    )
    return Section("Broken genes", text, tables=[_table("Broken genes", columns, frame)])


def novel(novel_substitutions: pd.DataFrame) -> Section:
    """Substitutions at known sites that no entry names."""
    columns = {
        "accession": ReportColumn("Accession"),
        "gene": ReportColumn("Gene"),
        "short": ReportColumn("Substitution", "code"),
        "known": ReportColumn("Known there"),
        "drug_class": ReportColumn("Class of drugs"),
        "level": ReportColumn("Level"),
    }
    frame = novel_substitutions.sort_values(["gene", "position", "accession"])
    text = "Substitutions at a known site, to an amino acid that the catalogue does not name there. They are no calls."
    return Section("Novel substitutions at known sites", text, tables=[_table("Novel at known sites", columns, frame)])


def outliers(frame: pd.DataFrame) -> Section:
    """What differs from the others."""
    columns = {
        "unit": ReportColumn("Unit"),
        "name": ReportColumn("Name"),
        "measure": ReportColumn("Measure"),
        "robust_z": ReportColumn("Robust z", "number"),
        "reason": ReportColumn("Finding"),
    }
    text = (
        "Accessions and references with a robust z of 3.5 or more, of five or more, and proteins whose header "
        "names another "
        "gene than their wild type. A question, not an error."
    )
    return Section("Outliers", text, tables=[_table("Outliers", columns, frame.sort_values(["unit", "name"]))])


def rejected(frame: pd.DataFrame) -> Section:
    """Refused records and entries of the catalogue."""
    columns = {
        "where": ReportColumn("File or catalogue"),
        "line": ReportColumn("Line", "count"),
        "header": ReportColumn("Header or entry", "quote"),
        "reason": ReportColumn("Reason"),
    }
    return Section("Refused records and entries", "", tables=[_table("Refused", columns, frame)])


def _table(caption: str, columns: dict[str, ReportColumn], frame: pd.DataFrame) -> ReportTable:
    number = len(frame)
    rows: list[list[Cell]] = frame[list(columns)].head(SHOWN).astype(object).to_numpy().tolist()
    more = f", the first {SHOWN} of {words.count(number)}" if number > SHOWN else ""
    return ReportTable(f"{caption}{more}.", list(columns.values()), rows)
