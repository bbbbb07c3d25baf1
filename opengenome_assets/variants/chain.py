"""Chains: from a call of a sample to the bytes and tools that it was made from.

Belongs here: following one call through the tables. Does not belong here: the lineage of whole tables (``lineage``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from opengenome_assets.storage.tables import Home
from opengenome_assets.variants.tables import ALIGNMENTS, ANNOTATIONS, CLINVAR, GENOTYPES, RAW_READS, REFERENCE


@dataclass(frozen=True)
class Chain:
    """The chain of a call.

    Attributes
    ----------
    sample, call
        The sample, and the call in words.
    links
        What it was made from, each with its name.
    """

    sample: str
    call: str
    links: list[tuple[str, str]]


def chains(home: Home, key: str, sample: str | None = None) -> list[Chain]:
    """Return the chain of a variant in each sample that has it, or in one.

    Raises
    ------
    LookupError
        If no sample, or not that one, has the variant.
    """
    genotypes = home.table(GENOTYPES).at()
    rows = [row for row in genotypes.read().to_pylist() if row["variant_key"] == key]
    chosen = sorted((row for row in rows if sample in (None, row["sample"])), key=lambda row: str(row["sample"]))
    if not chosen:
        having = ", ".join(sorted(row["sample"] for row in rows))
        raise LookupError(
            f"{key}: not called in sample {sample}; it is in {having}"
            if having
            else f"{key}: no sample has this variant. Expected a key as in the table {GENOTYPES.name}, such as "
            "chrM-263-A-G"
        )
    return [Chain(row["sample"], _call(row), list(_links(home, row))) for row in chosen]


def _call(row: dict[str, Any]) -> str:
    share = "" if row["vaf"] is None else f", {row['ad_alt']} of {row['ad_ref'] + row['ad_alt']} reads"
    return f"genotype {row['gt']}, QUAL {row['qual']:.0f}{share}, {row['filter']}"


def _links(home: Home, row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for spec in (GENOTYPES, ALIGNMENTS):
        table = home.table(spec).at()
        record = table.provenance
        settings = ", ".join(f"{name} {value}" for name, value in record.settings.items())
        yield spec.name, f"version {table.version}, data version {record.data_version[:16]}, {settings}"
    (cram,) = (each for each in home.table(ALIGNMENTS).read().to_pylist() if each["sample"] == row["sample"])
    yield "CRAM", f"{cram['path']}, sha256 {cram['sha256']}"
    yield "aligner", str(cram["aligner"])
    (contig,) = (each for each in home.table(REFERENCE).read().to_pylist() if each["contig"] == row["contig"])
    yield "contig", f"{contig['contig']}, {contig['length']:,} letters, md5 {contig['md5']}"
    for file in home.table(RAW_READS).read().to_pylist():
        if file["source"] == row["sample"]:
            yield "reads", f"lane {file['lane']}, mate {file['mate']}: {file['path']}, sha256 {file['sha256']}"
    if home.table(ANNOTATIONS).exists():
        source = home.table(CLINVAR).provenance().settings.get("file", "")
        for each in home.table(ANNOTATIONS).read().to_pylist():
            if each["variant_key"] == row["variant_key"]:
                stated = f"{each['clinvar']}: {each['significance']}, {each['review_status']}"
                yield "ClinVar", f"{stated if each['clinvar'] else 'not listed'} ({source})"
