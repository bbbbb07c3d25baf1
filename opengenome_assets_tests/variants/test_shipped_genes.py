"""The shipped places of the mitochondrion's genes, against their letters and against tools that find RNA genes."""

import re
import subprocess

import pytest
from Bio.Seq import Seq
from Bio.SeqUtils import seq3

from opengenome_assets.variants.gene_models import CODING, SHIPPED, read_gff3
from opengenome_assets.variants.settings import SAMPLE_FOLDER

RCRS = SAMPLE_FOLDER / "rCRS.fasta"


@pytest.fixture(scope="module")
def models():
    with (SAMPLE_FOLDER / SHIPPED).open() as file:
        return list(read_gff3(file))


def test_coding_genes_are_open_reading_frames(models):
    letters = "".join(RCRS.read_text().splitlines()[1:])
    for model in (each for each in models if each["biotype"] == CODING):
        gene = Seq(letters[model["start"] - 1 : model["end"]])
        gene = gene.reverse_complement() if model["strand"] == "-" else gene
        whole = gene + "A" * (-len(gene) % 3)  # the stop of seven genes is completed by the tail of the mRNA
        protein = str(whole.translate(table=2))
        assert protein[0] in "MI", model["gene"]  # ND2 and others begin with ATT, read as methionine
        assert protein.index("*") == len(protein) - 1, model["gene"]


@pytest.mark.peer
def test_trnas_lie_where_aragorn_finds_them(models, tool):
    command = [tool("aragorn"), "-mt", "-gcvert", "-l", "-w", str(RCRS)]
    found = re.findall(
        r"^\d+\s+mtRNA-(\w+)\s+(c?)\[(\d+),(\d+)\]",
        subprocess.run(command, check=True, capture_output=True, text=True).stdout,
        re.MULTILINE,
    )
    theirs = sorted((int(start), int(end), "-" if other else "+", acid) for acid, other, start, end in found)
    ours = sorted(
        (model["start"], model["end"], model["strand"], seq3(model["gene"].removeprefix("MT-T")[0]))
        for model in models
        if model["biotype"] == "Mt_tRNA"
    )
    assert len(ours) == len(theirs) == 22
    assert [each[2:] for each in ours] == [each[2:] for each in theirs]
    for own, other in zip(ours, theirs, strict=True):
        # aragorn extends the acceptor stem of some by a pair.
        assert max(abs(own[0] - other[0]), abs(own[1] - other[1])) <= 2, own
    assert sum(own == other for own, other in zip(ours, theirs, strict=True)) == 15


@pytest.mark.peer
def test_rrnas_lie_where_barrnap_finds_them(models, tool):
    command = [tool("barrnap"), "--kingdom", "mito", "--quiet", str(RCRS)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    theirs = sorted((int(cells[3]), int(cells[4]), cells[6]) for line in lines if len(cells := line.split("\t")) > 8)
    ours = sorted((m["start"], m["end"], m["strand"]) for m in models if m["biotype"] == "Mt_rRNA")
    assert len(ours) == len(theirs) == 2
    for own, other in zip(ours, theirs, strict=True):
        assert own[2] == other[2]
        assert max(abs(own[0] - other[0]), abs(own[1] - other[1])) <= 8  # the ends of its profile
