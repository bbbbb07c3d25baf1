"""Genes and consequences against the cases of bcftools' own tests: what goes in and out of csq loses nothing."""

import io
import tarfile

import pysam
import pytest

from opengenome_assets.variants.consequences import csq
from opengenome_assets.variants.gene_models import read_gff3
from opengenome_assets_tests.processes import REPOSITORY

ARCHIVE = REPOSITORY / "opengenome_assets_tests" / "fixtures" / "csq.tar.xz"
# Said once for a gene there; here each transcript has a gene of its own.
BY_GENE = ("intron", "non_coding")
UNTRANSLATED = ("5_prime_utr", "3_prime_utr")
# bcftools 1.24, which is used here, says this of its own files too.
NEWER = {"1-14714-G-A": ("stop_retained", "stop_gained&stop_retained")}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return sorted((folder / "csq").glob("E*"))


def models_of(path):
    """Read the genes. The cut cases have tabs in descriptions, and starts before the sequence, which GFF3 has not."""
    lines = []
    for line in path.read_text().splitlines():
        cells = line.split("\t")
        if line.startswith("#") or cells[2] == "chromosome":
            continue
        cells[3] = str(max(1, int(cells[3])))
        lines.append("\t".join([*cells[:8], " ".join(cells[8:])]))
    return list(read_gff3(io.StringIO("\n".join(lines))))


def told(fields, transcript):
    """Return words, transcript and change of the protein."""
    words = fields[0].lstrip("*")
    return words, "" if words in BY_GENE else transcript, fields[5] if len(fields) > 5 else ""


def csq_cells(text):
    """Return the consequences of a record, each as its fields."""
    return [each.split("|") for each in text.split(",") if each != "."]


def expected_of(vcf):
    """Return what must be said of each place, reference and alternatives; nothing where samples' phases decide."""
    local, whole = vcf.with_suffix(".txt-l"), vcf.with_suffix(".txt")
    records = [line.split("\t") for line in vcf.read_text().splitlines() if not line.startswith("#")]
    if not local.exists() and (not whole.exists() or len(records) > 1 or len(records[0]) > 8):
        return {}
    blocks = (local if local.exists() else whole).read_text().split("\n\n")
    lines = [block.strip("\n").split("\n")[-1].split("\t") for block in blocks if block.strip()]
    stated = {(int(pos), ref, alts): words for pos, ref, alts, words in lines}
    return {
        (contig, *place): {
            told(each.split("|"), each.split("|")[2]) for each in stated[place].split(",") if each != "."
        }
        for contig, pos, _, ref, alts, *_ in (map(str.strip, record) for record in records)
        if "<" not in alts and (place := (int(pos), ref, alts)) in stated
    }


def test_the_consequences_of_bcftools_own_cases(cases):
    compared = 0
    for folder in cases:
        fasta, models = folder / f"{folder.name}.fa", models_of(folder / f"{folder.name}.gff")
        pysam.faidx(str(fasta))
        with pysam.FastaFile(str(fasta)) as file:
            contigs = [
                {"contig": name, "number": number, "length": file.get_reference_length(name)}
                for number, name in enumerate(file.references)
            ]
        has_ends = "prime_UTR" in (folder / f"{folder.name}.gff").read_text()
        for vcf in sorted(folder.glob("*.vcf")):
            expected = expected_of(vcf)
            alleles = [
                {"variant_key": f"{contig}-{pos}-{ref}-{alt}", "contig": contig, "pos": pos, "ref": ref, "alt": alt}
                for contig, pos, ref, alts in expected
                for alt in alts.split(",")
            ]
            found = csq(alleles, list(enumerate(models)), contigs, 1, str(fasta))
            for (contig, pos, ref, alts), stated in expected.items():
                keys = [f"{contig}-{pos}-{ref}-{alt}" for alt in alts.split(",")]
                own = {
                    told(fields, models[int(fields[1][1:])]["transcript"])
                    for key in keys
                    for fields in found.get(key, [])
                }
                if keys[0] in NEWER:
                    before, now = NEWER[keys[0]]
                    stated = {(words.replace(before, now), *rest) for words, *rest in stated}
                if not has_ends:  # the untranslated ends are what the exons have beside the coding stretches
                    own = {each for each in own if each[0] not in UNTRANSLATED}
                assert own == stated, (vcf, keys)
                compared += 1
    assert compared == 127
