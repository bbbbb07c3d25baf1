"""consequences: what each allele does to each transcript.

Belongs here: running bcftools csq over the distinct alleles, and its words as terms of the Sequence Ontology and HGVS.
Does not belong here: reading genes (``gene_models.py``), what databases state (``annotations.py``), and any verdict.

Method: Danecek and McCarthy 2017, doi:10.1093/bioinformatics/btx100. Impacts are the classes of VEP:
https://www.ensembl.org/info/genome/variation/prediction/predicted_data.html
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import table_of
from opengenome_assets.framework.summaries import Rows, Step, summary
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants import tools
from opengenome_assets.variants.gene_models import CODING
from opengenome_assets.variants.plans import whole_fasta_of
from opengenome_assets.variants.settings import VariantsSettings
from opengenome_assets.variants.tables import CONSEQUENCES, GENE_MODELS, REFERENCE, VARIANTS
from opengenome_assets.variants.tools import ToolError

ALLELE = ("variant_key", "contig", "pos", "ref", "alt")
NON_CODING = "misc_RNA"  # a biotype that csq knows, for all of these
DECAYING = "nonsense_mediated_decay"  # the only biotype of coding transcripts that csq has a term for
INTERGENIC = "intergenic_variant"
# Words of csq whose term is not the word and "_variant"; and the impact of each term that is not MODIFIER.
TERMS = {
    "stop_gained": "stop_gained",
    "stop_lost": "stop_lost",
    "start_lost": "start_lost",
    "inframe_insertion": "inframe_insertion",
    "inframe_deletion": "inframe_deletion",
    "inframe_altering": "protein_altering_variant",
    "5_prime_utr": "5_prime_UTR_variant",
    "3_prime_utr": "3_prime_UTR_variant",
    "non_coding": "non_coding_transcript_variant",
}
HIGH, MODERATE, LOW, MODIFIER = IMPACTS = ("HIGH", "MODERATE", "LOW", "MODIFIER")
IMPACT = {
    "splice_acceptor_variant": HIGH,
    "splice_donor_variant": HIGH,
    "stop_gained": HIGH,
    "frameshift_variant": HIGH,
    "stop_lost": HIGH,
    "start_lost": HIGH,
    "inframe_insertion": MODERATE,
    "inframe_deletion": MODERATE,
    "missense_variant": MODERATE,
    "protein_altering_variant": MODERATE,
    "splice_region_variant": LOW,
    "stop_retained_variant": LOW,
    "start_retained_variant": LOW,
    "synonymous_variant": LOW,
}
AMINO_ACIDS = dict(
    zip(
        "ARNDCQEGHILKMFPSTWYV*",
        re.findall("...", "AlaArgAsnAspCysGlnGluGlyHisIleLeuLysMetPheProSerThrTrpTyrValTer"),
        strict=True,
    )
)
COMPLEMENT = str.maketrans("ACGTN", "TGCAN")
CHANGE = re.compile(r"(\d+)([A-Z*])(?:>\1([A-Z*]))?")


def define(_: VariantsSettings) -> list[Member]:
    """Return the table and its rules."""
    return [consequences, every_variant_has_a_consequence, codons_are_translated]


@summary(CONSEQUENCES, [VARIANTS, GENE_MODELS, REFERENCE])
def consequences(step: Step) -> Rows:
    """Run bcftools csq over the alleles, once for each genetic code."""
    alleles = step[VARIANTS].read(list(ALLELE)).to_pylist()
    models = step[GENE_MODELS].read().to_pylist()
    contigs = step[REFERENCE].read().sort_by("number").to_pylist()
    found: dict[str, list[list[str]]] = {}
    try:
        for code in sorted({contig["genetic_code"] for contig in contigs}):
            chosen = [contig for contig in contigs if contig["genetic_code"] == code]
            found.update(csq(alleles, list(enumerate(models)), chosen, code, whole_fasta_of(step.home)))
    except ToolError as error:
        raise dg.Failure(f"{CONSEQUENCES.name}: {error}", allow_retries=False) from error
    rows = [row for allele in alleles for row in rows_of(allele, found.get(allele["variant_key"], []), models)]
    counts = [(each, sum(row["impact"] == each for row in rows)) for each in IMPACTS]
    models_file = step[GENE_MODELS].provenance.settings
    settings = {"bcftools": tools.versions()["bcftools"], "gene_models": models_file["file"]}
    table = pa.Table.from_pylist(rows, schema=CONSEQUENCES.schema)
    return Rows(table, settings, {"impacts": table_of(("impact", "rows"), counts)})


def csq(
    alleles: Sequence[Mapping[str, Any]],
    models: Sequence[tuple[int, Mapping[str, Any]]],
    contigs: Sequence[Mapping[str, Any]],
    code: int,
    fasta: str,
) -> dict[str, list[list[str]]]:
    """Return the consequences of the alleles on some contigs by key, each as the fields of csq."""
    order = {contig["contig"]: contig["number"] for contig in contigs}
    here = sorted((each for each in alleles if each["contig"] in order), key=lambda e: (order[e["contig"]], e["pos"]))
    models = [(number, model) for number, model in models if model["contig"] in order]
    if not here or not models:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        vcf, gff, out = (Path(folder, name) for name in ("alleles.vcf", "models.gff3", "out.vcf"))
        lines = ["##fileformat=VCFv4.2"]
        lines += [f"##contig=<ID={each['contig']},length={each['length']}>" for each in contigs]
        lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
        lines += [f"{e['contig']}\t{e['pos']}\t{e['variant_key']}\t{e['ref']}\t{e['alt']}\t.\t.\t." for e in here]
        vcf.write_text("\n".join([*lines, ""]))
        gff.write_text("".join(line for number, model in models for line in gff3(number, model)))
        options = ("-C", str(code), "-l", "-f", fasta, "-g", str(gff), "-Ov")
        tools.run(("bcftools", "csq", "--no-version", *options, str(vcf)), output=out)
        found = {}
        with out.open(encoding="utf-8") as file:
            for line in file:
                if not line.startswith("#"):
                    cells = line.rstrip("\n").split("\t")
                    text = cells[7].partition("BCSQ=")[2].partition(";")[0]
                    found[cells[2]] = [each.split("|") for each in text.split(",") if each]
        return found


def gff3(number: int, model: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a transcript in the form of Ensembl, which csq takes.

    Each has a gene of its own, named by ``number``: csq names the gene of every consequence, but not the transcript.
    """
    biotype = DECAYING if model["biotype"] == DECAYING else CODING if model["cds_starts"] else NON_CODING

    def line(kind: str, start: int, end: int, phase: int | str, attributes: str) -> str:
        cells = (model["contig"], ".", kind, start, end, ".", model["strand"], phase, attributes)
        return "\t".join(map(str, cells)) + "\n"

    span = model["start"], model["end"]
    yield line("gene", *span, ".", f"ID=gene:g{number};biotype={biotype};Name=g{number}")
    kind = "mRNA" if model["cds_starts"] else "transcript"
    yield line(kind, *span, ".", f"ID=transcript:{number};Parent=gene:g{number};biotype={biotype}")
    for start, end in zip(model["exon_starts"], model["exon_ends"], strict=True):
        yield line("exon", start, end, ".", f"Parent=transcript:{number}")
    for start, end, phase in zip(model["cds_starts"], model["cds_ends"], model["cds_phases"], strict=True):
        yield line("CDS", start, end, phase, f"Parent=transcript:{number}")
    for kind, start, end in untranslated(model):
        yield line(kind, start, end, ".", f"Parent=transcript:{number}")


def untranslated(model: Mapping[str, Any]) -> Iterator[tuple[str, int, int]]:
    """Yield kind, first and last letter of the exons' stretches before and after the coding ones."""
    if not model["cds_starts"]:
        return
    first, last = model["cds_starts"][0], model["cds_ends"][-1]
    left, right = "five_prime_UTR", "three_prime_UTR"
    if model["strand"] == "-":
        left, right = right, left
    for start, end in zip(model["exon_starts"], model["exon_ends"], strict=True):
        if start < first:
            yield left, start, min(end, first - 1)
        if end > last:
            yield right, max(start, last + 1), end


def rows_of(
    allele: Mapping[str, Any], found: Sequence[Sequence[str]], models: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of an allele: one per transcript, or one without."""
    place = {name: allele[name] for name in ALLELE}
    told = False
    for fields in found:
        words, gene = (*fields, "")[:2]
        if not gene.startswith("g"):  # a consequence without a transcript
            continue
        model, told = models[int(gene[1:])], True
        terms = [term(word) for word in words.lstrip("*").split("&")]
        protein = fields[5] if len(fields) > 5 and fields[5] else None
        yield {
            **place,
            "gene": model["gene"],
            "transcript": model["transcript"],
            "biotype": model["biotype"],
            "consequence": "&".join(terms),
            "impact": min((IMPACT.get(each, MODIFIER) for each in terms), key=IMPACTS.index),
            "amino_acids": protein,
            "hgvs_c": hgvs_c(model, allele["pos"], allele["ref"], allele["alt"]),
            "hgvs_p": hgvs_p(terms, protein),
        }
    if not told:
        yield {**place, "transcript": "", "consequence": INTERGENIC, "impact": MODIFIER}


def term(word: str) -> str:
    """Return the term of the Sequence Ontology for a word of csq."""
    return TERMS.get(word, f"{word}_variant")


def coding_position(model: Mapping[str, Any], pos: int) -> int | None:
    """Return the place of a letter of the contig in a transcript's coding sequence, from 1; None outside of it."""
    before = 0
    stretches = list(zip(model["cds_starts"], model["cds_ends"], strict=True))
    for start, end in stretches if model["strand"] == "+" else reversed(stretches):
        if start <= pos <= end:
            return before + int(pos - start if model["strand"] == "+" else end - pos) + 1
        before += int(end - start) + 1
    return None


def hgvs_c(model: Mapping[str, Any], pos: int, ref: str, alt: str) -> str | None:
    """Return a substitution in the coding sequence as HGVS writes it; None of others."""
    place = coding_position(model, pos) if len(ref) == len(alt) == 1 else None
    if place is None:
        return None
    if model["strand"] == "-":
        ref, alt = ref.translate(COMPLEMENT), alt.translate(COMPLEMENT)
    return f"c.{place}{ref}>{alt}"


def hgvs_p(terms: Sequence[str], protein: str | None) -> str | None:
    """Return the change of one amino acid as HGVS writes it, predicted and so in parentheses; None of others."""
    if "start_lost" in terms:
        return "p.(Met1?)"
    if not protein or not (found := CHANGE.fullmatch(protein)) or "stop_lost" in terms:
        return None
    place, before, after = found.groups()
    if before not in AMINO_ACIDS or (after or before) not in AMINO_ACIDS:
        return None
    return f"p.({AMINO_ACIDS[before]}{place}{'=' if after in (None, before) else AMINO_ACIDS[after]})"


@rule(CONSEQUENCES, "Every allele has a row, and no other has one")
def every_variant_has_a_consequence(home: Home) -> Iterator[str]:
    """Compare the keys with those of variants."""
    keys = set(home.table(VARIANTS).read(["variant_key"])["variant_key"].to_pylist())
    found = set(home.table(CONSEQUENCES).read(["variant_key"])["variant_key"].to_pylist())
    for key in sorted(keys ^ found):
        yield f"{key}: {'no consequence' if key in keys else 'not an allele of variants'}"


@rule(CONSEQUENCES, "Biopython, with the contig's genetic code, translates the codons of substitutions to the same")
def codons_are_translated(home: Home) -> Iterator[str]:
    """Translate the codon before and after each substitution in a coding sequence."""
    import pysam
    from Bio.Data import CodonTable

    codes = dict(zip(*home.table(REFERENCE).read(["contig", "genetic_code"]).to_pydict().values(), strict=True))
    models = {(each["contig"], each["transcript"]): each for each in home.table(GENE_MODELS).read().to_pylist()}
    with pysam.FastaFile(whole_fasta_of(home)) as fasta:
        for row in home.table(CONSEQUENCES).read().to_pylist():
            found = CHANGE.fullmatch(row["amino_acids"] or "") if row["hgvs_c"] else None
            model = models.get((row["contig"], row["transcript"]))
            if not found or not model or (model["cds_phases"][0 if model["strand"] == "+" else -1]):
                continue
            table = CodonTable.unambiguous_dna_by_id[codes[row["contig"]]]
            place = coding_position(model, row["pos"])
            assert place
            letters = _coding_letters(fasta, model, (place - 1) // 3 * 3, row)
            if letters is None:
                continue
            before, after = ("*" if each in table.stop_codons else table.forward_table.get(each) for each in letters)
            if "start" not in row["consequence"] and (before, after) != (found[2], found[3] or found[2]):
                yield (
                    f"{row['variant_key']}, {row['transcript']}: {row['amino_acids']}, but {' to '.join(letters)} is "
                    f"{before} to {after}"
                )


def _coding_letters(fasta: Any, model: Mapping[str, Any], first: int, row: Mapping[str, Any]) -> list[str] | None:
    """Return the codon from letter ``first`` of the coding sequence on, before and after; None if it is cut off."""
    stretches = zip(model["cds_starts"], model["cds_ends"], strict=True)
    places = [place for start, end in stretches for place in range(start, end + 1)]
    places = (places if model["strand"] == "+" else places[::-1])[first : first + 3]
    if len(places) < 3:
        return None
    known = [fasta.fetch(row["contig"], place - 1, place) for place in places]
    changed = [row["alt"] if place == row["pos"] else letter for place, letter in zip(places, known, strict=True)]
    codons = ["".join(known), "".join(changed)]
    return codons if model["strand"] == "+" else [codon.translate(COMPLEMENT) for codon in codons]
