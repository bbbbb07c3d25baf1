"""Small files for the assets of every group, of two days, and a home where everything was made on the first.

Belongs here: the files, which change so that each asset changes, and making a home of them. Does not belong here: what
is done to the home.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from opengenome_assets import groups
from opengenome_assets.definitions import build_defs
from opengenome_assets.engine.processes import Processes
from opengenome_assets.framework.group import GROUP_TAG
from opengenome_assets.framework.resources import HomeResource
from opengenome_assets.settings import Settings
from opengenome_assets_tests.corpora import write_files

GENE = "MKWHPSDYTRHLLVAGMKWHPSDYTRHLLVAGAARND"
OTHER = "MSTNPKPQRKTKRNTNRRPQDVKFPGGGQIVGGVYLLPRRGPRLGVRATRK"
CONFIG = {"sequence_shards": {"min_length": 11, "max_rejected_share": 0.5}}  # of the second day
COMPLEMENT = str.maketrans("ACGT", "TGCA")
# In this process: what a worker does is the same, and a killed run has one process and its tools.
ENGINE = Processes(workers=1)


@dataclass(frozen=True)
class Inputs:
    """The files of a day below a folder, and the settings that name them.

    Attributes
    ----------
    folder
        The folder.
    day
        1, or 2 after the changes.
    """

    folder: Path
    day: int

    def write(self) -> None:
        """Write the files."""
        write_files(self.folder, {**corpus(self.day), **proteins(self.day), **variants(self.day)})

    @property
    def environment(self) -> dict[str, str]:
        """The settings, as environment variables."""
        return {
            "OPENGENOME_KS": "2,6",
            "OPENGENOME_SOURCE": f"{self.folder}/fasta",
            "OPENGENOME_QUERIES": f"{self.folder}/queries.fa",
            "OPENGENOME_PROTEINS": f"{self.folder}/proteins",
            "OPENGENOME_CATALOGUE": f"{self.folder}/catalogue.tsv,{self.folder}/catalogue.fa",
            "OPENGENOME_SAMPLES": f"{self.folder}/reads/samples.csv",
            "OPENGENOME_REFERENCE": f"{self.folder}/reference.fa",
            "OPENGENOME_GENES": f"{self.folder}/genes.gff3",
            "OPENGENOME_CLINVAR": f"{self.folder}/clinvar.vcf",
            "OPENGENOME_GNOMAD": f"{self.folder}/gnomad.vcf",
        }

    def settings(self, home: Path) -> Settings:
        """The settings for a home."""
        return groups.read_settings({**self.environment, "OPENGENOME_HOME": str(home)})


def materialize(
    settings: Settings, selection: str, *, may_fail: bool = False, **config: Mapping[str, Any]
) -> dg.ExecuteInProcessResult:
    """Materialise a selection of all groups, with the checks."""
    resources = {"home": HomeResource(uri=settings.home), "engine": ENGINE}
    defs = build_defs(settings, resource_overrides=resources)
    definitions: list[Any] = [*(defs.assets or []), *(defs.asset_checks or [])]
    chosen = dg.AssetSelection.from_coercible(selection.split(","))
    keys = chosen.resolve(definitions)
    ops = {name: {"config": value} for name, value in config.items() if dg.AssetKey(name) in keys}
    return dg.materialize(
        definitions,
        selection=chosen,
        resources=resources,
        run_config={"ops": ops},
        raise_on_error=not may_fail,
    )


def graph(settings: Settings) -> dict[str, str]:
    """Every asset of every group, upstream first, and its group."""
    assets = build_defs(settings).resolve_asset_graph()
    return {key.to_user_string(): assets.get(key).tags[GROUP_TAG] for key in assets.toposorted_asset_keys}


def corpus(day: int) -> dict[str, str]:
    """FASTA files, and queries."""
    files = {"fasta/a/x.fa": ">s1\nACGTACGTAC\n>s2\nGGGTTTACGTNCGTAGCTAGTTTT\n"}
    if day == 1:
        return {**files, "fasta/b/y.fa": f">s3\n{'ACGTTGCA' * 9}\n", "queries.fa": f">q1\n{'ACGTTGCA' * 4}\n"}
    return {
        **files,
        "fasta/b/y.fa": f">s3\n{'ACGTTGCA' * 7}\n>s4\n{'GATTACA' * 5}\n",
        "fasta/c/z.fa": f">s5\nATG{'GCTAAC' * 40}TAA\n>s6\nACGT!ACGTACGT\n",
        "queries.fa": f">q1\n{'ACGTTGCA' * 4}\n>q2\n{'GATTACA' * 3}\n",
    }


def proteins(day: int) -> dict[str, str]:
    """Proteins, an assembly, their sheet, and a catalogue of mutations."""
    mutant = GENE[:5] + "L" + GENE[6:]
    novel = GENE[:5] + "H" + GENE[6:]
    sheet = "accession\torganism\nsome\tEscherichia coli\nmore\tEscherichia coli\n"
    files = {
        "proteins/some_proteins.fasta": fasta({"p1": mutant, "p2": OTHER}),
        "proteins/more_proteins.fasta": fasta({"p1": GENE, "p2": OTHER}),
        "catalogue.tsv": "gene\tposition\tref\talt\ngyrX\t6\tS\tL\ngyrX\t99\tS\tL\n",
        "catalogue.fa": fasta({"gyrX": GENE}),
    }
    if day == 2:
        sheet += "last\tEscherichia coli\n"
        files |= {
            "proteins/last_proteins.fasta": fasta(
                {"lcl|c_prot_1 [gene=parX]": novel, "p2": mutant[:30], "p3": "MK1", **many(12)}
            ),
            "catalogue.tsv": f"{files['catalogue.tsv']}gyrX\t9\tTR\tdel\ngyrY\t3\tS\tL\n",
            "catalogue.fa": fasta({"gyrX": GENE, "abcX": OTHER}),
        }
    return {**files, "proteins/samples.tsv": sheet}


def many(number: int) -> dict[str, str]:
    """Proteins of no interest."""
    chance = random.Random(number)
    return {f"x{place}": "M" + "".join(chance.choices("ACDEFGHIKLNPQRSTVWY", k=40)) for place in range(number)}


def variants(day: int) -> dict[str, str]:
    """Reads of samples, a reference with a gene, and databases."""
    chance = random.Random(1)
    contig = "".join(chance.choices("ACGT", k=1_200))
    contig = f"{contig[:300]}ATG{contig[303:]}"
    alleles = {400: swapped(contig[399]), 700: swapped(contig[699])}
    samples = {"one": (contig, {400: alleles[400]})}
    contigs, entries = {"c1": contig}, [400]
    if day == 2:
        samples = {"one": (contig, alleles), "two": (contig, {700: alleles[700]})}
        contigs["c2"] = "".join(chance.choices("ACGT", k=600))
        entries.append(700)
    files, sheet = {}, "sample,sex,fastq_1,fastq_2\n"
    for sample, (letters, changes) in samples.items():
        for mate, text in enumerate(reads(mutated(letters, changes)), 1):
            files[f"reads/{sample}_{mate}.fq"] = text
        sheet += f"{sample},XX,{sample}_1.fq,{sample}_2.fq\n"
    lines = [(pos, contig[pos - 1], alleles[pos]) for pos in entries]
    clinvar, gnomad = (
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        + "".join(f"c1\t{pos}\t{pos}\t{ref}\t{alt}\t.\tPASS\t{info}\n" for pos, ref, alt in lines)
        for info in ("CLNSIG=Pathogenic;CLNREVSTAT=practice_guideline", "AC=3;AN=100;AF=0.03")
    )
    models = [("1", 301, 601), ("2", 651, 801)][:day]
    gff3 = "".join(
        f"c1\tx\tgene\t{start}\t{end}\t.\t+\t.\tID=gene:g{name};Name=G{name};biotype=protein_coding\n"
        f"c1\tx\tmRNA\t{start}\t{end}\t.\t+\t.\tID=transcript:t{name};Parent=gene:g{name};biotype=protein_coding\n"
        f"c1\tx\texon\t{start}\t{end}\t.\t+\t.\tParent=transcript:t{name}\n"
        f"c1\tx\tCDS\t{start}\t{end}\t.\t+\t0\tParent=transcript:t{name}\n"
        for name, start, end in models
    )
    return {
        **files,
        "reads/samples.csv": sheet,
        "reference.fa": fasta(contigs),
        "genes.gff3": f"##gff-version 3\n{gff3}",
        "clinvar.vcf": clinvar,
        "gnomad.vcf": gnomad,
    }


def swapped(letter: str) -> str:
    """Another letter: A and G, C and T take the place of each other."""
    return letter.translate(str.maketrans("ACGT", "GTAC"))


def mutated(letters: str, changes: Mapping[int, str]) -> str:
    """The letters with others at positions from 1."""
    for pos, letter in changes.items():
        letters = letters[: pos - 1] + letter + letters[pos:]
    return letters


def reads(letters: str) -> tuple[str, str]:
    """The FASTQ of both mates of reads at even distances, without errors."""
    texts = ["", ""]
    for place in range(0, len(letters) - 250, 8):
        piece = letters[place : place + 200 + place % 50]
        mates = piece[:80], piece[::-1].translate(COMPLEMENT)[:80]
        for mate, sequence in enumerate(mates):
            texts[mate] += f"@r{place}\n{sequence}\n+\n{'I' * 80}\n"
    return texts[0], texts[1]


def fasta(records: Mapping[str, str]) -> str:
    """The records as FASTA."""
    return "".join(f">{name}\n{sequence}\n" for name, sequence in records.items())
