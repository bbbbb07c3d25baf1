"""Exports: the tables in the forms that other programs and people read.

Belongs here: hAMRonization's and SubScan's columns, manifests of accessions, and alignments as text. Does not belong
here: commands (``commands.py``), and anything that is not in the tables.

hAMRonization: the specification of version 1.3.1, a row a call (github.com/pha4ge/hAMRonization).
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from opengenome_assets import __version__
from opengenome_assets.proteins.alignment import Alignment, Mark
from opengenome_assets.proteins.catalogue import DNA, PROTEIN
from opengenome_assets.proteins.nucleotides import LEAST_IDENTITY, alignment_in
from opengenome_assets.proteins.tables import (
    ACCESSION_MANIFEST,
    ALIGNMENTS,
    ASSIGNED_PROTEINS,
    DISRUPTIONS,
    DISTINCT_PROTEINS,
    MUTATION_CALLS,
    MUTATION_STATUS,
    NOVEL_SUBSTITUTIONS,
    NUCLEOTIDE_ALIGNMENTS,
    SUBSTITUTIONS,
    WILD_TYPES,
)
from opengenome_assets.storage.tables import Home

HAMRONIZATION = (
    *("input_file_name", "gene_symbol", "gene_name", "reference_database_name", "reference_database_version"),
    *("reference_accession", "analysis_software_name", "analysis_software_version", "genetic_variation_type"),
    *("antimicrobial_agent", "coverage_percentage", "coverage_depth", "coverage_ratio", "drug_class"),
    *("input_gene_length", "input_gene_start", "input_gene_stop", "input_protein_length", "input_protein_start"),
    *("input_protein_stop", "input_sequence_id", "nucleotide_mutation", "nucleotide_mutation_interpretation"),
    *("predicted_phenotype", "predicted_phenotype_confidence_level", "amino_acid_mutation"),
    *("amino_acid_mutation_interpretation", "reference_gene_length", "reference_gene_start", "reference_gene_stop"),
    *("reference_protein_length", "reference_protein_start", "reference_protein_stop", "resistance_mechanism"),
    *("strand_orientation", "sequence_identity"),
)
SUBSCAN = (
    *("accession", "gene_name", "position", "reference_aa", "variant_aa", "mutation_type", "clinical_significance"),
    *("confidence_score", "coverage"),
)
SHIPPED_NAMES = {
    PROTEIN: "NCBI AMRFinderPlus reference catalogue, protein mutations",
    DNA: "NCBI AMRFinderPlus reference catalogue, nucleotide mutations",
}


def hamronized(home: Home) -> Iterator[dict[str, Any]]:
    """Yield a row of hAMRonization's specification for each call; None where nothing is known."""
    catalogue = home.table(WILD_TYPES).provenance().settings.get("catalogue", "")
    lengths = dict(zip(*home.table(WILD_TYPES).read(["reference", "length"]).to_pydict().values(), strict=True))
    checksums = home.table(DISTINCT_PROTEINS).read(["protein_sha256", "length"]).to_pydict().values()
    own = dict(zip(*checksums, strict=True))
    for row in _sorted(home, MUTATION_CALLS):
        first, last = row["reference_window"].split("-")
        start, stop = row["query_window"].split("-")
        dna = row["molecule"] == DNA
        kind = "gene" if dna else "protein"
        yield dict.fromkeys(HAMRONIZATION) | {
            "input_file_name": row["file"],
            "gene_symbol": row["gene"],
            "gene_name": row["gene"],
            "reference_database_name": SHIPPED_NAMES[row["molecule"]] if catalogue == "shipped" else catalogue,
            "reference_database_version": row["catalogue_version"],
            "reference_accession": row["reference"],
            "analysis_software_name": "opengenome-assets",
            "analysis_software_version": __version__,
            "genetic_variation_type": "nucleotide_variant_detected" if dna else "protein_variant_detected",
            "antimicrobial_agent": row["drug"] or None,
            "coverage_percentage": round(100 * row["coverage_reference"], 2),
            "drug_class": row["drug_class"] or None,
            "input_sequence_id": row["contig"] if dna else row["protein_id"],
            "nucleotide_mutation": row["nucleotide_change"] or None,
            "sequence_identity": round(100 * row["identity"], 2),
            "strand_orientation": {1: "+", -1: "-"}.get(row["strand"]),
            f"input_{kind}_length": int(stop) - int(start) + 1 if dna else own[row["protein_sha256"]],
            f"input_{kind}_start": int(start),
            f"input_{kind}_stop": int(stop),
            f"reference_{kind}_length": lengths[row["reference"]],
            f"reference_{kind}_start": int(first),
            f"reference_{kind}_stop": int(last),
            **({} if dna else {"amino_acid_mutation": row["hgvs"]}),
        }


def subscan(home: Home) -> Iterator[dict[str, Any]]:
    """Yield SubScan's columns for each change of each assigned protein, known or not, and for each call in DNA.

    ``clinical_significance`` is the class of drugs of a known mutation; ``confidence_score`` the identity, ``coverage``
    the covered share of the reference, both in percent.
    """
    calls = _sorted(home, MUTATION_CALLS)
    known = {
        (row["accession"], row["protein_id"], row["reference"], row["position"], row["alt_aa"]): row["drug_class"]
        for row in calls
    }
    changes: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in home.table(SUBSTITUTIONS).read().to_pylist():
        changes.setdefault((row["protein_sha256"], row["reference"]), []).append(row)
    for row in _sorted(home, ASSIGNED_PROTEINS):
        for change in changes.get((row["protein_sha256"], row["reference"]), ()):
            place = row["accession"], row["protein_id"], row["reference"], change["position"], change["alt_aa"]
            yield {
                "accession": row["accession"],
                "gene_name": row["gene"],
                "position": change["position"],
                "reference_aa": change["ref_aa"] or "-",
                "variant_aa": change["alt_aa"] or "-",
                "mutation_type": change["kind"],
                "clinical_significance": known.get(place, "unknown") or "known",
                "confidence_score": round(100 * row["identity"], 2),
                "coverage": round(100 * row["coverage_reference"], 2),
            }

    for row in calls:
        if row["molecule"] == DNA:
            yield {
                "accession": row["accession"],
                "gene_name": row["gene"],
                "position": row["position"],
                "reference_aa": row["ref_aa"],
                "variant_aa": row["alt_aa"] or "-",
                "mutation_type": f"nucleotide_{row['kind']}",
                "clinical_significance": row["drug_class"] or "known",
                "confidence_score": round(100 * row["identity"], 2),
                "coverage": round(100 * row["coverage_reference"], 2),
            }


def manifests(home: Home) -> dict[str, dict[str, Any]]:
    """Return the manifest of each accession: its numbers, calls, status, and how they were made."""
    record = home.table(MUTATION_CALLS).provenance()
    found: dict[str, dict[str, Any]] = {}
    for row in _sorted(home, ACCESSION_MANIFEST):
        found[row["accession"]] = {
            **row,
            "software": {"name": "opengenome-assets", "version": __version__},
            "data_version": record.data_version,
            "levels": record.settings.get("levels"),
            "alignment": home.table(ALIGNMENTS).provenance().settings,
            "catalogue": home.table(WILD_TYPES).provenance().settings,
            "seconds": record.seconds,
            "mutation_calls": [],
            "mutation_status": [],
            "novel_substitutions": [],
            "disruptions": [],
        }
    for spec in (MUTATION_CALLS, MUTATION_STATUS, NOVEL_SUBSTITUTIONS, DISRUPTIONS):
        for row in _sorted(home, spec):
            found[row["accession"]][spec.name].append(
                {name: value for name, value in row.items() if name != "accession"}
            )
    return found


def alignments_of(home: Home, accession: str | None = None, gene: str | None = None) -> Iterator[str]:
    """Yield each assigned protein's alignment as text, with its measures, calls and other changes."""
    wild = dict(zip(*home.table(WILD_TYPES).read(["reference", "sequence"]).to_pydict().values(), strict=True))
    rows = [
        row
        for row in _sorted(home, ASSIGNED_PROTEINS)
        if accession in (None, row["accession"]) and (gene is None or gene.lower() == row["gene"].lower())
    ]
    if not rows:
        return
    wanted = {row["protein_sha256"] for row in rows}
    pairs = {}
    for row in home.table(ALIGNMENTS).read().to_pylist():
        if row["protein_sha256"] in wanted:
            pairs[row["protein_sha256"], row["reference"]] = row
    sequences: dict[str, str] = {}
    for group in home.table(DISTINCT_PROTEINS).row_groups(["protein_sha256", "sequence"]):
        for name, sequence in zip(*(column.to_pylist() for column in group.columns), strict=True):
            if name in wanted:
                sequences[name] = sequence
    calls: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for call in _sorted(home, MUTATION_CALLS):
        calls.setdefault((call["accession"], call["file"], call["protein_id"]), []).append(call)
    for row in rows:
        pair = pairs[row["protein_sha256"], row["reference"]]
        alignment = Alignment(
            *(sequences[row["protein_sha256"]], wild[row["reference"]], pair["score"], pair["cigar"]),
            *(pair["query_start"] - 1, pair["query_end"], pair["reference_start"] - 1, pair["reference_end"]),
            pair["proof"],
        )
        own = calls.get((row["accession"], row["file"], row["protein_id"]), [])
        text = alignment.text(marks=_marks(own)).rstrip()
        yield "\n".join([*_heading(row, pair), *_listed(row, alignment, own), "", text, ""])


def copies_of(home: Home, accession: str | None = None, gene: str | None = None) -> Iterator[str]:
    """Yield the alignment of each copy of DNA that has the highest score at its place, as text, with its calls.

    Copies of references of other organisms are left out.
    """
    wild = {
        row["reference"]: row
        for row in home.table(WILD_TYPES).read(["reference", "gene", "organisms", "sequence"]).to_pylist()
    }
    organisms = {row["accession"]: row["organism"] for row in _sorted(home, MUTATION_STATUS)}
    calls: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for call in _sorted(home, MUTATION_CALLS):
        calls.setdefault(tuple(call[name] for name in ("accession", "file", "protein_id", "reference")), []).append(
            call
        )
    for row in _sorted(home, NUCLEOTIDE_ALIGNMENTS):
        reference = wild[row["reference"]]
        if accession not in (None, row["accession"]) or (gene and gene.lower() != reference["gene"].lower()):
            continue
        if not {organisms.get(row["accession"], ""), ""} & {*reference["organisms"]}:
            continue
        name = f"{row['contig']}:{row['start']}-{row['end']}"
        own = calls.get((row["accession"], row["file"], name, row["reference"]), [])
        alignment = alignment_in(row, reference["sequence"])
        yield "\n".join(
            [
                f"{row['accession']}, {name}, strand {row['strand']:+d}: {reference['gene']} (DNA), {row['reference']}",
                f"file {row['file']}, identity {row['identity']:.2%}, coverage of the reference "
                f"{row['coverage_reference']:.2%}, score {row['score']:g}",
                *(_known(own) if row["identity"] >= LEAST_IDENTITY else [_DIVERGED]),
                *("", alignment.text(marks=_marks(own)).rstrip(), ""),
            ]
        )


_DIVERGED = f"known     not looked for: identity below {LEAST_IDENTITY:g}"


def _known(calls: Sequence[Mapping[str, Any]]) -> list[str]:
    found = [
        f"known     {call['symbol']}  {call['hgvs']}  {call['drug_class']}  ({call['evidence']}), at {_place(call)}"
        for call in calls
    ]
    return found or ["known     none"]


def _place(call: Mapping[str, Any]) -> str:
    """Return where a call is: the name can have the published number, which is another one."""
    contig = f", {call['contig']}:{call['contig_start']}" if call["contig_start"] else ""
    return f"{call['position']} of the reference{contig}"


def _marks(calls: Sequence[Mapping[str, Any]]) -> list[Mark]:
    """Return a mark for each call, without those of the same place and name."""
    found = {
        Mark(call["symbol"], call["position"], call["position"] + max(1, len(call["ref_aa"])) - 1) for call in calls
    }
    return sorted(found, key=lambda mark: (mark.first, mark.name))


def _heading(row: Mapping[str, Any], pair: Mapping[str, Any]) -> list[str]:
    return [
        f"{row['accession']}, {row['protein_id']}: {row['gene']}, {row['reference']}",
        f"file {row['file']}, SHA-256 of the protein {row['protein_sha256']}",
        f"level {row['level']}, identity {row['identity']:.2%}, coverage of the protein "
        f"{row['coverage_query']:.2%}, of the "
        f"reference {row['coverage_reference']:.2%}, score {row['score']:g}, proof {pair['proof']}",
    ]


def _listed(row: Mapping[str, Any], alignment: Alignment, calls: Sequence[Mapping[str, Any]]) -> list[str]:
    names = {name for call in calls for name in (call["short"], call["hgvs"])}
    others = [change.short() for change in alignment.changes if change.short() not in names] if row["changes"] else []
    return [*_known(calls), f"others    {', '.join(others) or 'none'}"]


def _sorted(home: Home, spec: Any) -> list[dict[str, Any]]:
    table = home.table(spec).read()
    keys = [(name, "ascending") for name in spec.key]
    rows: list[dict[str, Any]] = table.take(pc.sort_indices(table, keys)).to_pylist()
    return rows


def as_tsv(columns: Sequence[str], rows: Iterator[Mapping[str, Any]]) -> str:
    """Return rows as TSV; empty where a value is None."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=1) + "\n"


FORMS: Mapping[str, Callable[[Home], dict[str, str]]] = {
    "hamronization-tsv": lambda home: {"hamronization.tsv": as_tsv(HAMRONIZATION, hamronized(home))},
    "hamronization-json": lambda home: {"hamronization.json": _as_json(list(hamronized(home)))},
    "subscan": lambda home: {"subscan.tsv": as_tsv(SUBSCAN, subscan(home))},
    "manifests": lambda home: {f"{name}.json": _as_json(content) for name, content in manifests(home).items()},
    "alignments": lambda home: {"alignments.txt": "\n".join([*alignments_of(home), *copies_of(home)])},
}
"""Files of each form: names and contents."""
